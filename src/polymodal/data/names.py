"""Names that were meant: the nearest known one, and a name that is still free."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable
from typing import Any

import numpy as np

from polymodal.spelling import did_you_mean

Raw = Any
"""Raw values, or one, as the caller has them: of any type."""


def plain(value: Raw) -> Raw:
    """A scalar of numpy as Python's own; anything else as it is."""
    return value.item() if isinstance(value, np.generic) else value


def is_finite(value: object) -> bool:
    """Whether a value is a number that a float can hold, and neither infinite nor NaN."""
    try:
        return isinstance(value, int | float) and math.isfinite(value)
    except OverflowError:
        return False


def checked_name(name: object, what: str, where: str) -> str:
    """A name that can be used.

    Raises:
        ValueError: If it is no string, or an empty one.
    """
    if not isinstance(name, str):
        raise ValueError(f"{where}: {what} must be a string, got {name!r}.")
    if not name:
        raise ValueError(f"{where}: {what} must not be empty; give it a name.")
    return name


def nearest(name: object, known: Collection[str]) -> str:
    """A sentence that names the nearest known name, or lists the known ones if they are few.

    Example:
        >>> nearest("imgae", ["image", "table"])
        " Did you mean 'image'?"
    """
    meant = did_you_mean(name, known)
    if meant:
        return meant
    shown = ", ".join(repr(one) for one in list(known)[:12])
    more = f" and {len(known) - 12} more" if len(known) > 12 else ""
    return f" Known: {shown or 'none'}{more}."


def objects(values: Iterable[Any]) -> np.ndarray:
    """Values as an array of objects (N,), never stacked, whatever each is.

    Example:
        >>> objects([["a"], ["b"], None]).shape
        (3,)
    """
    held = list(values)
    array = np.empty(len(held), dtype=object)
    for place, one in enumerate(held):
        array[place] = one
    return array


def free_name(wanted: str, taken: Collection[str]) -> str:
    """``wanted``, with underscores behind it until nobody has it.

    Example:
        >>> free_name("table", ["table", "table_"])
        'table__'
    """
    while wanted in taken:
        wanted += "_"
    return wanted
