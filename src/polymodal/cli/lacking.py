"""What a table lacks of what a model reads: a column spelt otherwise, rows with nothing at all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from polymodal.cli.outputs import count, say
from polymodal.spelling import did_you_mean

if TYPE_CHECKING:
    from polymodal.data.dataset import MultimodalData
    from polymodal.data.schema import Schema

_MOST = 5
"""So many columns are asked about."""


def ask_of_names(rows: MultimodalData, schema: Schema, data: str) -> None:
    """Name columns that a model knows and a table lacks, where another's name is near.

    Arguments:
        rows: The table's.
        schema: The model's.
        data: What the command calls the table.
    """
    import pandas as pd

    frame = rows.native()
    if not isinstance(frame, pd.DataFrame):
        return
    there = {str(name) for name in frame.columns}
    known = [name for spec in schema.modalities.values() for name in spec.sources]
    strangers = there.difference(known)
    asked = [
        f"{data} has no {name!r}, so all of it is missing.{near}"
        for name in known
        if name not in there and (near := did_you_mean(name, strangers))
    ]
    for line in asked[:_MOST]:
        say(line)


def rows_without(rows: MultimodalData, names: Sequence[str]) -> int:
    """How many rows have nothing of any of some modalities."""
    import numpy as np

    from polymodal.data.missingness import something_of

    there = [something_of(rows, name) for name in names if name in rows.names]
    return int((~np.logical_or.reduce(there)).sum()) if there else len(rows)


def nothing_of(n_rows: int, names: Sequence[str]) -> str:
    """``3 rows with nothing of image, caption``."""
    return f"{count(n_rows, 'row')} with nothing of {', '.join(names)}"
