"""Errors name the row of the file, and what the schema rules out is refused in any row."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import polymodal as pm
from polymodal.cli import main
from polymodal.data import DataCodec, read
from polymodal.data.row_error import RowError
from polymodal.fitting import prepare

BAD = 57
SCHEMA = """
format: 1
modalities:
  table: {kind: table, columns: {
    visits: {kind: count}, size: {kind: positive}, sort: {kind: category, levels: [a, b]},
    grade: {kind: ordinal, levels: [lo, hi]}}}
  flags: {kind: vector, column: flags, likelihood: bernoulli}
  tags: {kind: tags, column: tags, unseen: refuse, levels: [red, big]}
  spikes: {kind: series, column: spikes, likelihood: poisson}
"""
WRONG = {
    "visits": -1, "size": -2.0, "sort": "zz", "grade": "mid", "flags": [2, 0],
    "tags": ["nope"], "spikes": [0, -1, 2],
}  # fmt: skip


def rows(n: int = 60) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "visits": np.arange(n) % 7,
            "size": 1.5 + np.arange(n) % 5,
            "sort": ["a", "b"] * (n // 2),
            "grade": ["lo", "hi"] * (n // 2),
            "flags": [[i % 2, 1 - i % 2] for i in range(n)],
            "tags": [["red"] if i % 2 else ["big"] for i in range(n)],
            "spikes": [[i % 3, 0, 1] for i in range(n)],
        }
    )


def broken(column: str) -> pd.DataFrame:
    frame = rows()
    cells = frame[column].tolist()
    cells[BAD] = WRONG[column]
    return frame.assign(**{column: cells})


@pytest.fixture(scope="module")
def schema(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("schema") / "s.yaml"
    file.write_text(SCHEMA)
    return file


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("column", WRONG)
def test_a_bad_cell_is_named_whichever_rows_are_held_out(
    column: str, seed: int, schema: Path
) -> None:
    with pytest.raises(ValueError, match=f"'{column}', row {BAD}[:,]"):
        prepare(read(broken(column), schema), None, 0.3, seed)


@pytest.mark.parametrize("column", WRONG)
def test_rows_to_stop_by_and_to_judge_on_are_held_to_the_schema(
    column: str, schema: Path, tmp_path: Path
) -> None:
    good = read(rows(), schema)
    if column in ("sort", "grade"):
        with pytest.warns(UserWarning, match=f"In 1 of the 60 rows to stop by {column} has"):
            prepare(good, read(broken(column), good.schema), 0.1, 0)
        return
    shared = {"epochs": 1, "latent_dim": 2, "draws": 20, "progress": False}
    with pytest.raises(ValueError, match=f"'{column}', row {BAD}[:,]"):
        prepare(good, read(broken(column), good.schema), 0.1, 0)
    with pytest.raises(ValueError, match=f"'{column}', row {BAD}[:,]"):
        pm.compare(good, ["mopoe"], 1, test=broken(column), folder=tmp_path / "c", **shared)
    assert not (tmp_path / "c").exists()


@pytest.mark.parametrize("arrays", [False, True])
def test_a_part_of_the_data_keeps_its_numbers(arrays: bool) -> None:
    frame = pd.DataFrame({"x": np.arange(20.0), "sort": ["a", "b"] * 10})
    data = read(frame)
    if arrays:
        data = pm.from_arrays({name: frame[name].to_numpy() for name in frame})
    codec = DataCodec.fit(data)
    part = data[np.arange(20) % 3 == 1][2:]
    assert part.numbers.tolist() == [7, 10, 13, 16, 19]
    new = frame.assign(sort=np.where(np.arange(20) == 13, "c", frame["sort"]))
    strange = pm.from_arrays({n: new[n].to_numpy() for n in new}) if arrays else read(new)
    with pytest.raises(RowError, match="row 13: the category 'c' was not seen"):
        codec.encode(strange[part.numbers])


def test_what_a_series_of_counts_cannot_have_is_refused_or_missing() -> None:
    counts = np.arange(12).reshape(4, 3)
    codec = DataCodec.fit(pm.from_arrays({"s": counts}, kinds={"s": "series"}))
    new = pm.from_arrays({"s": np.array([[1, 2, 3], [1, -2, 3]])}, kinds={"s": "series"})
    with pytest.raises(ValueError, match=r"'s', row 1, time 1: expected a count .* got -2"):
        codec.encode(new)
    tensors = codec.encode(new, unseen="missing")
    assert tensors.present["s"].tolist() == [[True] * 3, [True, False, True]]


def test_a_category_that_training_lacks_is_told_of_by_compare() -> None:
    u = np.random.default_rng(0).normal(size=80)
    frame = pd.DataFrame({"x": u, "y": -u, "sort": np.where(u > 0, "a", "b")})
    test = frame[60:].assign(sort=["new"] * 3 + frame["sort"][63:].tolist())
    shared = {"epochs": 1, "latent_dim": 2, "draws": 20, "progress": False}
    data = read(frame[:60])
    found = pm.compare(data, ["pcca"], 1, test=read(test, data.schema), **shared)
    said = "In 3 of the 20 rows judged sort has a value that the training rows do not allow for"
    assert any(said in note for note in found.notes)


def test_tags_that_are_all_too_rare_are_told_of() -> None:
    sets = [["red"], ["big"], []] * 10
    data = pm.from_arrays({"t": sets}, kinds={"t": "tags"})
    rare = data.with_schema(data.schema.set("t", min_count=100))
    with pytest.warns(UserWarning, match="no tag stands in 100 training rows or more"):
        DataCodec.fit(rare)


@pytest.mark.filterwarnings("error")
def test_nothing_is_said_of_the_vocabulary_of_rows_that_teach_none() -> None:
    """Few rows to stop by have few tags, and warnings of unknown ones are for who asks."""
    sets = [["red"], ["big"]] * 30
    data = pm.from_arrays({"t": sets}, kinds={"t": "tags"})
    data = data.with_schema(data.schema.set("t", min_count=25))
    few = pm.from_arrays({"t": [["red"], ["odd"]]}, kinds={"t": "tags"})
    prepare(data, few, 0.1, 0)
    listed = data.with_schema(data.schema.set("t", levels=["red", "big"], min_count=1))
    prepare(listed, few, 0.1, 0)


def test_the_command_line_names_the_row_of_the_file(
    schema: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken("visits").to_csv(tmp_path / "b.csv", index=False)
    words = f"fit {tmp_path}/b.csv --schema {schema} --epochs 1 --out {tmp_path}/m.pm"
    assert main(words.split()) == 1
    assert f"b.csv, column 'visits', row {BAD}: expected a count" in capsys.readouterr().err
