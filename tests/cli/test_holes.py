"""What `impute` says of the holes is what became of them."""

from __future__ import annotations

import numpy as np
import pandas as pd

import polymodal as pm
from polymodal.cli.holes import Holes
from polymodal.data import ModalitySpec, Schema
from polymodal.data.schema import ColumnSpec

SCHEMA = Schema(
    {
        "table": ModalitySpec("table", (ColumnSpec("n", "number"),)),
        "note": ModalitySpec("text", column="words"),
    }
)
ROWS = pd.DataFrame({"n": [1.0, None, 3.0], "words": ["a b", None, None], "key": [None, "k", "l"]})
MISSING = {"table": ROWS[["n"]].isna().to_numpy(), "note": ROWS["words"].isna().to_numpy()}


def holes(words: list[str]) -> Holes:
    made = pd.DataFrame({"n": 2.0, "words": words})
    return Holes.of(pm.read(ROWS, schema=SCHEMA), SCHEMA, MISSING, made)


def test_the_empty_text_fills_nothing() -> None:
    said = holes(["a b", "", "b"])
    assert said.to_dict() == {
        "filled": {"table": 1, "note": 1},
        "filled_empty": {"note": 1},
        "left_open": {"key": 1},
        "share_of_rows_with_holes": 2 / 3,
    }
    assert str(said).splitlines() == [
        "table: 1 hole filled",
        "note: 1 hole filled",
        "note: 1 hole got the empty text, which a CSV shows as a hole",
        "Left open, as the model does not know the column: key (1 hole).",
    ]


def test_each_draw_fills_a_hole_or_it_does_not_count() -> None:
    said = holes(["a b", "", "b", "a b", "c", " ", "a b", "c", "d"])
    assert said.filled == {"table": 1, "note": 0}
    assert said.empty == {"note": 2}


def test_without_holes_it_says_so() -> None:
    none = {name: np.zeros_like(mask) for name, mask in MISSING.items()}
    rows = pm.read(ROWS.drop(columns="key"), schema=SCHEMA)
    assert str(Holes.of(rows, SCHEMA, none, ROWS)) == "Nothing was missing."
