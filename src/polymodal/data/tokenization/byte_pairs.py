"""Byte pairs: a text's bytes, joined again and again by the pair that is most frequent.

All 256 bytes are in the vocabulary, so nothing is ever unknown. Learning and encoding are those of
the ``tokenizers`` library; only the list of merges is kept, from which everything follows.

References:
    Neural Machine Translation of Rare Words with Subword Units. Sennrich, Haddow, Birch, 2016,
    https://arxiv.org/abs/1508.07909, algorithm 1. On bytes: Language Models are Unsupervised
    Multitask Learners. Radford et al., 2019, section 2.2.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from typing import Any, ClassVar

from polymodal.data.names import Raw
from polymodal.data.tokenization.base import Tokenizer, one_line
from polymodal.distributions.special_tokens import SPECIAL

LEAST, MOST = 512, 5000
_OCCURRENCES = 20
"""So many words of the training texts, on average, stand for one token of the vocabulary."""


def _letters() -> tuple[str, ...]:
    """The letter that stands for each byte: itself if it can be seen, else one from 256 on."""
    seen = {*range(33, 127), *range(161, 173), *range(174, 256)}
    hidden = [byte for byte in range(256) if byte not in seen]
    return tuple(
        chr(byte) if byte in seen else chr(256 + hidden.index(byte)) for byte in range(256)
    )


_LETTERS = _letters()
_BYTES = {letter: byte for byte, letter in enumerate(_LETTERS)}


def library_installed() -> bool:
    """Whether byte pairs can be had."""
    return find_spec("tokenizers") is not None


@dataclass(frozen=True)
class BytePairTokenizer(Tokenizer):
    """Texts as frequent runs of bytes.

    Arguments:
        merges: Pairs of tokens, each joined to a new one, in the order in which they were learned;
            a byte is written as the letter that stands for it.
    """

    merges: tuple[tuple[str, str], ...]
    level: ClassVar[str] = "bpe"

    @cached_property
    def vocabulary(self) -> tuple[str, ...]:  # type: ignore[override]
        # two pairs may give one token, which has one id
        joined = dict.fromkeys(left + right for left, right in self.merges)
        return (*SPECIAL, *_LETTERS, *joined)

    @classmethod
    def fit(cls, texts: Sequence[str], most: int | None) -> BytePairTokenizer:
        lines = [one_line(text) for text in texts]
        if most is None:
            n_words = sum(line.count(" ") + 1 for line in lines)
            most = min(MOST, max(LEAST, n_words // _OCCURRENCES))
        engine = _engine(list(_LETTERS), [])
        from tokenizers.trainers import BpeTrainer

        trainer: Raw = BpeTrainer(
            vocab_size=most - len(SPECIAL),
            min_frequency=2,
            initial_alphabet=list(_LETTERS),
            special_tokens=[],
            show_progress=False,
        )
        engine.train_from_iterator(lines, trainer)
        learned = json.loads(engine.to_str())["model"]["merges"]
        return cls(tuple((left, right) for left, right in learned))

    @staticmethod
    def normalise(text: str) -> str:
        return one_line(text)

    @cached_property
    def _learned(self) -> Raw:
        return _engine(self.vocabulary[len(SPECIAL) :], self.merges)

    @cached_property
    def _runs(self) -> list[bytes]:
        """The bytes of each id."""
        own = self.vocabulary[len(SPECIAL) :]
        return [b""] * len(SPECIAL) + [bytes(_BYTES[one] for one in token) for token in own]

    def encode(self, text: str) -> list[int]:
        return [i + len(SPECIAL) for i in self._learned.encode(one_line(text)).ids]

    def decode(self, ids: Iterable[int]) -> str:
        """The text of some ids; bytes that form no character are left out."""
        return one_line(b"".join(self._runs[i] for i in ids).decode("utf-8", "ignore"))

    def to_config(self) -> dict[str, Any]:
        return {"merges": [list(pair) for pair in self.merges]}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> BytePairTokenizer:
        known, merges = set(_LETTERS), []
        for pair in config["merges"]:
            left, right = pair
            if left not in known or right not in known:
                raise ValueError(f"the merge {pair!r:.60} joins what is not yet a token")
            known.add(left + right)
            merges.append((left, right))
        return cls(tuple(merges))


def _engine(tokens: Iterable[str], merges: Iterable[tuple[str, str]]) -> Raw:
    """The library's tokenizer of some tokens and merges.

    Raises:
        ImportError: If the library is not installed.
    """
    if not library_installed():
        raise ImportError(
            "texts as byte pairs need the library tokenizers, which is not installed: "
            "pip install 'polymodal[text]', or set tokenizer='char' in the schema."
        )
    from tokenizers import Tokenizer as Engine
    from tokenizers.models import BPE
    from tokenizers.pre_tokenizers import ByteLevel

    vocabulary = {token: i for i, token in enumerate(tokens)}
    engine: Raw = Engine(BPE(vocabulary, list(merges)))
    engine.pre_tokenizer = ByteLevel(add_prefix_space=False)
    return engine
