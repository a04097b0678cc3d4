"""Columns that a schema leaves out: said once, where a table is learned from or filled."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from polymodal.cli.outputs import count

if TYPE_CHECKING:
    from polymodal.data.dataset import MultimodalData
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


def left_open(rows: MultimodalData, schema: Schema) -> dict[str, int]:
    """Columns of a frame that a model does not know -> how many holes they have, where any."""
    import pandas as pd

    frame = rows.native()
    if not isinstance(frame, pd.DataFrame):
        return {}
    known = {name for spec in schema.modalities.values() for name in spec.sources}
    holes = {str(name): int(frame[name].isna().sum()) for name in frame if name not in known}
    return {name: n for name, n in holes.items() if n}


def listed(names: Iterable[str]) -> str:
    """``a, b and 3 more``."""
    every = list(names)
    more = len(every) - _MOST
    return ", ".join(every) if more <= 0 else f"{', '.join(every[:_MOST])} and {more} more"


def in_words(holes: dict[str, int]) -> list[str]:
    """What ``left_open`` found, a line for people; none if it found nothing."""
    if not holes:
        return []
    named = listed(f"{name} ({count(n, 'hole')})" for name, n in holes.items())
    return [f"Left open, as the model does not know the column: {named}."]
