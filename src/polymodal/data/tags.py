"""Sets of attributes as people write them: lists, joined strings, arrays of 0 and 1.

An empty list or string is a set that is known to be empty; None (in a CSV: an empty cell) is a set
that is not known. A tag stands in a set once, however often it is written.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import replace
from typing import Any

import numpy as np

from polymodal.data.list_text import may_be_list
from polymodal.data.names import Raw
from polymodal.data.row_error import RowError
from polymodal.data.specs import ModalitySpec
from polymodal.data.written import list_fault, parsed, written_like

SEPARATORS = ("|", ";", ",")
"""What may stand between tags where the schema does not say it, the first that is found."""
_GUESSED = ("|", ";")  # a comma stands in sentences too
SETS = (list, tuple, set, frozenset, np.ndarray)


class JoinedTags(str):
    """Tags joined to one string that keeps them, for a column whose separator is another."""

    tags: tuple[str, ...]

    @classmethod
    def of(cls, tags: Iterable[str], separator: str) -> JoinedTags:
        """The string of some tags."""
        parts = tuple(tags)
        joined = cls(separator.join(parts))
        joined.tags = parts
        return joined


def are_sets_of_strings(values: list[Any]) -> bool:
    """Whether the cells of a column are lists or sets of strings, and not all of them empty."""
    if not all(isinstance(one, SETS) for one in values):
        return False
    words = all(isinstance(tag, str) for one in values for tag in one)
    return words and any(len(one) for one in values)


def guess_separator(values: list[str]) -> str | None:
    """The separator, if strings look like sets of tags that come again in other rows.

    Example:
        >>> guess_separator(["red|round", "round|blue", "blue|red"]), guess_separator(["a", "b"])
        ('|', None)
    """
    for separator in _GUESSED:
        if sum(separator in one for one in values) < max(2, len(values) / 5):
            continue
        sets = [split_tags(one, separator) for one in values]
        counts = Counter(tag for one in sets for tag in one)
        words = sum(len(tag.split()) for tag in counts) / max(len(counts), 1)
        if counts and counts.total() >= 1.5 * len(counts) and words < 3:
            return separator
    return None


def split_tags(text: str, separator: str) -> tuple[str, ...]:
    """The tags of a string, without blanks around them, each once, in the order written."""
    return _plain(text.split(separator))


def _plain(tags: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(one for tag in tags if (one := str(tag).strip())))


def _best_split(text: str, vocabulary: Collection[str]) -> tuple[str, ...]:
    """The tags of a string by the separator, or none, that finds most known and fewest unknown.

    It is chosen for each string alone, so that a row means the same whatever others stand beside.
    """
    whole = _plain([text])
    found = [whole, *(split_tags(text, one) for one in SEPARATORS if one in text)]
    known = [sum(tag in vocabulary for tag in tags) for tags in found]
    if not any(known):
        return found[1] if len(found) > 1 else whole
    return max(zip(known, found, strict=True), key=lambda one: (one[0], one[0] - len(one[1])))[1]


def read_tags(
    spec: ModalitySpec, values: Raw, present: np.ndarray, where: str
) -> tuple[ModalitySpec, np.ndarray, np.ndarray]:
    """A column of tags, checked: specification, values and presence (N,).

    Returns:
        Values are a tuple of strings a row (None where absent), or the array of 0 and 1 that came.

    Raises:
        ValueError: If a cell is no set of tags; names the row.
    """
    if values.dtype != object and values.dtype.kind not in "UT":
        return (spec, *_array(spec, values, present, where))
    known = [values[row] for row in np.flatnonzero(present)]
    separator = spec.separator
    if separator is None and any(isinstance(one, str) for one in known):
        strings = [one for one in known if isinstance(one, str)]
        separator = next((s for s in SEPARATORS if any(s in one for one in strings)), ",")
    levels = spec.levels if spec.separator is None else None
    vocabulary = frozenset(level.strip() for level in levels or ())
    listed = _are_meant_as_lists(known)
    sets = np.full(len(values), None, dtype=object)
    for row in np.flatnonzero(present):
        cell = values[row]
        if isinstance(cell, str):
            fault = list_fault(cell) if listed else None
            if fault is not None:
                raise RowError(where, row, f": expected a list of tags, got {fault}.")
            sets[row] = (
                _best_split(cell, vocabulary) if vocabulary else split_tags(cell, separator or ",")
            )
            continue
        if not isinstance(cell, SETS):
            raise RowError(
                where,
                row,
                f": expected a list of tags or a string, got {cell!r:.60}; give "
                "the column another kind in the schema.",
            )
        tags = _listed(cell)
        strange = [tag for tag in tags if not isinstance(tag, str)]
        if strange:
            raise RowError(
                where,
                row,
                f": a tag must be a string, got {strange[0]!r:.60}; convert it, "
                "or leave it out. A set that is not known is an empty cell.",
            )
        sets[row] = _plain(tags)
    return replace(spec, separator=separator), sets, present


def _are_meant_as_lists(known: list[Any]) -> bool:
    """Whether a string that begins like a list must be one; elsewhere ``[live]`` is a tag."""
    if any(isinstance(one, SETS) for one in known):
        return True
    strings = [one for one in known if isinstance(one, str)]
    return all(may_be_list(one) for one in strings) and any("," in one for one in strings)


def tags_like(
    cells: np.ndarray, new: np.ndarray, before: Collection[Any], separator: str
) -> np.ndarray:
    """Cells (N,) where those of ``new`` have the form of their column: lists or strings.

    Arguments:
        cells: Sets of tags in any form; None where absent.
        new: Which of them the column did not have, bool (N,).
        before: The column as it was: lists, joined strings or lists written as text; if it held no
            tags at all, cells stay as they are.
        separator: What stands between two tags of a joined string.
    """
    kept = next((parsed(one) for one in before if isinstance(one, (str, *SETS))), None)
    if kept is None:
        return cells
    cells = cells.copy()
    for row in np.flatnonzero(new):
        if not isinstance(cells[row], (str, *SETS)):
            continue
        tags = _parted(cells[row], separator)
        if all(isinstance(tag, str) for tag in tags):
            cells[row] = separator.join(tags) if isinstance(kept, str) else tags
    return written_like(cells, new, before)


def _parted(cell: Any, separator: str) -> list[Any]:  # noqa: ANN401
    if isinstance(cell, JoinedTags):
        return list(cell.tags)
    return list(split_tags(cell, separator)) if isinstance(cell, str) else _listed(cell)


def _listed(cell: Any) -> list[Any]:  # noqa: ANN401
    """The tags of a cell in their order; those of a set sorted, as a set has none."""
    return sorted(cell, key=str) if isinstance(cell, set | frozenset) else list(cell)


def _array(
    spec: ModalitySpec, values: np.ndarray, present: np.ndarray, where: str
) -> tuple[np.ndarray, np.ndarray]:
    if values.ndim != 2 or values.dtype.kind not in "iufb" or not values.shape[1]:
        raise ValueError(
            f"{where}: tags are lists of strings, or an array of 0 and 1 of the shape (rows, "
            f"tags); got {values.dtype} of shape {values.shape}."
        )
    if spec.levels is not None and len(spec.levels) != values.shape[1]:
        raise ValueError(
            f"{where}: the schema names {len(spec.levels)} tags, the array has "
            f"{values.shape[1]} columns."
        )
    holes = np.isnan(values) if values.dtype.kind == "f" else np.zeros(values.shape, dtype=bool)
    some: Raw = present if present.ndim == 1 else present.any(1)
    present = some & ~holes.all(1)
    wrong = present & ((values != 0) & (values != 1) | holes).any(1)
    if wrong.any():
        row = int(np.argmax(wrong))
        place = int(np.argmax((values[row] != 0) & (values[row] != 1)))
        raise RowError(
            where,
            row,
            f", tag {place}: expected 0 or 1, got {values[row, place]}; a row "
            "has all its tags, or NaN everywhere.",
        )
    return values, present
