"""Going on with a run from the command line: by its own options and data, or not at all."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest
from tests.estimator.cases import frame, tiny

from polymodal.cli import main
from polymodal.data.bundled import load_bundled
from polymodal.estimator import MultimodalModel, load
from polymodal.objectives.schedules import LinearWarmup


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run of 40 rows that is done, and its data, model and options beside it."""
    folder = tmp_path_factory.mktemp("work")
    rows = load_bundled("penguins").native().sample(frac=1.0, random_state=0)
    rows.iloc[:40].to_csv(folder / "forty.csv", index=False)
    rows.iloc[40:60].to_csv(folder / "others.csv", index=False)
    words = f"fit {folder}/forty.csv --recipe cmvae --set clusters=4 --latent-dim 2 --epochs 1"
    words += " --network hidden=[16]"
    assert main(f"{words} --seed 3 --run-dir {folder}/begun --out {folder}/begun.pm".split()) == 0
    return folder / "begun"


def run(words: str, capsys: pytest.CaptureFixture[str]) -> dict:
    """The JSON of a command that works."""
    assert main([*words.split(), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_a_run_goes_on_with_no_other_rows(
    begun: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = pd.read_csv(begun.parent / "forty.csv")
    kind = rows["species"].iloc[0]
    others = {
        "one": rows.iloc[:1],
        "cell": rows.assign(body_mass_g=rows["body_mass_g"] + (rows.index == 7)),
        "level": rows.assign(species=rows["species"].replace(kind, "new")),
        "less": rows.drop(columns=["species"]),
        "order": rows.iloc[::-1],
    }
    for name, other in others.items():
        other.to_csv(tmp_path / f"{name}.csv", index=False)
        words = f"fit {tmp_path}/{name}.csv --run-dir {begun} --resume --out {tmp_path}/m.pm"
        assert main(words.split()) == 1, name
        out, err = capsys.readouterr()
        assert out == ""
        assert f"{begun}: this run learned from 40 rows of table" in err
        assert f"{name}.csv" in err.splitlines()[-1]
    assert not list(tmp_path.glob("m.pm*"))
    copy = shutil.copy(begun.parent / "forty.csv", tmp_path / "copy.csv")
    said = run(f"fit {copy} --run-dir {begun} --resume --out {tmp_path}/m.pm", capsys)
    assert (said["rows"], said["recipe"]) == (40, "cmvae")


def test_a_run_goes_on_with_no_other_options(
    begun: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = f"fit {begun.parent}/forty.csv --run-dir {begun} --resume --out {tmp_path}/m.pm"
    for other, was in {
        "--epochs 2": "--epochs 1",
        "--seed 0": "--seed 3",  # a default that was typed
        "--recipe mopoe": "--recipe cmvae",
        "--private-dim 1": "no --private-dim",
        "--set clusters=5": "--set clusters=4",
        "--network hidden=[8]": "--network hidden=[16]",
    }.items():
        assert main(f"{words} {other}".split()) == 1, other
        err = capsys.readouterr().err
        assert f"begun with {was}," in err
        assert f"got {other}." in err
    assert main(f"{words} --set bogus=1".split()) == 1
    assert "begun with no --set bogus," in capsys.readouterr().err
    assert main(f"{words} --validation {begun.parent}/others.csv".split()) == 1
    assert "validation" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
    run(f"{words} --set clusters=4 --seed 3", capsys)
    run(f"{words}", capsys)
    again = (tmp_path / "m.pm.yaml").read_text()
    assert (
        again.replace(f"{tmp_path}/m.pm", f"{begun.parent}/begun.pm")
        == (begun.parent / "begun.pm.yaml").read_text()
    )
    run(f"fit --config {tmp_path}/m.pm.yaml --resume", capsys)


def test_a_run_begun_in_python_goes_on_and_says_what_no_option_keeps(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = frame(30)[["w", "s"]]
    rows.to_parquet(tmp_path / "rows.parquet")
    settings = {"beta": LinearWarmup(5)}
    model = MultimodalModel(**tiny(recipe="mvae", settings=settings, batch_size=8))
    model.fit(tmp_path / "rows.parquet", run_dir=tmp_path / "run")
    words = f"fit {tmp_path}/rows.parquet --run-dir {tmp_path}/run --resume --out {tmp_path}/m.pm"
    assert main(words.split()) == 0
    err = capsys.readouterr().err
    assert "begun in Python with batch_size, settings['beta']" in err
    assert "m.pm.yaml" in err
    assert load(tmp_path / "m.pm").get_params()["batch_size"] == 8
