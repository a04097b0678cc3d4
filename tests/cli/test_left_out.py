"""What a schema leaves out is said where a table is learned from, and where it is filled."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from polymodal.cli import main
from polymodal.cli.left_out import left_out
from polymodal.data.schema import Schema
from polymodal.data.specs import ColumnSpec, ModalitySpec

TABLE = {"table": ModalitySpec("table", (ColumnSpec("n", "number"),))}


def test_reasons_are_said_once_and_names_are_few() -> None:
    keys = {f"k{i}": "they count the rows" for i in range(7)}
    said = left_out(Schema(TABLE, {"name": "all differ", **keys, "id": "all differ"}), "rows.csv")
    assert said == (
        "Left out: name, id (all differ); k0, k1, k2, k3, k4 and 2 more (they count the rows). "
        "A schema can name their kind: polymodal schema rows.csv --write schema.yaml"
    )
    assert left_out(Schema(TABLE), "rows.csv") == ""


@pytest.fixture
def rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> pd.DataFrame:
    """A table with a column of names, of which two are missing."""
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(0)
    frame = pd.DataFrame({"a": random.normal(size=60), "b": random.normal(size=60)})
    frame["who"] = [f"person{i}" for i in range(60)]
    frame.loc[[3, 5], "who"] = None
    frame.loc[[0, 1, 2], "a"] = np.nan
    frame.to_csv("rows.csv", index=False)
    return frame


@pytest.mark.slow
def test_fit_and_impute_name_columns_that_are_not_learned(
    rows: pd.DataFrame, capsys: pytest.CaptureFixture[str]
) -> None:
    fit = "fit rows.csv --epochs 1 --latent-dim 2 --out m.pm --json"
    assert main(fit.split()) == 0
    said = capsys.readouterr()
    assert said.err.count("Left out: who (all values differ, like names or keys).") == 1
    assert list(json.loads(said.out)["left_out"]) == ["who"]
    assert main(["impute", "m.pm", "rows.csv", "--out", "o.csv", "--draws", "2"]) == 0
    said = capsys.readouterr().out
    assert "table: 3 holes filled" in said
    assert "Left open, as the model does not know the column: who (2 holes)." in said
    assert pd.read_csv("o.csv")["who"].isna().sum() == 2
    assert main(["impute", "m.pm", "rows.csv", "--out", "o.csv", "--draws", "2", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["left_open"] == {"who": 2}


@pytest.mark.slow
def test_compare_names_columns_that_are_not_learned(
    rows: pd.DataFrame, capsys: pytest.CaptureFixture[str]
) -> None:
    main("compare rows.csv --recipes pcca --seeds 1 --draws 19".split())
    assert capsys.readouterr().err.count("Left out: who (") == 1


@pytest.mark.slow
def test_what_a_schema_file_leaves_out_is_not_said_again(
    rows: pd.DataFrame, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main("schema rows.csv --write s.yaml".split()) == 0
    main("fit rows.csv --schema s.yaml --epochs 1 --latent-dim 2 --out m.pm".split())
    assert "Left out" not in capsys.readouterr().err
