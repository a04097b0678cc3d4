r"""Texts: words of a vocabulary learned on training rows, in lower case.

A token is a run of letters and digits (with inner hyphens and apostrophes), or one sign of
punctuation. Ids: 0 padding, 1 start (never in the data), 2 end, 3 unknown, then words by
falling frequency, ties by the alphabet. A row is ``words..., 2, 0, 0``.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from polymodal.data.schema import DEFAULT_TOKENS, ModalitySpec

if TYPE_CHECKING:
    from pandas import Index

SPECIAL = ("<pad>", "<start>", "<end>", "<unknown>")
PAD, START, END, UNKNOWN = range(4)
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
    return _TOKEN.findall(text.lower())


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
class TextCodec:
    """Texts as token ids.

    Arguments:
        words: The vocabulary; a word's place is its id, the special tokens first.
        length: Tokens of a row, the end counted; longer texts are cut.
    """

    words: tuple[str, ...]
    length: int

    @classmethod
    def fit(
        cls, spec: ModalitySpec, values: np.ndarray, present: np.ndarray, where: str
    ) -> TextCodec:
        """From the training rows."""
        rows = [tokens_of(text) for text in values[present]]
        counts = Counter(token for row in rows for token in row)
        # a word that comes once in a large corpus teaches the model nothing but itself
        least = 1 if len(counts) <= MOST_WORDS // 5 else 2
        ranked = sorted((-n, word) for word, n in counts.items() if n >= least)
        words = SPECIAL + tuple(word for _, word in ranked[: MOST_WORDS - len(SPECIAL)])
        longest = max((len(row) for row in rows), default=1) + 1
        return cls(words, max(2, min(longest, spec.tokens or DEFAULT_TOKENS)))

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one row, (T,)."""
        return (self.length,)

    @cached_property
    def _ids(self) -> dict[str, int]:
        return {word: i for i, word in enumerate(self.words) if i >= len(SPECIAL)}

    def encode(
        self, values: np.ndarray, present: np.ndarray, where: str, unseen: str
    ) -> tuple[Tensor, Tensor]:
        """Ids (N, T) int64, words that are not known as 3; present (N,)."""
        encoded = np.zeros((len(values), self.length), dtype=np.int64)
        for row in np.flatnonzero(present):
            ids = [self._ids.get(one, UNKNOWN) for one in tokens_of(values[row])]
            ids = [*ids[: self.length - 1], END]
            encoded[row, : len(ids)] = ids
        return torch.from_numpy(encoded), torch.from_numpy(np.array(present))

    def decode(self, values: np.ndarray, index: Index | None) -> np.ndarray:
        """Texts up to the first end token, (N,) objects."""
        texts = np.full(len(values), "", dtype=object)
        for row, ids in enumerate(np.asarray(values, dtype=np.int64)):
            ends = np.flatnonzero(ids == END)
            said = ids[: ends[0]] if len(ends) else ids
            texts[row] = join_tokens(self.words[i] for i in said if i not in (PAD, START))
        return texts

    def to_config(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """What JSON can hold, and no tensors."""
        return {"words": list(self.words), "length": self.length}, {}

    @classmethod
    def from_config(
        cls, config: Mapping[str, Any], tensors: Mapping[str, Tensor], spec: ModalitySpec
    ) -> TextCodec:
        """The inverse of :meth:`to_config`; raises ValueError for what no codec wrote."""
        words, length = config["words"], config["length"]
        if not isinstance(words, Sequence) or not all(isinstance(one, str) for one in words):
            raise ValueError("words must be a list of strings")
        if tuple(words[: len(SPECIAL)]) != SPECIAL or len(words) > MOST_WORDS:
            raise ValueError(
                f"words must begin with {', '.join(SPECIAL)} and be {MOST_WORDS} at most"
            )
        if not isinstance(length, int) or isinstance(length, bool) or length < 2:
            raise ValueError(f"length must be a whole number of at least 2, got {length!r}")
        return cls(tuple(words), length)
