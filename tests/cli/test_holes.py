"""What `impute` says of the holes is what became of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import polymodal as pm
from polymodal.cli.holes import Holes, shown_as_holes
from polymodal.cli.tables import write_frame
from polymodal.data import ModalitySpec, Schema
from polymodal.data.names import objects
from polymodal.data.specs import ColumnSpec

SCHEMA = Schema(
    {
        "table": ModalitySpec("table", (ColumnSpec("n", "number"),)),
        "note": ModalitySpec("text", column="words"),
    }
)
ROWS = pd.DataFrame({"n": [1.0, None, 3.0], "words": ["a b", None, None], "key": [None, "k", "l"]})
MISSING = {"table": ROWS[["n"]].isna().to_numpy(), "note": ROWS["words"].isna().to_numpy()}


def holes(words: list[str], csv: bool = True) -> Holes:
    made = pd.DataFrame({"n": 2.0, "words": words})
    return Holes.of(pm.read(ROWS, schema=SCHEMA), SCHEMA, MISSING, made, csv=csv)


def test_the_empty_text_fills_nothing_in_a_csv() -> None:
    said = holes(["a b", "", "b"])
    assert said.to_dict() == {
        "filled": {"table": 1, "note": 1},
        "lost_in_csv": {"note": 1},
        "left_open": {"key": 1},
        "share_of_rows_with_holes": 2 / 3,
    }
    assert str(said).splitlines() == [
        "table: 1 hole filled",
        "note: 1 hole filled",
        "note: 1 hole got a value that a CSV shows as a hole",
        "Left open, as the model does not know the column: key (1 hole).",
    ]
    assert holes(["a b", "", "b"], csv=False).filled == {"table": 1, "note": 2}


def test_each_draw_fills_a_hole_or_it_does_not_count() -> None:
    said = holes(["a b", "", "b", "a b", "c", "NA", "a b", "c", "d"])
    assert said.filled == {"table": 1, "note": 0}
    assert said.lost == {"note": 2}


WORDS = ["", "NA", "null", "None", "nan", "<NA>", "n/a", "#N/A N/A", "-1.#IND"]


def test_what_a_csv_shows_as_a_hole_is_counted_and_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = [" ", "na ", "[]", "é", "\x00", "a\nb", "\ud800", "0", "Nan", "naN"]
    cells = objects([*WORDS, *kept, *WORDS, None, float("nan"), 3, ["NA"]])
    wanted = [True] * len(WORDS) + [False] * len(kept) + [True] * len(WORDS) + [False] * 4
    assert shown_as_holes(cells).tolist() == wanted
    frame = pd.DataFrame({"c": [*WORDS, None], "x": range(len(WORDS) + 1)})
    write_frame(frame, tmp_path / "o.parquet")
    assert not capsys.readouterr().err
    write_frame(frame, tmp_path / "o.csv")
    assert pd.read_csv(tmp_path / "o.csv")["c"].isna().all()
    assert "o.csv, column 'c': 9 cells have a value that a CSV shows as" in capsys.readouterr().err


def test_levels_and_sets_that_a_csv_shows_as_holes_fill_none() -> None:
    columns = (ColumnSpec("n", "number"), ColumnSpec("c", "category", ("None", "b")))
    tags = ModalitySpec("tags", column="t", separator="|")
    schema = Schema({"table": ModalitySpec("table", columns), "t": tags})
    rows = pm.read(
        pd.DataFrame({"n": [1.0, 2, 3], "c": [None, None, "b"], "t": [None, None, "a"]}), schema
    )
    missing = {"table": ~rows.present("table"), "t": ~rows.present("t")}
    made = pd.DataFrame({"n": 2.0, "c": ["None", "b", "b"], "t": ["a", "", "a"]})
    said = Holes.of(rows, schema, missing, made, csv=True)
    assert (said.filled, said.lost) == ({"table": 1, "t": 1}, {"table": 1, "t": 1})


def test_without_holes_it_says_so() -> None:
    none = {name: np.zeros_like(mask) for name, mask in MISSING.items()}
    rows = pm.read(ROWS.drop(columns="key"), schema=SCHEMA)
    assert str(Holes.of(rows, SCHEMA, none, ROWS, csv=True)) == "Nothing was missing."
