"""Words in lower case: runs of letters and digits, and single signs of punctuation.

Ids go by falling frequency, ties by the alphabet. A word that was not seen in training is unknown.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

from polymodal.data.tokenization.base import Tokenizer, composed
from polymodal.distributions.special_tokens import PAD, SPECIAL, START, UNKNOWN

MOST_WORDS = 5000
_TOKEN = re.compile(r"\w+(?:['\u2019-]\w+)*|[^\w\s]")
_CLOSING = frozenset(".,;:!?)]}%…»”")
_OPENING = frozenset("([{«“")


def tokens_of(text: str) -> list[str]:
    """The tokens of a text.

    Example:
        >>> tokens_of("This is a T-shirt, isn't it?")
        ['this', 'is', 'a', 't-shirt', ',', "isn't", 'it', '?']
    """
    return _TOKEN.findall(composed(text).lower())


def join_tokens(tokens: Iterable[str]) -> str:
    """A text of tokens, with punctuation where it belongs.

    Example:
        >>> join_tokens(["a", "coat", "(", "wide", ")", ",", "dark", "."])
        'a coat (wide), dark.'
    """
    text, opened = "", True
    for token in tokens:
        text += token if opened or token in _CLOSING else f" {token}"
        opened = token in _OPENING
    return text


@dataclass(frozen=True)
class WordTokenizer(Tokenizer):
    """Texts as words.

    Arguments:
        words: The vocabulary; a word's place is its id, the special tokens first.
    """

    words: tuple[str, ...]
    level: ClassVar[str] = "word"

    @property
    def vocabulary(self) -> tuple[str, ...]:
        return self.words

    @classmethod
    def fit(cls, texts: Sequence[str], most: int | None) -> WordTokenizer:
        most = most or MOST_WORDS
        counts = Counter(token for text in texts for token in tokens_of(text))
        # a word that comes once in a large corpus teaches the model nothing but itself
        least = 1 if len(counts) <= MOST_WORDS // 5 else 2
        ranked = sorted((-n, word) for word, n in counts.items() if n >= least)
        return cls(SPECIAL + tuple(word for _, word in ranked[: most - len(SPECIAL)]))

    @staticmethod
    def normalise(text: str) -> str:
        return join_tokens(tokens_of(text))

    @cached_property
    def _ids(self) -> dict[str, int]:
        return {word: i for i, word in enumerate(self.words) if i >= len(SPECIAL)}

    def encode(self, text: str) -> list[int]:
        return [self._ids.get(one, UNKNOWN) for one in tokens_of(text)]

    def decode(self, ids: Iterable[int]) -> str:
        return join_tokens(self.words[i] for i in ids if i not in (PAD, START))

    def to_config(self) -> dict[str, Any]:
        return {"words": list(self.words)}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> WordTokenizer:
        words = config["words"]
        if not isinstance(words, Sequence) or not all(isinstance(one, str) for one in words):
            raise ValueError("words must be a list of strings")
        if tuple(words[: len(SPECIAL)]) != SPECIAL:
            raise ValueError(f"words must begin with {', '.join(SPECIAL)}")
        return cls(tuple(words))
