"""What a table lacks of what a model reads is said, not passed over."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.estimator.cases import frame, tiny

from polymodal.cli import main
from polymodal.estimator import MultimodalModel

N = 12


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("lacking") / "m.pm"
    MultimodalModel(**tiny()).fit(frame()).save(path)
    return path


def test_a_column_that_is_spelt_otherwise(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = frame(N, seed=4)[["v", "w", "caption"]].rename(columns={"caption": "captions"})
    rows.to_csv(tmp_path / "rows.csv", index=False)
    assert main(f"impute {model} {tmp_path}/rows.csv --out {tmp_path}/o.csv".split()) == 0
    said = capsys.readouterr().err
    assert "rows.csv has no 'caption', so all of it is missing. Did you mean 'captions'?" in said
    assert said.count("Did you mean") == 1


def test_rows_with_nothing_of_what_is_given(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = frame(N, seed=4)[["v", "w", "n", "c", "caption"]].bfill().ffill()
    rows["caption"] = [None, *["red"] * (N - 2), None]
    rows.to_csv(tmp_path / "rows.csv", index=False)
    table, out = f"{model} {tmp_path}/rows.csv", f"--out {tmp_path}/o.csv"
    words = f"translate {table} --to table --given caption {out} --json"
    assert main(words.split()) == 0
    said = capsys.readouterr()
    assert "2 rows with nothing of caption: answered as if nothing were known." in said.err
    assert json.loads(said.out)["rows_without_given"] == 2
    assert main(f"translate {table} --to table {out}".split()) == 0
    assert "with nothing of" not in capsys.readouterr().err  # they have other modalities
    assert main(f"score {table} --of table --given caption --samples 20".split()) == 0
    assert "2 rows with nothing of caption: theirs is log p(table)." in capsys.readouterr().out
