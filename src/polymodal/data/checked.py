"""Rows that are held out are held to what the schema says, as those are that are learned from.

A codec learns from training rows, and takes what others have beyond that as missing: a category
that stands in a row to judge on alone is no fault, and is told of. What the schema rules out is
one in any row, whichever rows chance held out: a count below 0, a number that is not positive.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from polymodal.data.codec import codec_of, where_is
from polymodal.data.dataset import MultimodalData
from polymodal.data.row_error import of_source
from polymodal.data.schema import Schema
from polymodal.data.tensors import Tensors

_KINDS = ("table", "vector", "series", "tags")
"""Kinds whose schema says which values there may be."""


def check_values(data: MultimodalData, schema: Schema, *, levels: bool) -> None:
    """Refuse values that a schema rules out.

    Arguments:
        data: Rows.
        schema: What was said of them, before a codec learned more.
        levels: Whether a category that it does not list is refused too. Where it was inferred it
            lists those of the rows that it was inferred from.

    Raises:
        ValueError: If there is such a value; names row and column.
    """
    for name in data.names:
        if name not in schema or schema[name].kind not in _KINDS or not data.present(name).any():
            continue
        said, here = schema[name], data.schema[name]
        columns = said.columns
        if not levels:
            columns = tuple(replace(column, levels=None) for column in columns)
        # sizes are those of the data; all else that was left open may be anything, however rare
        spec = replace(
            said, columns=columns, size=here.size, separator=here.separator, min_count=None
        )
        values, present, where = data.values(name), data.present(name), where_is(data, name)
        with of_source(data.numbers):
            codec = codec_of(spec, values, present, where)
            if spec.likelihood == "bernoulli" or spec.unseen == "refuse":
                codec.encode(values, present, where, "raise")


def taken_as_missing(data: MultimodalData, encoded: Tensors, rows: str) -> Iterator[str]:
    """Where rows have what a codec did not learn, and took as missing; a sentence a column.

    Arguments:
        data: The rows.
        encoded: The same, encoded with ``unseen="missing"``.
        rows: What they are called: ``rows judged``.
    """
    for name in data.names:
        if name not in encoded.names:
            continue
        lost, spec = data.present(name) & ~encoded.present[name].numpy(), data.schema[name]
        table = spec.kind == "table"
        places = zip(spec.sources, lost.T, strict=True) if table else [(name, lost)]
        for column, cells in places:
            n_rows = int(cells.reshape(len(cells), -1).any(1).sum())
            if n_rows:
                yield (
                    f"In {n_rows:,} of the {len(data):,} {rows} {column} has a value that the "
                    "training rows do not allow for, as a category that they lack; it counts as "
                    "missing."
                )
