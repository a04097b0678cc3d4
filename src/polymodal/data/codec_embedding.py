"""Embeddings of a frozen encoder: centred, and divided by one scale for all of their numbers.

Unlike a vector's, an embedding's numbers have no units of their own; one scale keeps the angles
about the mean, by which embeddings are compared. Where all rows of training have the length 1,
decoded ones have it too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from polymodal.data.codec_arrays import VectorCodec
from polymodal.data.specs import ModalitySpec

if TYPE_CHECKING:
    from pandas import Index

_UNIT = 1e-4


@dataclass(frozen=True)
class EmbeddingCodec(VectorCodec):
    """z = (x - mean) / s, with s the root mean variance over all features.

    Arguments:
        unit: Whether every row of training has the length 1.
    """

    unit: bool = False

    @classmethod
    def fit(
        cls, spec: ModalitySpec, values: np.ndarray, present: np.ndarray, where: str
    ) -> EmbeddingCodec:
        """From the training rows."""
        each = super().fit(spec, values, present, where)
        away = np.where(present, values, each.loc) - each.loc
        spread = np.sqrt(np.square(away).sum(0))
        n_known = present.sum(0)
        variances = np.square(spread[n_known > 1]) / n_known[n_known > 1]
        common = float(np.sqrt(variances.mean())) if variances.size else 0.0
        common = common if common > 1e-12 * max(1, float(np.abs(each.loc).max())) else 1.0
        whole = values[present.all(1)].astype(np.float64)
        lengths = np.linalg.norm(whole, axis=1)
        unit = bool(len(whole) > 1 and values.dtype.kind == "f")
        unit = unit and bool((np.abs(lengths - 1) < _UNIT).all())
        return replace(each, scale=np.full(each.scale.shape, common), unit=unit)

    def decode(self, values: np.ndarray, index: Index | None) -> np.ndarray:
        """Raw embeddings of the training dtype, of the length 1 where training's were."""
        raw = super().decode(values, index)
        if not self.unit:
            return raw
        lengths = np.linalg.norm(raw.astype(np.float64), axis=1, keepdims=True)
        return np.where(lengths > 0, raw / np.where(lengths > 0, lengths, 1), raw).astype(
            raw.dtype
        )

    def to_config(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """What JSON can hold, and the tensors of a vector's codec."""
        config, tensors = super().to_config()
        return {**config, "unit": self.unit}, tensors

    @classmethod
    def from_config(
        cls, config: Mapping[str, Any], tensors: Mapping[str, Tensor], spec: ModalitySpec
    ) -> EmbeddingCodec:
        """The inverse of :meth:`to_config`; raises ValueError for what no codec wrote."""
        if not isinstance(config["unit"], bool):
            raise ValueError("unit must be true or false")
        return replace(super().from_config(config, tensors, spec), unit=config["unit"])
