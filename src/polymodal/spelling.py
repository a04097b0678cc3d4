"""How names are told: some of many, and what a misspelt one may have been meant to be."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def listed(names: Iterable[str], most: int = 5) -> str:
    """The first names, and how many more there are.

    Example:
        >>> listed(["a", "b"]), listed("abcde", 2)
        ('a, b', 'a, b and 3 more')
    """
    every = list(names)
    more = len(every) - most
    return ", ".join(every) if more <= 0 else f"{', '.join(every[:most])} and {more} more"


def did_you_mean(name: object, known: Iterable[str]) -> str:
    """A sentence that names the nearest known name; empty if none is near.

    Example:
        >>> did_you_mean("imgae", ["image", "table"]), did_you_mean("xyz", ["image"])
        (" Did you mean 'image'?", '')
    """
    near = difflib.get_close_matches(str(name), list(known), n=1)
    return f" Did you mean {near[0]!r}?" if near else ""
