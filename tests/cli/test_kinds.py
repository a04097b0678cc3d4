"""Sounds, spike counts, tags and embeddings from a file of a table, on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from polymodal.cli import main
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
