"""Columns of any dtype as what the rest computes with: numbers, dates as days, and no inf."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from polymodal.data.names import Raw
from polymodal.data.row_error import RowError

if TYPE_CHECKING:
    from pandas import DataFrame, Series

_DAY, _SECOND = np.timedelta64(1, "D"), np.timedelta64(1, "s")


def is_date(column: Series) -> bool:
    """Whether a column holds dates, with a time zone or without."""
    import pandas as pd

    return isinstance(column.dtype, pd.DatetimeTZDtype) or column.dtype.kind == "M"


def from_days(days: np.ndarray, dtype: str) -> Raw:
    """Dates from days since 1970, to the second."""
    import pandas as pd

    lost = np.isnan(days)
    # the years that pandas' nanoseconds can hold
    seconds = np.round(np.clip(np.where(lost, 0, days), -106_000, 106_000) * (_DAY / _SECOND))
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


def numbers(column: Series, where: str) -> np.ndarray:
    """A column's numbers in float64, (N,), NaN where missing; dates in days since 1970.

    Raises:
        ValueError: If a value is no number, or is infinite; names the row.
    """
    import pandas as pd

    if is_date(column):
        stamps = column.dt.tz_convert("UTC").dt.tz_localize(None) if _has_zone(column) else column
        days = (stamps.to_numpy() - np.datetime64("1970-01-01")) / _DAY
        return np.asarray(days, dtype=np.float64)
    if isinstance(column.dtype, pd.CategoricalDtype):
        column = column.astype(object)
    numeric: Raw = pd.to_numeric(column, errors="coerce")
    values = numeric.to_numpy(dtype=np.float64, na_value=np.nan)
    lost = np.isnan(values) & column.notna().to_numpy(dtype=bool)
    if lost.any():
        row = int(np.argmax(lost))
        raise RowError(
            where,
            row,
            f": expected a number, got {column.iloc[row]!r}. Mend the cell, "
            "or give the column another kind in the schema.",
        )
    refuse_infinite(values, where)
    return values


def _has_zone(column: Series) -> bool:
    import pandas as pd

    return isinstance(column.dtype, pd.DatetimeTZDtype)


def as_dates(column: Series, where: str) -> Series:
    """A column of a date's kind as dates; one of numbers, days since 1970, as it is.

    Raises:
        ValueError: If a value is neither a date nor written as one; names the row.
    """
    import pandas as pd

    if is_date(column):
        return column
    known = column.notna().to_numpy(dtype=bool)
    numeric: Raw = pd.to_numeric(column.astype(object), errors="coerce")
    if numeric.notna().to_numpy(dtype=bool)[known].all():
        return column
    dates: Raw = pd.to_datetime(column.astype(object), errors="coerce", utc=True, format="ISO8601")
    lost = known & dates.isna().to_numpy(dtype=bool)
    if lost.any():
        row = int(np.argmax(lost))
        raise RowError(
            where,
            row,
            f": expected a date such as 2024-05-31, got {column.iloc[row]!r}. "
            "Mend the cell, or leave it empty to take it as missing.",
        )
    return dates


def refuse_infinite(values: np.ndarray, where: str, present: np.ndarray | None = None) -> None:
    """Raise if a number is infinite; names the row, and the feature of a matrix.

    Where ``present``, of the shape of the values or (N,) of their rows, is false nothing matters.
    """
    if values.dtype.kind not in "fc":
        return
    infinite = np.isinf(values)
    if present is not None:
        infinite &= present.reshape(*present.shape, *(1,) * (infinite.ndim - present.ndim))
    if infinite.any():
        row, *rest = (int(one) for one in np.argwhere(infinite)[0])
        place = f", value {rest[0]}" if len(rest) == 1 else ""
        raise RowError(
            where,
            row,
            f"{place}: the value is infinite; put a finite number there, or "
            "NaN if it is not known.",
        )


def refuse_infinite_frame(frame: DataFrame, columns: list[object], origin: str) -> None:
    """Raise if a column of floats holds inf; names row and column."""
    for name in columns:
        column = frame[name]
        if getattr(column.dtype, "kind", "O") == "f":
            values = column.to_numpy(dtype=np.float64, na_value=np.nan)
            refuse_infinite(values, f"{origin}, column {str(name)!r}")
        elif column.dtype == object:
            found = np.fromiter(
                (isinstance(v, float) and (v in (np.inf, -np.inf)) for v in column), dtype=bool
            )
            refuse_infinite(np.where(found, np.inf, 0.0), f"{origin}, column {str(name)!r}")


def emptied(column: Series, present: np.ndarray) -> Series:
    """The column with nothing where ``present`` (N,) is false; widened only if it must be.

    Whole numbers and truth values have no room for a hole: whole numbers become float64, truth
    values objects.
    """
    if present.all():
        return column
    kind = getattr(column.dtype, "kind", "O")
    if isinstance(column.dtype, np.dtype):
        if kind in "iu":
            column = column.astype(np.float64)
        elif kind == "b":
            column = column.astype(object)
    return column.where(present)


def masked(column: Series, present: np.ndarray) -> Series:
    """The same with pandas' own dtypes of whole numbers and truth values, which have holes.

    An array beside a mask keeps its dtype by it: answers come back in the dtype that went in.
    """
    kind = column.dtype.kind if isinstance(column.dtype, np.dtype) else "O"
    if present.all() or kind not in "iub":
        return emptied(column, present)
    named = str(column.dtype).replace("uint", "UInt").replace("int", "Int")
    return column.astype("boolean" if kind == "b" else named).where(present)  # type: ignore[call-overload]


def decimals(values: np.ndarray) -> int | None:
    """The fewest decimals, at most 6, that hold all numbers as they are; None if none do.

    ``values`` (N,) without NaN, in float64 (float32 data are compared in their own precision).

    Example:
        >>> decimals(np.array([1.0, 2.25])), decimals(np.array([1 / 3]))
        (2, None)
    """
    for places in range(7):
        rounded = np.round(values, places)
        if np.array_equal(rounded.astype(values.dtype), values):
            return places
    return None
