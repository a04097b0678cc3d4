"""Series as people keep them: (rows, times) or (rows, channels, times), as arrays or in cells.

A missing stretch is NaN. Rows in cells may have different lengths: the shorter ones lack their
last times, which are then missing like any others.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np

from polymodal.data.cells import refuse_infinite
from polymodal.data.kinds import COUNTED
from polymodal.data.names import Raw
from polymodal.data.row_error import RowError
from polymodal.data.specs import ModalitySpec
from polymodal.data.written import parsed, shown


def read_series(
    spec: ModalitySpec, values: Raw, present: np.ndarray, where: str
) -> tuple[ModalitySpec, np.ndarray, np.ndarray]:
    """A column of series, checked.

    Returns:
        The specification with its size, values (N, T) or (N, C, T), presence (N, C T).

    Raises:
        ValueError: If a cell is no series, is infinite, or is no count where counts are said.
    """
    if values.dtype == object:
        values = _stacked(values, present, where, spec)
    if values.ndim not in (2, 3) or values.dtype.kind not in "iufb" or 0 in values.shape[1:]:
        raise ValueError(
            f"{where}: series need numbers of the shape (rows, times) or (rows, channels, times), "
            f"got {values.dtype} of shape {values.shape}."
        )
    size = (1, values.shape[1]) if values.ndim == 2 else (values.shape[1], values.shape[2])
    if spec.size is not None and spec.size != size:
        raise ValueError(
            f"{where}: the schema has series of {_said(spec.size)}, the data {_said(size)}."
        )
    flat = values.reshape(len(values), -1)
    cells = present[:, None] if present.ndim == 1 else present.reshape(len(values), -1)
    cells = np.broadcast_to(cells, flat.shape)
    refuse_infinite(flat, where, cells)
    if flat.dtype.kind == "f":
        cells = cells & ~np.isnan(flat)
    if spec.likelihood in COUNTED and (wrong := no_counts(flat, cells)).any():
        row, place = (int(i) for i in np.argwhere(wrong)[0])
        raise RowError(
            where,
            row,
            f", time {place % size[1]}: expected a count (0, 1, 2, ...), got "
            f"{flat[row, place]}; mend it, or set likelihood: gaussian in the schema.",
        )
    return replace(spec, size=size), values, np.array(cells)


def are_counts(flat: np.ndarray, cells: np.ndarray) -> bool:
    """Whether all known values are whole and none is negative; false where none is known."""
    return bool(cells.any() and not no_counts(flat, cells).any())


def no_counts(flat: np.ndarray, cells: np.ndarray) -> np.ndarray:
    """Which known values are below 0 or no whole numbers, bool like ``flat``."""
    return cells & ((flat < 0) | (flat != flat.round()))


def _said(size: Any) -> str:  # noqa: ANN401
    channels = "1 channel" if size[0] == 1 else f"{size[0]} channels"
    return f"{channels} x {size[1]} times"


def _stacked(cells: np.ndarray, present: np.ndarray, where: str, spec: ModalitySpec) -> np.ndarray:
    """Cells of lists or arrays as one array of float64, NaN where nothing is."""
    rows = np.flatnonzero(present)
    found = [numeric_cell(cells[row], f"{where}, row {row}", "a series") for row in rows]
    size = spec.size if isinstance(spec.size, tuple) else None
    lead = _lead(found, size)
    for row, one in zip(rows, found, strict=True):
        if one.size and (one.ndim not in (1, 2) or one.shape[:-1] != lead):
            expected = "(times,) or (channels, times) like the other rows"
            raise RowError(
                where,
                row,
                f": expected {_said(size) + ' at most' if size else expected}, "
                f"got shape {one.shape}.",
            )
    longest = max((one.shape[-1] for one in found), default=0)
    times = size[1] if size else longest
    if not times:
        raise ValueError(f"{where}: no row has a value; give the size in the schema.")
    if longest > times:
        row = next(r for r, one in zip(rows, found, strict=True) if one.shape[-1] > times)
        raise RowError(
            where, row, f": a series of {longest} times, the schema has {times}; cut it."
        )
    stacked = np.full((len(cells), *lead, times), np.nan)
    for row, one in zip(rows, found, strict=True):
        if one.size:
            stacked[row, ..., : one.shape[-1]] = one
    return stacked


def _lead(found: list[np.ndarray], size: tuple[int, int] | None) -> tuple[int, ...]:
    """The axes before time: those of the schema, else of most cells that have a value."""
    shapes = [one.shape[:-1] for one in found if one.size and one.ndim in (1, 2)]
    if size is not None:
        shapes = [one for one in shapes if one == (size[0],) or (size[0] == 1 and not one)]
    if not shapes:
        return () if size is None or size[0] == 1 else (size[0],)
    return Counter(shapes).most_common(1)[0][0]


def whole_like(
    cells: np.ndarray, new: np.ndarray, before: Iterable[Any], counted: bool
) -> np.ndarray:
    """New series without a point, where all lists of the column hold whole numbers.

    If the column has no list they are without one where they are ``counted``.
    """
    known = [one for one in map(parsed, before) if isinstance(one, list | tuple | np.ndarray)]
    if not all(_is_whole(numeric_cell(one, "", "")) for one in known) or not (known or counted):
        return cells
    cells = cells.copy()
    for row in np.flatnonzero(new):
        if cells[row] is not None:
            cells[row] = whole_if_all(cells[row])
    return cells


def _is_whole(cell: np.ndarray) -> bool:
    """Whether a cell holds whole numbers; one with NaN may hold them in disguise."""
    if cell.dtype.kind != "f" or not cell.size:
        return True
    known = cell[~np.isnan(cell)]
    return len(known) < cell.size and bool((known == known.round()).all())


def whole_if_all(values: np.ndarray) -> np.ndarray:
    """Values as int64 if all are whole numbers that it holds, else as they are."""
    values = np.asarray(values)
    if values.dtype.kind != "f" or not (np.abs(values) < 2**53).all():
        return values
    return values.astype(np.int64) if (values == values.round()).all() else values


def numeric_cell(cell: Any, where: str, what: str) -> np.ndarray:  # noqa: ANN401
    """A cell of numbers, nested lists and arrays of arrays too, as an array.

    Raises:
        ValueError: If it is none.
    """
    held = cell
    if isinstance(cell, np.ndarray) and cell.dtype == object:
        cell = [one.tolist() if isinstance(one, np.ndarray) else one for one in cell]
    try:
        made = np.asarray(cell)
        return made if made.dtype.kind in "iuf" else made.astype(np.float64)
    except (TypeError, ValueError):
        raise ValueError(f"{where}: expected {what} of numbers, got {shown(held)}.") from None
