"""What a schema may say of a text: which tokens, how many ids, how many tokens a row."""

from __future__ import annotations

from typing import Literal, get_args

from polymodal.data.names import did_you_mean

TextLevel = Literal["word", "bpe", "char"]
LEVELS: tuple[str, ...] = get_args(TextLevel)
TOKENIZERS = ("auto", *LEVELS)

MOST_TOKENS = {"word": 32, "bpe": 64, "char": 96}
"""Tokens of a row that are kept, the end token counted, where the schema does not say."""

LEAST_VOCABULARY = {"word": 5, "bpe": 260, "char": 5}
"""Four special ids and at least one word or character, or the 256 bytes."""

UNITS = {"word": "words", "bpe": "byte pairs", "char": "characters"}


def check_text(tokenizer: object, vocabulary: object, tokens: object) -> None:
    """Refuse settings of a text that can not be.

    Raises:
        ValueError: One sentence that says what was got and what is possible.
    """
    if tokenizer is not None and tokenizer not in TOKENIZERS:
        raise ValueError(
            f"tokenizer must be one of {', '.join(TOKENIZERS)}, got {tokenizer!r}."
            f"{did_you_mean(tokenizer, TOKENIZERS)}"
        )
    least = LEAST_VOCABULARY.get(str(tokenizer), LEAST_VOCABULARY["bpe"])
    if vocabulary is not None and not _is_at_least(vocabulary, least):
        why = " (4 special ids and the 256 bytes)" if least == LEAST_VOCABULARY["bpe"] else ""
        raise ValueError(
            f"vocabulary must be a whole number of at least {least}{why}, got {vocabulary!r}."
        )
    if tokens is not None and not _is_at_least(tokens, 2):
        raise ValueError(f"tokens must be a whole number of at least 2, got {tokens!r}.")


def text_detail(tokenizer: str | None, vocabulary: int | None, tokens: int | None) -> str:
    """The settings in words, for the printed schema; empty if nothing is said.

    Example:
        >>> text_detail("bpe", 1000, None)
        'byte pairs, 1000 ids'
    """
    said = [UNITS.get(tokenizer, "")] if tokenizer is not None else []
    said += [f"{vocabulary} ids"] if vocabulary else []
    said += [f"{tokens} tokens"] if tokens else []
    return ", ".join(one for one in said if one)


def _is_at_least(value: object, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least
