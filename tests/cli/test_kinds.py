"""Sounds, spike counts, tags and embeddings from a file of a table, on the command line."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from polymodal.cli import main
from polymodal.cli.tables import write_frame
from polymodal.data import ModalitySpec, Schema
from polymodal.data.names import objects
from polymodal.data.sounds import wav_bytes

RATE = 4000
TAGS = (("loud", "low"), ("soft",), ("low", "soft"), ("loud",))
SCHEMA = """
modalities:
  sound: {kind: audio, column: sound, rate: 4000, size: [8, 12]}
  spikes: {kind: series, column: spikes, likelihood: poisson}
  tags: {kind: tags, column: tags}
  meaning: {kind: embedding, column: meaning}
  level: {kind: table, columns: {level: {kind: number}}}
"""


def write_rows(folder: Path, suffix: str, n_rows: int = 32) -> Path:
    """Tones of a class with spikes that follow them, in a CSV or a Parquet file."""
    rng = np.random.default_rng(0)
    classes = np.arange(n_rows) % 4
    (folder / "sounds").mkdir(exist_ok=True)
    times, names = np.arange(800) / RATE, []
    for row, one in enumerate(classes):
        wave = 0.5 * np.sin(2 * np.pi * (200 + 150 * one) * times + rng.uniform(0, 6))
        names.append(f"sounds/{row}.wav")
        (folder / names[-1]).write_bytes(wav_bytes(wave.astype(np.float32), RATE))
    lists = {
        "spikes": rng.poisson(1 + 3 * classes[:, None], (n_rows, 6)).tolist(),
        "tags": [list(TAGS[one]) for one in classes],
        "meaning": (np.eye(4)[classes] + 0.1 * rng.normal(size=(n_rows, 4))).round(3).tolist(),
    }
    frame = pd.DataFrame({"sound": names, **lists, "level": classes + rng.normal(size=n_rows)})
    frame["tags"] = frame["tags"].where(np.arange(n_rows) % 8 != 1, None)
    frame["spikes"] = frame["spikes"].where(np.arange(n_rows) % 8 != 2, None)
    path = folder / f"rows{suffix}"
    if suffix == ".csv":
        for name in lists:
            frame[name] = [None if one is None else json.dumps(one) for one in frame[name]]
        frame.to_csv(path, index=False)
    else:
        frame.to_parquet(path)
    return path


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_each_kind_goes_from_a_file_to_answers(
    suffix: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, model, filled = write_rows(tmp_path, suffix), tmp_path / "a.pm", tmp_path / "f.parquet"
    (tmp_path / "schema.yaml").write_text(SCHEMA)

    def run(words: str) -> dict:
        capsys.readouterr()
        assert main([*words.split(), "--json"]) == 0
        return json.loads(capsys.readouterr().out)

    run(f"fit {data} --schema {tmp_path}/schema.yaml --epochs 2 --latent-dim 3 --out {model}")
    run(f"impute {model} {data} --draws 3 --out {filled}")
    done = pd.read_parquet(filled)
    # Tags come back as they went in: lists, or lists written as JSON.
    tags = [json.loads(one) if isinstance(one, str) else one for one in done["tags"]]
    assert set(np.concatenate(tags)) <= {"loud", "low", "soft"}
    counts = np.stack(done["spikes"].to_list())
    assert counts.shape == (32, 6)
    assert counts.min() >= 0
    assert (counts[2] == np.round(counts[2])).all()
    run(f"translate {model} {data} --to sound --given tags,spikes --out {tmp_path}/t.parquet")
    assert len(pd.read_parquet(tmp_path / "t.parquet")) == 32
    scored = run(f"score {model} {data}")["log_likelihood"]
    assert np.isfinite(scored).all()


QUIET = 1e-5 * np.sin(np.arange(2400) / 3).reshape(8, 300)
"""Sounds of which 16 bits would keep nothing."""


@pytest.fixture(scope="module")
def listener(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of sounds that are lists of samples."""
    folder = tmp_path_factory.mktemp("sounds")
    rows = pd.DataFrame({"s": list(QUIET), "y": np.arange(8.0)})
    rows.to_parquet(folder / "train.parquet")
    (folder / "s.yaml").write_text(
        "modalities:\n"
        "  s: {kind: audio, column: s, rate: 4000}\n"
        "  t: {kind: table, columns: {y: {kind: number}}}\n"
    )
    words = f"fit {folder}/train.parquet --schema {folder}/s.yaml --epochs 1 --latent-dim 2"
    assert main([*words.split(), "--out", f"{folder}/m.pm"]) == 0
    return folder / "m.pm"


