"""Columns of lists written as text, ``[0.5, 1.2]``: how a CSV holds what is no scalar."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from polymodal.data.list_text import NoListError, may_be_list, read_list
from polymodal.data.names import Raw, objects

if TYPE_CHECKING:
    from pandas import Series


def parsed(cell: Any) -> Any:  # noqa: ANN401 (any cell)
    """The list that a string writes, or the cell itself.

    Example:
        >>> parsed("[1, 2.5]"), parsed("['red', 'big']"), parsed("red"), parsed("[red")
        ([1, 2.5], ['red', 'big'], 'red', '[red')
    """
    if not isinstance(cell, str) or not may_be_list(cell):
        return cell
    try:
        return read_list(cell)
    except NoListError:
        return cell


def list_fault(cell: Any) -> NoListError | None:  # noqa: ANN401
    """Why a string that begins like a list is none; None for what is one, or no such string."""
    if not isinstance(cell, str) or cell[:1] not in ("[", "("):
        return None
    try:
        read_list(cell)
    except NoListError as fault:
        return fault
    return None


def shown(cell: Any) -> str:  # noqa: ANN401
    """How an error shows a cell that should hold numbers: by what is wrong with it."""
    fault = list_fault(cell)
    if fault is not None:
        return str(fault)
    if isinstance(cell, list | tuple):
        for place, one in enumerate(cell):
            if isinstance(one, str):
                return f"{one!r:.60} at place {place} (from 0)"
    return f"{cell!r:.60}"


def are_written(cells: Iterable[Any]) -> bool:
    """Whether cells are strings, and most of them lists written as text, whole or shortened.

    One cell that is none does not make words of all others: whoever reads the column names it.
    """
    found = list(cells)
    if not found or not all(isinstance(one, str) for one in found):
        return False
    likely = [one for one in found if may_be_list(one)]
    if 2 * len(likely) <= len(found):
        return False
    lists = sum(isinstance(parsed(one), list) or _shortened(one) for one in likely)
    return 2 * lists > len(found)


def _shortened(cell: str) -> bool:
    fault = list_fault(cell)
    return fault is not None and fault.shortened


def lists_of(known: Series, where: str) -> Series:
    """The lists that cells write; cells that write none are named when the column is read.

    Raises:
        ValueError: If none is written whole.
    """
    made: Raw = known.map(parsed)
    made = made[[isinstance(one, list) for one in made]]
    if made.empty:
        fault = next(one for one in map(list_fault, known) if one is not None)
        raise ValueError(f"{where}: expected a list in each row, got {fault}.")
    return made


def parse_all(cells: np.ndarray) -> np.ndarray:
    """Cells (N,) with the lists that strings write; the same array if there are none."""
    if not any(isinstance(one, str) and may_be_list(one) for one in cells):
        return cells
    return objects(parsed(one) for one in cells)


def written_like(cells: np.ndarray, new: np.ndarray, before: Iterable[Any]) -> np.ndarray:
    """New cells as text, where the column held lists written as text; else as they are.

    They are spelled as the first list of the column is: as JSON has it, or as Python.
    """
    strings = [one for one in before if isinstance(one, str)]
    if not are_written(strings):
        return cells
    write = json.dumps if _is_json(next(one for one in strings if may_be_list(one))) else str
    cells = cells.copy()
    for row in np.flatnonzero(new):
        if cells[row] is not None and not isinstance(cells[row], str):
            cells[row] = write(np.asarray(cells[row]).tolist())
    return cells


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True
