"""Texts as rows of token ids: ``tokens..., end, padding...``.

What a token is (a word, a pair of bytes, a character) is the tokenizer's business.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from polymodal.data.specs import ModalitySpec
from polymodal.data.text_settings import MOST_TOKENS
from polymodal.data.tokenization import Tokenizer, fit_tokenizer, tokenizer_from_config
from polymodal.distributions.special_tokens import END

if TYPE_CHECKING:
    from pandas import Index


@dataclass(frozen=True)
class TextCodec:
    """Texts as token ids.

    Arguments:
        tokenizer: Cuts and joins.
        length: Tokens of a row, the end counted; longer texts are cut.
        never_empty: Whether every training text had a token.
    """

    tokenizer: Tokenizer
    length: int
    never_empty: bool = False

    @classmethod
    def fit(
        cls, spec: ModalitySpec, values: np.ndarray, present: np.ndarray, where: str
    ) -> TextCodec:
        """From the training rows."""
        texts = values[present].tolist()
        tokenizer = fit_tokenizer(spec.tokenizer, texts, spec.vocabulary)
        sizes = [len(tokenizer.encode(text)) for text in texts]
        most = spec.tokens or MOST_TOKENS[tokenizer.level]
        length = max(2, min(max(sizes, default=1) + 1, most))
        return cls(tokenizer, length, never_empty=bool(sizes) and min(sizes) > 0)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one row, (T,)."""
        return (self.length,)

    def encode(
        self, values: np.ndarray, present: np.ndarray, where: str, unseen: str
    ) -> tuple[Tensor, Tensor]:
        """Ids (N, T) int64, what is not known as 3; present (N,)."""
        encoded = np.zeros((len(values), self.length), dtype=np.int64)
        for row in np.flatnonzero(present):
            ids = [*self.tokenizer.encode(values[row])[: self.length - 1], END]
            encoded[row, : len(ids)] = ids
        return torch.from_numpy(encoded), torch.from_numpy(np.array(present))

    def decode(self, values: np.ndarray, index: Index | None) -> np.ndarray:
        """Texts up to the first end token, (N,) objects."""
        texts = np.full(len(values), "", dtype=object)
        for row, ids in enumerate(np.asarray(values, dtype=np.int64)):
            ends = np.flatnonzero(ids == END)
            said = ids[: ends[0]] if len(ends) else ids
            texts[row] = self.tokenizer.decode(said.tolist())
        return texts

    def to_config(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """What JSON can hold, and no tensors."""
        level = self.tokenizer.level
        # words are written as they were before there were others, so that both read both
        said = {} if level == "word" else {"level": level}
        full = {"never_empty": True} if self.never_empty else {}
        return {**said, **self.tokenizer.to_config(), "length": self.length, **full}, {}

    @classmethod
    def from_config(
        cls, config: Mapping[str, Any], tensors: Mapping[str, Tensor], spec: ModalitySpec
    ) -> TextCodec:
        """The inverse of :meth:`to_config`; raises ValueError for what no codec wrote."""
        tokenizer, length = tokenizer_from_config(config), config["length"]
        if not isinstance(length, int) or isinstance(length, bool) or length < 2:
            raise ValueError(f"length must be a whole number of at least 2, got {length!r}")
        never_empty = config.get("never_empty", False)  # files of before do not say
        if not isinstance(never_empty, bool):
            raise ValueError(f"never_empty must be true or false, got {never_empty!r}")
        return cls(tokenizer, length, never_empty)
