"""Levels of an ordinal or category column, and which of them a cell is.

When cells are matched, 1, 1.0 and '1' are one level, wherever only one level can be meant. A level
that is a number is met by a string that writes it (``1``, ``1.0``, ``01``), and one that is a word
by that very word, and by the number that is written so (``1`` or ``1.0``).
"""

from __future__ import annotations

import re
import reprlib
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from polymodal.data.names import Raw, is_finite, plain

if TYPE_CHECKING:
    from pandas import Series

Level = str | int | float | bool

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_LONGEST_NUMBER = 400
_LARGEST = 1e300


def checked_levels(levels: Raw, where: str) -> tuple[Level, ...]:
    """Levels as a schema may have them.

    Raises:
        ValueError: If they are no list of different words, finite numbers or truth values.
    """
    if isinstance(levels, str) or not isinstance(levels, Sequence) or not levels:
        raise ValueError(f"{where}: levels must be a list of at least one value, got {levels!r}.")
    for level in levels:
        if not isinstance(level, Level):
            raise ValueError(
                f"{where}: a level must be a string, a number or a truth value, got {level!r}."
            )
        if not isinstance(level, str) and not is_finite(level):
            raise ValueError(
                f"{where}: a level must be finite, got {reprlib.repr(level)}; leave it out (a "
                "missing value is no level), or write it in quotes if it is a word."
            )
    if len(set(levels)) < len(levels):
        twice = next(one for i, one in enumerate(levels) if one in levels[:i])
        raise ValueError(f"{where}: level {twice!r} is listed twice; list each level once.")
    return tuple(levels)


def listed(levels: Raw) -> Raw:
    """Levels as a tuple; what is no list (a word, a number) as it is, to be refused as such."""
    is_list = isinstance(levels, Iterable) and not isinstance(levels, str)
    return tuple(levels) if is_list else levels


def level_places(levels: Sequence[Raw], column: Series) -> np.ndarray:
    """Places of cells among the levels, (N,) int64; -1 for a cell that is none, or a hole.

    Example:
        >>> import pandas as pd
        >>> level_places([1, 2], pd.Series(["1", "2.0", "x", None])).tolist()
        [0, 1, -1, -1]
        >>> level_places(["1", "02", "A"], pd.Series([1.0, 2.0])).tolist()
        [0, -1]
    """
    import pandas as pd

    cells = pd.Index(column.astype(object).to_numpy(), dtype=object)
    there = column.notna().to_numpy(dtype=bool)
    places = np.asarray(pd.Index(list(levels), dtype=object).get_indexer(cells))
    places = np.where(there, places, -1)
    lost = there & (places < 0)
    if not lost.any():
        return places
    alike = _Alike(levels)
    codes, strangers = pd.factorize(cells[lost])
    places[lost] = np.array([alike.place(one) for one in strangers], dtype=np.int64)[codes]
    return places


class _Alike:
    """The levels by what else may be written for them."""

    def __init__(self, levels: Sequence[Raw]) -> None:
        self._words: dict[str, int] = {}
        self._numbers: dict[Raw, int] = {}
        self._truths: dict[str, int] = {}
        for place, level in enumerate(map(plain, levels)):
            if isinstance(level, str):
                self._words[level] = place
            elif isinstance(level, bool):
                self._truths[str(level).lower()] = place
            else:
                self._numbers[level] = place

    def place(self, cell: Raw) -> int:
        """The only level that a cell can mean; -1 if there is none, or more than one."""
        cell = plain(cell)
        if isinstance(cell, str):
            text = cell.strip()
            found = {self._numbers.get(_number(text)), self._truths.get(text.lower())}
        elif isinstance(cell, bool):
            said = str(cell)
            found = {self._words.get(one) for one in (said, said.lower(), said.upper())}
        elif isinstance(cell, int | float) and abs(cell) < _LARGEST:
            written = {repr(cell), repr(float(cell)) if abs(cell) < 2**53 else ""}
            if cell == cell // 1:
                written.add(str(int(cell)))
            found = {self._words.get(one) for one in written}
        else:
            return -1
        known = [place for place in found if place is not None]
        return known[0] if len(known) == 1 else -1


def _number(text: str) -> int | float | None:
    """The number that a string writes; whole ones without the loss that floats have."""
    if len(text) > _LONGEST_NUMBER or not _NUMBER.fullmatch(text):
        return None
    return int(text) if text.lstrip("+-").isdigit() else float(text)
