r"""Tables: numbers standardised, logarithms of positive numbers, counts as they are, levels coded.

``number``: z = (x - mean) / sd over the training rows (population standard deviation; a column
that is constant, or has fewer than two known cells, gets sd 1). ``positive``: the same of log x.
Decoding rounds to the decimals that the training column had, if these were 6 at most.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from polymodal.data.cells import DAY, decimals, is_date, numbers
from polymodal.data.names import Raw, nearest
from polymodal.data.schema import ColumnSpec, Level, ModalitySpec
from polymodal.typing import Column

if TYPE_CHECKING:
    from pandas import DataFrame, Index, Series

NOTHING_KNOWN = ""
"""The one level of a category of which no training row has a value; decoded as missing."""

_LARGEST_LOG = math.log(np.finfo(np.float32).max)


@dataclass(frozen=True)
class ColumnCodec:
    """One column of a table, there and back.

    Arguments:
        name: The column's name.
        kind: Its kind.
        dtype: pandas' name of the dtype that its training values had.
        levels: Values of an ordinal or category column; a code is a place in it.
        loc, scale: Mean and standard deviation of a number, or of a positive number's logarithm.
        places: Decimals that decoded values are rounded to; None leaves them.
        constant: Whether training knew one value only, which then is every answer.
    """

    name: str
    kind: str
    dtype: str
    levels: tuple[Level, ...] | None = None
    loc: float = 0.0
    scale: float = 1.0
    places: int | None = None
    constant: bool = False

    @classmethod
    def fit(cls, spec: ColumnSpec, column: Series, where: str) -> ColumnCodec:
        """From the training rows' values."""
        dtype = str(column.dtype)
        if spec.kind in ("ordinal", "category"):
            levels = spec.levels or _levels_of(column) or (NOTHING_KNOWN,)
            return cls(spec.name, spec.kind, dtype, levels)
        values = numbers(column, where)
        codec = cls(spec.name, spec.kind, dtype)
        values = values[~np.isnan(codec._checked(values, where, unseen="raise"))]
        if spec.kind == "count" or not len(values):
            return codec
        places = None if is_date(column) else decimals(_as_they_were(values, dtype))
        shown = np.log(values) if spec.kind == "positive" else values
        with np.errstate(over="ignore", invalid="ignore"):
            loc, scale = float(shown.mean()), float(shown.std())
        if not (math.isfinite(loc) and math.isfinite(scale)):
            raise ValueError(
                f"{where}: numbers of up to {np.abs(values).max():g} in size have no standard "
                "deviation that a computer can hold; divide the column, or take its logarithm."
            )
        constant = len(values) < 2 or not scale > 1e-12 * max(1.0, abs(loc))
        scale = 1.0 if constant else scale
        return replace(codec, loc=loc, scale=scale, places=places, constant=constant)

    def encode(self, column: Series, where: str, unseen: str) -> np.ndarray:
        """Codes or standardised numbers, (N,) float64, NaN where nothing is there."""
        if self.levels is not None:
            return self._codes(column, where, unseen)
        values = self._checked(numbers(column, where), where, unseen)
        if self.kind == "count":
            return values
        shown = np.log(values) if self.kind == "positive" else values
        return (shown - self.loc) / self.scale

    def decode(self, values: np.ndarray) -> Raw:
        """Raw values of the training dtype from what networks see, (N,) with NaN for missing."""
        if self.levels is not None:
            return self._from_codes(values)
        raw = values.astype(np.float64)
        if self.kind == "count":
            return self._typed(np.round(np.maximum(raw, 0)))
        raw = np.where(np.isnan(raw), raw, 0.0) if self.constant else raw * self.scale
        raw = raw + self.loc
        if self.kind == "positive":
            # the guard: a wild draw stays a finite number above zero
            raw = np.exp(np.clip(raw, -_LARGEST_LOG, _LARGEST_LOG))
        if self.places is not None:
            rounded = np.round(raw, self.places)
            low = 10.0**-self.places
            raw = np.maximum(rounded, low) if self.kind == "positive" else rounded
        return self._typed(raw)

    def log_jacobian(self, values: Tensor) -> Tensor:
        """log |d encoded / d raw| a cell, in nats, from encoded values (B,)."""
        if self.kind not in ("number", "positive"):
            return torch.zeros_like(values)
        slope = torch.full_like(values, -math.log(self.scale))
        return slope - (values * self.scale + self.loc) if self.kind == "positive" else slope

    def _checked(self, values: np.ndarray, where: str, unseen: str) -> np.ndarray:
        """The values, NaN (or an error) where they can not be of this kind."""
        if self.kind == "positive":
            wrong, said = values <= 0, "a positive number"
        elif self.kind == "count":
            wrong, said = (values < 0) | (values != np.round(values)), "a count (0, 1, 2, ...)"
        else:
            return values
        wrong &= ~np.isnan(values)
        if wrong.any() and unseen == "raise":
            row = int(np.argmax(wrong))
            raise ValueError(
                f"{where}, row {row}: expected {said}, got {values[row]:g}. Mend the cell, leave "
                "it empty, or give the column kind 'number' in the schema."
            )
        return np.where(wrong, np.nan, values)

    def _codes(self, column: Series, where: str, unseen: str) -> np.ndarray:
        import pandas as pd

        levels = pd.Index(list(self.levels or ()), dtype=object)
        there = column.notna().to_numpy(dtype=bool)
        codes = levels.get_indexer(pd.Index(column.astype(object).to_numpy(), dtype=object))
        lost = there & (codes < 0)
        if lost.any() and unseen == "raise":
            row = int(np.argmax(lost))
            got = column.iloc[row]
            got = got.item() if isinstance(got, np.generic) else got
            what = "category" if self.kind == "category" else "level"
            raise ValueError(
                f"{where}, row {row}: the {what} {got!r} was not seen in training."
                f"{nearest(got, [str(one) for one in self.levels or ()])} Mend the cell, or "
                "leave it empty to take it as missing."
            )
        return np.where(there & ~lost, codes, np.nan)

    def _from_codes(self, values: np.ndarray) -> Raw:
        import pandas as pd

        levels = np.empty(len(self.levels or ()), dtype=object)
        levels[:] = list(self.levels or ())
        lost = np.isnan(values)
        if self.levels == (NOTHING_KNOWN,):
            lost = np.ones(len(values), dtype=bool)
        codes = np.clip(np.round(np.where(lost, 0, values)), 0, len(levels) - 1).astype(np.int64)
        if self.dtype.startswith("category"):
            codes = np.where(lost, -1, codes)
            ordered = self.kind == "ordinal"
            return pd.Categorical.from_codes(codes, categories=list(levels), ordered=ordered)
        raw = levels[codes]
        if lost.any():
            raw[lost] = None
        return self._typed(raw)

    def _typed(self, raw: np.ndarray) -> Raw:
        """Values in the dtype of training; in float64 or as objects where that has no hole."""
        import pandas as pd

        holes = pd.isna(raw)
        if self.dtype.startswith("datetime64"):
            return _dates(raw, self.dtype)
        if raw.dtype == object and holes.all() and self.dtype.startswith(("float", "category")):
            return np.full(len(raw), np.nan)
        dtype = pd.api.types.pandas_dtype("object" if self.dtype == "category" else self.dtype)
        if isinstance(dtype, np.dtype):
            if dtype.kind in "iu" and raw.dtype != object:
                info = np.iinfo(dtype)
                # As a float the largest integer of 64 bits is one too many.
                most = float(info.max)
                most = most if int(most) <= info.max else np.nextafter(most, 0)
                raw = np.clip(np.round(raw), info.min, most)
            if holes.any() and dtype.kind in "iub":
                numeric = dtype.kind in "iu"
                return np.where(holes, np.nan, raw).astype(np.float64) if numeric else raw
            return raw.astype(dtype)
        return pd.array(pd.Series(raw), dtype=dtype)


