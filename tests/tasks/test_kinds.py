"""Tags, series, sounds and embeddings from a table with holes, through every verb and the CLI."""

from __future__ import annotations

import io
import json
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from tests.estimator.cases import tiny

import polymodal as pm
from polymodal.cli import main
from polymodal.data import Schema
from polymodal.data.names import objects
from polymodal.data.sounds import wav_bytes
from polymodal.report import write_report

RATE = 4000
KINDS = {"tags": "tags", "spikes": "series", "sound": "audio", "clip": "embedding"}


def table(n_rows: int = 40) -> pd.DataFrame:
    """Rows of two sorts; row 3 has a number alone, and a third of all cells are missing."""
    chance = np.random.default_rng(0)
    sort = chance.integers(0, 2, n_rows)
    time = np.arange(400) / RATE
    columns = {
        "tags": [[["red", "round"], ["blue"]][k] for k in sort],
        "spikes": [chance.poisson(1 + 4 * k, (2, 9)).tolist() for k in sort],
        "sound": [wav_bytes(0.3 * np.sin(2 * np.pi * (300 + 500 * k) * time), RATE) for k in sort],
        "clip": [(chance.normal(size=5) + 2 * k).tolist() for k in sort],
    }
    frame = pd.DataFrame({name: objects(cells) for name, cells in columns.items()})
    for name in columns:
        hidden = chance.random(n_rows) < 0.33
        hidden[3] = True
        frame[name] = objects(None if h else c for h, c in zip(hidden, frame[name], strict=True))
    frame["w"] = chance.normal(size=n_rows) + sort
    return frame


def schema_of(data: pm.MultimodalData) -> Schema:
    return data.schema.set("clip", kind="embedding")


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The table as Parquet and CSV, its schema, and a model of it."""
    pytest.importorskip("soundfile")
    folder = tmp_path_factory.mktemp("kinds")
    frame = table()
    frame.to_parquet(folder / "rows.parquet", index=False)
    held = frame.copy()
    for name in ("spikes", "clip"):
        held[name] = [None if c is None else json.dumps(c) for c in frame[name]]
    held["tags"] = [None if c is None else "|".join(c) for c in frame["tags"]]
    names = []
    for row, cell in enumerate(frame["sound"]):
        names.append(None if cell is None else f"{row}.wav")
        if cell is not None:
            (folder / f"{row}.wav").write_bytes(cell)
    held["sound"] = names
    held.to_csv(folder / "rows.csv", index=False)
    data = pm.read(folder / "rows.parquet")
    schema_of(data).save(folder / "schema.yaml")
    model = pm.MultimodalModel(**tiny()).fit(pm.read(folder / "rows.parquet", schema_of(data)))
    model.save(folder / "model.pm")
    return folder


@pytest.mark.parametrize("name", ["rows.parquet", "rows.csv"])
def test_kinds_are_inferred_and_the_same_from_both_files(work: Path, name: str) -> None:
    data = pm.read(work / name)
    assert {n: s.kind for n, s in data.schema.modalities.items() if n != "table"} == {
        **KINDS, "clip": "vector"
    }  # fmt: skip
    model = pm.load(work / "model.pm")
    one = model.codec_.encode(data.with_schema(schema_of(data)))
    other = model.codec_.encode(pm.read(work / "rows.parquet"))
    for modality in KINDS:
        assert (one.present[modality] == other.present[modality]).all()
        assert (one.x[modality] - other.x[modality]).abs().max() < 1e-4


def test_holes_are_filled_in_the_form_of_the_column(work: Path) -> None:
    frame = pd.read_parquet(work / "rows.parquet")
    done = pm.load(work / "model.pm").impute(frame, draws=3)
    for filled in (done.mean, *done.draws, *done.interval(0.4)):
        for name in KINDS:
            known = frame[name].notna()
            assert filled[name].notna().all()
            for before, after in zip(frame[name][known], filled[name][known], strict=True):
                assert np.array_equal(np.stack(before), np.stack(after)) if name != "sound" else (
                    before == after
                )  # fmt: skip
        hole = filled.loc[3]
        assert set(hole["tags"]) <= {"red", "round", "blue"}
        assert np.asarray(hole["spikes"]).shape == (2, 9)
        assert (np.asarray(hole["spikes"]) >= 0).all()
        assert hole["sound"].startswith(b"RIFF")
        assert np.asarray(hole["clip"]).shape == (5,)
    assert set(done.sd) == {"table", "spikes", "clip"}


def test_every_verb_answers(work: Path, tmp_path: Path) -> None:
    model = pm.load(work / "model.pm")
    data = pm.read(work / "rows.parquet", model.schema_)
    made = model.generate(4)
    assert [len(made[name]) for name in KINDS] == [4] * 4
    words = model.translate(data[["sound"]], to="tags")
    assert len(words) == 40
    assert model.embed(data).shape == (40, 3)
    assert np.isfinite(model.score(data)).all()
    judged = model.evaluate(data[:20], train=data[20:], draws=20)
    measures = {(row.modality, row.metric) for row in judged.rows}
    assert {
        ("tags", "average_precision_error"), ("tags", "rmse"), ("spikes", "rmse"),
        ("spikes", "r2"), ("sound", "rmse"), ("clip", "rmse"), ("clip", "cosine_error"),
    } <= measures  # fmt: skip
    assert all(np.isfinite(row.model.value) for row in judged.rows if row.metric != "r2")
    for row in judged.rows:
        if row.modality == "tags":
            assert row.brier is not None
            assert row.brier.value < 0.6
    write_report(tmp_path / "r.html", model, data)
    page = (tmp_path / "r.html").read_text()
    assert "2 x 9 times" in page
    assert "mel bands" in page


def test_the_same_file_reads_the_same_model(work: Path) -> None:
    first, second = (pm.load(work / "model.pm") for _ in range(2))
    a, b = first.generate(3, seed=1), second.generate(3, seed=1)
    for one, other in zip(a["sound"], b["sound"], strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
def test_the_command_line_writes_what_it_can_read(
    work: Path, suffix: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(words: str) -> dict:
        assert main([*words.split(), "--json"]) == 0
        return json.loads(capsys.readouterr().out)

    out = work / f"out_{suffix}"
    source = f"{work}/rows.{suffix}"
    run(f"fit {source} --schema {work}/schema.yaml --epochs 1 --latent-dim 2 --out {out}/m.pm")
    said = run(f"impute {out}/m.pm {source} --draws 2 --out {out}/filled.{suffix}")
    assert said["filled"]["sound"] > 0
    run(f"translate {out}/m.pm {source} --to sound,tags --out {out}/to.{suffix}")
    run(f"generate {out}/m.pm --n 3 --out {out}/made.{suffix}")
    model = pm.load(out / "m.pm")
    for name, n_rows in (("filled", 40), ("made", 3)):
        again = pm.read(out / f"{name}.{suffix}", model.schema_)
        assert len(again) == n_rows
        for modality in KINDS:
            there = again.present(modality)
            assert (there if there.ndim == 1 else there.all(1)).all()
    if suffix == "csv":
        files = sorted((out / "made_sound").glob("*.wav"))
        assert len(files) == 3
        with wave.open(str(files[0])) as file:
            assert file.getframerate() == RATE
    else:
        cell: Any = pd.read_parquet(out / "made.parquet")["sound"][0]
        with wave.open(io.BytesIO(cell)) as file:
            assert file.getframerate() == RATE
