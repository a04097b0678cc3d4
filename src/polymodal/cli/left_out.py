"""Columns that a schema leaves out: said once, where a table is learned from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from polymodal.spelling import listed

if TYPE_CHECKING:
    from polymodal.data.schema import Schema


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
