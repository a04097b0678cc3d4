"""What a misspelt name may have been meant to be."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def did_you_mean(name: object, known: Iterable[str]) -> str:
    """A sentence that names the nearest known name; empty if none is near.

    Example:
        >>> did_you_mean("imgae", ["image", "table"]), did_you_mean("xyz", ["image"])
        (" Did you mean 'image'?", '')
    """
    near = difflib.get_close_matches(str(name), list(known), n=1)
    return f" Did you mean {near[0]!r}?" if near else ""
