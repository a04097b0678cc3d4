"""Lists written as text, ``[0.5, 1.2]``: how a CSV holds what is no scalar."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import numpy as np

from polymodal.data.names import objects


def parsed(cell: Any) -> Any:  # noqa: ANN401 (any cell)
    """The list that a string writes, or the cell itself.

    Example:
        >>> parsed("[1, 2.5]"), parsed("red"), parsed("[red")
        ([1, 2.5], 'red', '[red')
    """
    if not isinstance(cell, str) or not (cell.startswith("[") and cell.endswith("]")):
        return cell
    try:
        return json.loads(cell)
    except json.JSONDecodeError:
        return cell


def are_written(cells: Iterable[Any]) -> bool:
    """Whether all cells, one at least, are lists written as text."""
    found = list(cells)
    return bool(found) and all(isinstance(c, str) and isinstance(parsed(c), list) for c in found)


def parse_all(cells: np.ndarray) -> np.ndarray:
    """Cells (N,) with the lists that strings write; the same array if there are none."""
    if not any(isinstance(one, str) and one.startswith("[") for one in cells):
        return cells
    return objects(parsed(one) for one in cells)


def written_like(cells: np.ndarray, new: np.ndarray, before: Iterable[Any]) -> np.ndarray:
    """New cells as text, where the column held lists written as text; else as they are."""
    if not are_written(one for one in before if isinstance(one, str)):
        return cells
    cells = cells.copy()
    for row in np.flatnonzero(new):
        if cells[row] is not None and not isinstance(cells[row], str):
            cells[row] = json.dumps(np.asarray(cells[row]).tolist())
    return cells