def filled(cells: list, model: Path, folder: Path, source: str, out: str) -> list:
    """The sounds of a file after ``impute``; the first of them is a hole."""
    rows = pd.DataFrame({"s": objects([None, *cells]), "y": np.arange(len(cells) + 1.0)})
    if source.endswith(".csv"):
        rows.to_csv(folder / source, index=False)
    else:
        rows.to_parquet(folder / source)
    assert main(["impute", f"{model}", f"{folder}/{source}", "--out", f"{folder}/{out}"]) == 0
    back = (pd.read_csv if out.endswith(".csv") else pd.read_parquet)(folder / out)
    return back["s"].tolist()


FORMS = {
    "float64": list(QUIET),
    "float32": list(QUIET.astype(np.float32)),
    "whole": [[0, 3, -2]] * 3,
    "channels": [one.reshape(2, 150).tolist() for one in QUIET],
    "channels last": [one.reshape(150, 2).tolist() for one in QUIET],
}


@pytest.mark.parametrize("mapped", [False, True])
@pytest.mark.parametrize("form", FORMS)
def test_known_sounds_stay_in_parquet(
    form: str, mapped: bool, listener: Path, tmp_path: Path
) -> None:
    cells = FORMS[form]
    given = [{"array": one, "sampling_rate": RATE} for one in cells] if mapped else cells
    new, *known = filled(given, listener, tmp_path, "in.parquet", "out.parquet")
    if mapped:
        rates = [one["sampling_rate"] for one in (new, *known)]
        assert [type(one) for one in rates] == [int] * len(rates)
        assert set(rates) == {RATE}
        new, *known = (one["array"] for one in (new, *known))
    for was, now in zip(cells, known, strict=True):
        np.testing.assert_array_equal(np.stack(now), was)
    assert np.stack(new).ndim == np.ndim(cells[0])
    assert np.stack(new).dtype == np.stack(known[0]).dtype
    if form == "float32":
        assert known[0].dtype == np.float32


def test_known_lists_of_samples_stay_in_a_csv(listener: Path, tmp_path: Path) -> None:
    cells = [f"[{i}e-5,0.0, 1E-5]" for i in range(3)]
    new, *known = filled(cells, listener, tmp_path, "in.csv", "out.csv")
    assert known == cells
    assert np.isfinite(json.loads(new)).all()
    assert not list(tmp_path.glob("*_s"))
    new, *known = filled(cells, listener, tmp_path, "in.csv", "out.parquet")
    assert [one.tolist() for one in known] == [json.loads(one) for one in cells]
    new, *known = filled(list(QUIET), listener, tmp_path, "in.parquet", "out.csv")
    assert [json.loads(one) for one in known] == QUIET.tolist()


def test_quiet_sounds_of_mappings_are_heard_beside_a_csv(listener: Path, tmp_path: Path) -> None:
    soundfile = pytest.importorskip("soundfile")
    cells = [{"array": one, "sampling_rate": RATE} for one in QUIET]
    _, *known = filled(cells, listener, tmp_path, "in.parquet", "out.csv")
    for was, name in zip(QUIET, known, strict=True):
        samples, rate = soundfile.read(tmp_path / name)
        assert rate == RATE
        np.testing.assert_allclose(samples, was, atol=1e-9)


def test_mappings_of_pictures_and_sound_files_stay_mappings_in_parquet(tmp_path: Path) -> None:
    loud, buffer = wav_bytes(np.array([0.0, 1.0]), RATE), io.BytesIO()
    Image.new("L", (2, 2)).save(buffer, "PNG")
    (tmp_path / "a.wav").write_bytes(loud)
    schema = Schema({"s": ModalitySpec("audio", column="s", rate=RATE)})
    sounds = [{"bytes": loud, "path": "b.wav"}, {"bytes": None, "path": "a.wav"}]
    pictures = [{"bytes": buffer.getvalue(), "path": "b.png"}, None]
    rows = pd.DataFrame({"s": objects(sounds), "p": objects(pictures)})
    write_frame(rows, tmp_path / "o.parquet", {"p"}, tmp_path, schema)
    back = pd.read_parquet(tmp_path / "o.parquet")
    assert back["p"].tolist() == pictures
    assert back["s"].tolist() == [sounds[0], {"bytes": loud, "path": "a.wav"}]
