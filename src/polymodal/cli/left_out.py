"""Columns that a schema leaves out: said once, where a table is learned from."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from polymodal.data.schema import Schema

_MOST = 5
"""So many columns of one reason are named."""


def left_out(schema: Schema, data: str) -> str:
    """One sentence on the columns that were left out and why; empty if there are none.

    Arguments:
        schema: As it was inferred.
        data: What the command calls the table.
    """
    reasons: dict[str, list[str]] = {}
    for name, why in schema.ignored.items():
        reasons.setdefault(why, []).append(name)
    if not reasons:
        return ""
    said = "; ".join(f"{listed(names)} ({why})" for why, names in reasons.items())
    return (
        f"Left out: {said}. A schema can name their kind: "
        f"polymodal schema {data} --write schema.yaml"
    )


def listed(names: Iterable[str]) -> str:
    """``a, b and 3 more``."""
    every = list(names)
    more = len(every) - _MOST
    return ", ".join(every) if more <= 0 else f"{', '.join(every[:_MOST])} and {more} more"