def _as_they_were(values: np.ndarray, dtype: str) -> np.ndarray:
    return values.astype(np.float32) if "float32" in dtype.lower() else values


def _levels_of(column: Series) -> tuple[Level, ...]:
    import pandas as pd

    if isinstance(column.dtype, pd.CategoricalDtype):
        found = list(column.dtype.categories)
    else:
        found = list(column.dropna().unique())
    plain = {one.item() if isinstance(one, np.generic) else one for one in found}
    if isinstance(column.dtype, pd.CategoricalDtype):
        return tuple(one.item() if isinstance(one, np.generic) else one for one in found)
    return tuple(sorted(plain, key=lambda one: (isinstance(one, str), one)))


def _dates(days: np.ndarray, dtype: str) -> Raw:
    """Dates from days since 1970, to the second."""
    import pandas as pd

    lost = np.isnan(days)
    # the years that pandas' nanoseconds can hold
    seconds = np.round(np.clip(np.where(lost, 0, days), -106_000, 106_000) * (DAY / _SECOND))
    stamps = np.datetime64("1970-01-01", "s") + seconds.astype("timedelta64[s]")
    stamps[lost] = np.datetime64("NaT")
    wanted: Raw = pd.api.types.pandas_dtype(dtype)
    if isinstance(wanted, pd.DatetimeTZDtype):
        return (
            pd.DatetimeIndex(stamps)
            .as_unit(wanted.unit)
            .tz_localize("UTC")
            .tz_convert(wanted.tz)
            .array
        )
    return stamps.astype(wanted)


_SECOND = np.timedelta64(1, "s")


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
        keys = ("name", "kind", "dtype", "loc", "scale", "places", "constant")
        columns = [
            {**{key: getattr(one, key) for key in keys}, "levels": one.levels and list(one.levels)}
            for one in self.codecs
        ]
        return {"columns": columns}, {}

    @classmethod
    def from_config(
        cls, config: Mapping[str, Any], tensors: Mapping[str, Tensor], spec: ModalitySpec
    ) -> TableCodec:
        """The inverse of :meth:`to_config`; raises ValueError for what no codec wrote."""
        import pandas as pd

        codecs = []
        for column, entry in zip(spec.columns, config["columns"], strict=True):
            one = ColumnCodec(**{**entry, "levels": entry["levels"] and tuple(entry["levels"])})
            if (one.name, one.kind) != (column.name, column.kind):
                raise ValueError(f"column {one.name!r} is not the schema's {column.name!r}")
            if (one.kind in ("ordinal", "category")) != bool(one.levels):
                raise ValueError(f"column {one.name!r}: levels do not fit the kind {one.kind}")
            numeric = (one.loc, one.scale, one.places or 0)
            if not all(isinstance(v, int | float) and math.isfinite(v) for v in numeric):
                raise ValueError(f"column {one.name!r}: loc, scale and places must be numbers")
            if not isinstance(one.constant, bool):
                raise ValueError(f"column {one.name!r}: constant must be true or false")
            if one.scale <= 0 or not isinstance(one.dtype, str):
                raise ValueError(f"column {one.name!r}: scale must be above 0")
            pd.api.types.pandas_dtype(one.dtype)
            codecs.append(one)
        return cls(tuple(codecs))
