"""A table's columns together: one codec each, in the order of the schema."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from polymodal.data.codec_column import ColumnCodec
from polymodal.data.names import Raw
from polymodal.data.specs import ModalitySpec
from polymodal.typing import Column

if TYPE_CHECKING:
    from pandas import DataFrame, Index


@dataclass(frozen=True)
class TableCodec:
    """All columns of a table modality."""

    codecs: tuple[ColumnCodec, ...]

    @classmethod
    def fit(
        cls, spec: ModalitySpec, frame: DataFrame, present: np.ndarray, where: str
    ) -> TableCodec:
        """From the training rows."""
        columns: Mapping[str, Raw] = dict(frame.items())  # type: ignore[arg-type]
        return cls(
            tuple(
                ColumnCodec.fit(one, columns[one.name], f"{where}, column {one.name!r}")
                for one in spec.columns
            )
        )

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one row."""
        return (len(self.codecs),)

    @property
    def columns(self) -> tuple[Column, ...]:
        """What networks and likelihoods know of the columns."""
        return tuple(
            Column(one.name, one.kind, len(one.levels or ()))  # type: ignore[arg-type]
            for one in self.codecs
        )

    def encode(
        self, frame: DataFrame, present: np.ndarray, where: str, unseen: str
    ) -> tuple[Tensor, Tensor]:
        """Values (N, P) float32, 0 where nothing is there; present (N, P)."""
        columns: Mapping[str, Raw] = dict(frame.items())  # type: ignore[arg-type]
        cells = np.empty((len(frame), len(self.codecs)), dtype=np.float64)
        for i, one in enumerate(self.codecs):
            place = f"{where}, column {one.name!r}"
            cells[:, i] = one.encode(columns[one.name], place, unseen)
        there = ~np.isnan(cells)
        values = np.where(there, cells, 0).astype(np.float32)
        return torch.from_numpy(values), torch.from_numpy(there)

    def decode(self, values: np.ndarray, index: Index | None) -> DataFrame:
        """A frame with the dtypes of training from (N, P)."""
        import pandas as pd

        index = pd.RangeIndex(len(values)) if index is None else index
        columns = {}
        for i, one in enumerate(self.codecs):
            raw = one.decode(values[:, i])
            # without this pandas would make strings of objects that are all strings
            dtype = object if raw.dtype == object else None
            columns[one.name] = pd.Series(raw, index=index, dtype=dtype)
        return pd.concat(columns, axis=1)

    def log_jacobian(self, values: Tensor, present: Tensor) -> Tensor:
        """Sum over present cells, (B,)."""
        cells = torch.stack(
            [one.log_jacobian(values[:, i]) for i, one in enumerate(self.codecs)], 1
        )
        return torch.where(present, cells, 0).sum(1)

    def to_config(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """What JSON can hold, and no tensors."""
        columns = [one.to_config() for one in self.codecs]
        return {"columns": columns}, {}

    @classmethod
    def from_config(
        cls, config: Mapping[str, Any], tensors: Mapping[str, Tensor], spec: ModalitySpec
    ) -> TableCodec:
        """The inverse of :meth:`to_config`; raises ValueError for what no codec wrote."""
        codecs = []
        for column, entry in zip(spec.columns, config["columns"], strict=True):
            one = ColumnCodec.from_config(entry)
            if (one.name, one.kind) != (column.name, column.kind):
                raise ValueError(f"column {one.name!r} is not the schema's {column.name!r}")
            codecs.append(one)
        return cls(tuple(codecs))
