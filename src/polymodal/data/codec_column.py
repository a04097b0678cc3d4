r"""One column of a table: numbers standardised, logarithms of positives, counts, coded levels.

``number``: z = (x - mean) / sd over the training rows (population standard deviation; a column
that is constant, or has fewer than two known cells, gets sd 1). ``positive``: the same of log x.
Decoding rounds to the decimals that the training column had, if these were 6 at most. Numbers are
held in 64-bit floats, so a whole number beyond 2^53 is told to 16 digits, unless it is constant.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from polymodal.data.cells import as_dates, decimals, from_days, is_date, numbers
from polymodal.data.levels import Level, level_places
from polymodal.data.magnitude import LARGEST, LARGEST_COUNT, check_spread, standardised
from polymodal.data.names import Raw, is_finite, nearest, plain
from polymodal.data.row_error import RowError
from polymodal.data.specs import ColumnSpec
from polymodal.typing import is_whole

if TYPE_CHECKING:
    from pandas import Series

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
        whole: That value, where it is a whole number of a column of such.
    """

    name: str
    kind: str
    dtype: str
    levels: tuple[Level, ...] | None = None
    loc: float = 0.0
    scale: float = 1.0
    places: int | None = None
    constant: bool = False
    whole: int | None = None

    @classmethod
    def fit(cls, spec: ColumnSpec, column: Series, where: str) -> ColumnCodec:
        """From the training rows' values."""
        dtype = str(column.dtype)
        if spec.kind in ("ordinal", "category"):
            levels = spec.levels or _levels_of(column) or (NOTHING_KNOWN,)
            coded = cls(spec.name, spec.kind, _dtype_for(levels, dtype), levels)
            if spec.levels:
                coded._refuse_unlisted(column, where)
            return coded
        values = numbers(column, where)
        codec = cls(spec.name, spec.kind, dtype)
        values = values[~np.isnan(codec._checked(values, where, unseen="raise"))]
        if spec.kind == "count" or not len(values):
            return codec
        places = None if is_date(column) else decimals(_as_they_were(values, dtype))
        shown = np.log(values) if spec.kind == "positive" else values
        with np.errstate(over="ignore", invalid="ignore"):
            loc, scale = float(shown.mean()), float(shown.std())
        check_spread(np.array(loc), np.array(scale), np.abs(values).max(), where)
        constant = len(values) < 2 or not scale > 1e-12 * max(1.0, abs(loc))
        scale = 1.0 if constant else scale
        known = column.dropna()
        one = constant and known.dtype.kind in "iu" and known.nunique() == 1
        whole = int(known.iloc[0]) if one else None
        return replace(codec, loc=loc, scale=scale, places=places, constant=constant, whole=whole)

    def to_config(self) -> dict[str, Any]:
        """What JSON can hold."""
        return {**asdict(self), "levels": self.levels and list(self.levels)}

    @classmethod
    def from_config(cls, entry: Mapping[str, Any]) -> ColumnCodec:
        """The inverse of :meth:`to_config`; raises ValueError for what no codec wrote."""
        import pandas as pd

        levels = entry["levels"]
        one = cls(**{**entry, "levels": tuple(levels) if isinstance(levels, list) else levels})
        leveled = one.kind in ("ordinal", "category")
        numeric = (one.loc, one.scale, one.places or 0)
        for fault, found in (
            (f"levels do not fit the kind {one.kind}", bool(one.levels) is not leveled),
            ("levels must be a list or null", not isinstance(one.levels, tuple | None)),
            ("loc, scale and places must be numbers", not all(map(is_finite, numeric))),
            ("places must be a whole number", one.places is not None and not is_whole(one.places)),
            ("constant must be true or false", not isinstance(one.constant, bool)),
            ("dtype must be a word", not isinstance(one.dtype, str)),
        ):
            if found:
                raise ValueError(f"column {one.name!r}: {fault}")
        if not all(isinstance(v, str) or is_finite(v) for v in one.levels or ()):
            raise ValueError(f"column {one.name!r}: levels must be words or numbers")
        if one.scale <= 0:
            raise ValueError(f"column {one.name!r}: scale must be above 0")
        if one.whole is not None and not is_whole(one.whole, -(2**63)):
            raise ValueError(f"column {one.name!r}: whole must be a whole number")
        pd.api.types.pandas_dtype(one.dtype)
        return one

    def encode(self, column: Series, where: str, unseen: str) -> np.ndarray:
        """Codes or standardised numbers, (N,) float64, NaN where nothing is there."""
        if self.levels is not None:
            return self._codes(column, where, unseen)
        if self.dtype.startswith("datetime64"):
            column = as_dates(column, where)
        values = self._checked(numbers(column, where), where, unseen)
        shown = np.log(values) if self.kind == "positive" else values
        # a count has the mean 0 and the scale 1: it is encoded as it is
        largest = LARGEST_COUNT if self.kind == "count" else LARGEST
        return standardised(
            shown, self.loc, self.scale, where, unseen, raw=values, largest=largest
        )

    def decode(self, values: np.ndarray) -> Raw:
        """Raw values of the training dtype from what networks see, (N,) with NaN for missing."""
        if self.levels is not None:
            return self._from_codes(values)
        raw = values.astype(np.float64)
        if self.kind == "count":
            return self._typed(np.round(np.maximum(raw, 0)))
        if self.whole is not None:
            # as objects: a float holds no whole number beyond 2^53
            exact = np.full(len(raw), self.whole, dtype=object)
            exact[np.isnan(raw)] = np.nan
            return self._typed(exact)
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
            raise RowError(
                where,
                row,
                f": expected {said}, got {values[row]:g}. Mend the cell, leave "
                "it empty, or give the column kind 'number' in the schema.",
            )
        return np.where(wrong, np.nan, values)

    def _codes(self, column: Series, where: str, unseen: str) -> np.ndarray:
        codes, lost = self._places(column)
        if lost.any() and unseen == "raise":
            raise self._stranger(
                column, lost, where, "was not seen in training.",
                "Mend the cell, or leave it empty to take it as missing.",
            )  # fmt: skip
        return np.where(lost | (codes < 0), np.nan, codes)

    def _refuse_unlisted(self, column: Series, where: str) -> None:
        """Levels that the schema gave must hold all that the training rows have."""
        _, lost = self._places(column)
        if lost.any():
            raise self._stranger(
                column, lost, where, "is not among the levels that the schema lists.",
                "Add it to the column's levels in the schema, or mend the cell.",
            )  # fmt: skip

    def _places(self, column: Series) -> tuple[np.ndarray, np.ndarray]:
        """Places among the levels, -1 where there is none; and where a value has none, (N,)."""
        codes = level_places(self.levels or (), column)
        return codes, column.notna().to_numpy(dtype=bool) & (codes < 0)

    def _stranger(
        self, column: Series, lost: np.ndarray, where: str, wrong: str, todo: str
    ) -> RowError:
        """What is wrong with the first value that has no level, and what to do."""
        row = int(np.argmax(lost))
        got = plain(column.iloc[row])
        what = "category" if self.kind == "category" else "level"
        near = nearest(got, [str(one) for one in self.levels or ()])
        return RowError(where, row, f": the {what} {got!r} {wrong}{near} {todo}")

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
            return from_days(raw, self.dtype)
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


def _dtype_for(levels: tuple[Level, ...], dtype: str) -> str:
    """The column's dtype, or ``object`` where it can not hold all levels that a schema lists."""
    import pandas as pd

    if not any(isinstance(one, str) for one in levels):
        return dtype
    if pd.api.types.is_bool_dtype(dtype):  # to which every word is true
        return "object"
    if pd.api.types.is_numeric_dtype(dtype):
        try:
            pd.array(pd.Series(list(levels), dtype=object), dtype=dtype)
        except (ValueError, TypeError, OverflowError):
            return "object"
    return dtype


def _as_they_were(values: np.ndarray, dtype: str) -> np.ndarray:
    return values.astype(np.float32) if "float32" in dtype.lower() else values


def _levels_of(column: Series) -> tuple[Level, ...]:
    import pandas as pd

    if isinstance(column.dtype, pd.CategoricalDtype):
        found = list(column.dtype.categories)
    else:
        found = list(column.dropna().unique())
    if isinstance(column.dtype, pd.CategoricalDtype):
        return tuple(map(plain, found))
    return tuple(sorted(set(map(plain, found)), key=lambda one: (isinstance(one, str), one)))
