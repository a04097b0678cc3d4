"""Comparing: the same result wherever it was stopped, rows that say why, words that fit."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import polymodal as pm
from polymodal.comparison import compare as compare_module_function
from polymodal.comparison import fits
from polymodal.comparison.folder import Folder
from polymodal.comparison.plan import Plan
from polymodal.data.dataset import MultimodalData
from polymodal.data.sources import from_arrays
from polymodal.evaluate.examination import Examination
from polymodal.evaluate.sheet import RowSums
from polymodal.files import FileError
from polymodal.training.checkpoint import FILE_NAME

NETWORKS = pm.NetworkSettings(hidden=(8,), text_width=8)
SHARED = {
    "epochs": 4,
    "latent_dim": 3,
    "networks": NETWORKS,
    "draws": 20,
    "resamples": 60,
    "batch_size": 16,
    "progress": False,
}


def rows(n: int = 80, holes: float = 0.0) -> MultimodalData:
    """Two vectors and a table that follow from one hidden number."""
    rng = np.random.default_rng(0)
    u = rng.normal(size=n)
    present = {}
    if holes:
        first = rng.random(n) < 0.5
        present = {"v": first, "w": ~first}
    table = pd.DataFrame({"size": u + 0.1 * rng.normal(size=n), "sort": np.where(u > 0, "x", "y")})
    held = {
        "v": np.stack([u, -u], 1) + 0.3 * rng.normal(size=(n, 2)),
        "w": np.stack([u, u, u], 1) + 0.3 * rng.normal(size=(n, 3)),
        "table": table,
    }
    return from_arrays(held, present=present)


def told(found: pm.Comparison) -> str:
    """All that a comparison says but times, as one text."""
    said = found.to_dict()
    said.pop("simple_cpu_seconds")
    for row in said["rows"]:
        row.pop("cpu_seconds")
        row.pop("wall_seconds")
    return json.dumps(said, sort_keys=True)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[pm.Comparison, Path]:
    folder = tmp_path_factory.mktemp("whole") / "c"
    return pm.compare(rows(), ["mopoe", "mvtcae"], 2, folder=folder, **SHARED), folder


def test_one_row_a_method_with_all_columns(whole) -> None:
    found, folder = whole
    assert {row.method for row in found.rows} == {"mopoe", "mvtcae", "mean", "linear", "knn"}
    for row in found.rows:
        assert row.failure is None
        assert row.skill.low <= row.skill.high
        assert (row.coverage is None) == row.simple
        assert (row.log_likelihood is None) == row.simple
    recipes = [row for row in found.rows if not row.simple]
    assert all(row.seeds == (0, 1) and row.cpu_seconds > 0 for row in recipes)
    assert [group.name for group in found.groups] == ["skill by modality"]
    assert found.groups[0].columns == ("v", "w", "table")
    assert found.sizes == {"train": 58, "validation": 6, "test": 16}
    ranks = [row.rank for row in found.rows]
    assert ranks == sorted(ranks)
    frame = found.frame()
    assert frame["skill_low"].notna().all()
    assert "skill by modality: table_high" in frame
    names = {file.name for file in folder.iterdir()}
    assert {"settings.json", "comparison.json", "simple-0.fit"} <= names
    assert {
        f"{r}-{s}.{end}" for r in ("mopoe", "mvtcae") for s in (0, 1) for end in ("pm", "fit")
    } < names
    assert not any(file.is_dir() for file in folder.iterdir())
    assert json.loads((folder / "comparison.json").read_text()) == found.to_dict()


def test_done_fits_are_not_made_again(whole, monkeypatch: pytest.MonkeyPatch) -> None:
    found, folder = whole

    def never(*_args: object) -> None:
        raise AssertionError("fitted again")

    monkeypatch.setattr("polymodal.comparison.comparing.fit_one", never)
    again = pm.compare(rows(), ["mopoe", "mvtcae"], 2, folder=folder, **SHARED)
    assert again.to_dict() == found.to_dict()


@pytest.mark.parametrize("steps", [3, 9])
def test_stopped_within_and_between_fits_it_ends_the_same(
    whole, steps: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SIGINT after so many steps of a fit, again and again, until nothing is left to stop."""
    found, _ = whole
    plain, count = fits._Meter.step, [0]

    def step(self, epoch: int, step: int, loss: float) -> None:
        plain(self, epoch, step, loss)
        count[0] += 1
        if count[0] == steps:
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(fits._Meter, "step", step)
    stops, within = 0, 0
    while True:
        count[0] = 0
        try:
            again = pm.compare(rows(), ["mopoe", "mvtcae"], 2, folder=tmp_path / "c", **SHARED)
            break
        except KeyboardInterrupt:
            stops += 1
            within += any(tmp_path.glob(f"c/*/{FILE_NAME}"))
    assert stops > 3
    assert within == stops
    assert told(again) == told(found)
    assert all(row.cpu_seconds > 0 for row in again.rows if not row.simple)


def test_stopped_between_fits_it_ends_the_same(
    whole, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found, _ = whole
    plain, kept = Folder.keep, []

    def keep(self, done) -> None:
        plain(self, done)
        kept.append(done.recipe)
        if len(kept) == 4:
            raise KeyboardInterrupt

    monkeypatch.setattr(Folder, "keep", keep)
    folder = tmp_path / "c"
    with pytest.raises(KeyboardInterrupt):
        pm.compare(rows(), ["mopoe", "mvtcae"], 2, folder=folder, **SHARED)
    assert len(list(folder.glob("*.fit"))) == 4
    again = pm.compare(rows(), ["mopoe", "mvtcae"], 2, folder=folder, **SHARED)
    assert kept == ["simple", "mopoe", "mvtcae", "mopoe", "mvtcae"]
    assert told(again) == told(found)


def test_recipes_may_join_and_their_order_does_not_matter(whole, tmp_path: Path) -> None:
    found, folder = whole
    shutil.copytree(folder, tmp_path / "c")
    again = pm.compare(rows(), ["mvtcae", "pcca", "mopoe"], 2, folder=tmp_path / "c", **SHARED)
    for name in ("mopoe", "mvtcae", "linear"):
        assert again.row(name).skill == found.row(name).skill
    assert again.row("pcca").rank is not None


def test_the_table_is_of_all_that_the_folder_holds(
    whole, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whichever recipes and seeds are asked for now; other files are none of its fits."""
    found, folder = whole
    shutil.copytree(folder, tmp_path / "c")
    for name in ("strange-0.fit", "mopoe-copy.fit"):
        (tmp_path / "c" / name).write_bytes(b"?")
    again = pm.compare(rows(), ["mvtcae"], [1], folder=tmp_path / "c", **SHARED)
    assert told(again) == told(found)
    shared = {**SHARED, "progress": True}
    again = pm.compare(rows(), ["pcca"], 1, folder=tmp_path / "c", **shared)
    said = "In the table too, as the folder holds them: mopoe (seeds 0, 1), mvtcae (seeds 0, 1)."
    assert said in capsys.readouterr().err
    assert {row.method: (row.seeds, row.lost) for row in again.rows if not row.simple} == {
        "mopoe": ((0, 1), ()),
        "mvtcae": ((0, 1), ()),
        "pcca": ((0,), ()),
    }
    assert again.row("mopoe").skill == found.row("mopoe").skill
    text = again.text(120)
    assert "3 recipes, 2 seeds each (of pcca 1), and 3 simple" in " ".join(text.split())
    assert next(line for line in text.splitlines() if "rank " in line).split()[2] == "seeds"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"epochs": 5}, "epochs=4, now 5"),
        ({"latent_dim": 2}, "latent_dim=3, now 2"),
        ({"settings": {"mopoe": {"beta": 2.0}}}, "beta=None of recipe mopoe, now 2.0"),
        ({"networks": None}, "networks.hidden=["),
        ({"split_seed": 1}, "split_seed=0, now 1"),
    ],
)
def test_other_settings_are_one_clear_error(whole, change: dict, said: str) -> None:
    _, folder = whole
    with pytest.raises(FileError, match="another folder") as caught:
        pm.compare(rows(), ["mopoe", "mvtcae"], 2, folder=folder, **{**SHARED, **change})
    assert said in str(caught.value)


def test_a_folder_from_before_networks_had_a_setting_goes_on(whole, tmp_path: Path) -> None:
    """Where the data have nothing for it; else the setting is named."""
    _, folder = whole
    shutil.copytree(folder, tmp_path / "c")
    file = tmp_path / "c" / "settings.json"
    kept = json.loads(file.read_text())
    del kept["shared"]["networks"]["image_activation"]
    file.write_text(json.dumps(kept))
    again = pm.compare(rows(), ["mopoe"], 2, folder=tmp_path / "c", **SHARED)
    assert again.row("mopoe").seeds == (0, 1)
    place, facts = Folder(tmp_path / "new"), Plan().facts(["image", "vector"])
    place.claim(facts, {})
    file = tmp_path / "new" / "settings.json"
    old = json.loads(file.read_text())
    old["shared"]["networks"] = None
    file.write_text(json.dumps(old))
    with pytest.raises(FileError, match=r"networks\.image_activation='relu', now 'leak"):
        place.claim(facts, {})


@pytest.mark.parametrize(
    "shared",
    [
        "x",
        3,
        {"networks": "x"},
        {"networks": {"hidden": 3}},
        {"measures": None},
        {"measures": ["x"]},
    ],
)
def test_settings_of_another_form_are_one_clear_error(shared: object, tmp_path: Path) -> None:
    place, facts = Folder(tmp_path / "new"), Plan().facts(["image"])
    place.claim(facts, {})
    file = tmp_path / "new" / "settings.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "shared": shared}))
    with pytest.raises(FileError, match="not the settings of a comparison"):
        place.claim(facts, {})


def hits_of(share: float) -> Callable[..., dict[str, RowSums]]:
    """A measure that finds the same in every model."""

    def hits(_model: object, exam: Examination) -> dict[str, RowSums]:
        n = len(exam.test)
        return {"mine: hits": RowSums(torch.full((n,), share), torch.ones(n))}

    return hits


def test_a_folder_keeps_to_its_measures(tmp_path: Path) -> None:
    """The column ``hits`` of two functions, one of which holds another number."""
    folder, table = tmp_path / "c", rows(40)
    for names in (["pcca"], ["pcca", "mvtcae"]):
        found = pm.compare(table, names, 1, folder=folder, measures=[hits_of(1.0)], **SHARED)
        column = found.groups[-1].values
        assert [column[name]["hits"].value for name in names] == [1.0] * len(names)
    for other, said in (
        ([hits_of(0.0)], r"the measure .*hits_of\.<locals>\.hits, whose code, or what it holds"),
        ([], r"measures=.*hits_of\.<locals>\.hits, now none"),
    ):
        with pytest.raises(FileError, match=said):
            pm.compare(table, ["pcca"], 1, folder=folder, measures=other, **SHARED)
    file = folder / "settings.json"
    kept = json.loads(file.read_text())
    kept["shared"]["measures"] = 1
    file.write_text(json.dumps(kept))
    with pytest.raises(FileError, match="measures=1, now 0"):
        pm.compare(table, ["pcca"], 1, folder=folder, **SHARED)
    pm.compare(table, ["pcca"], 1, folder=folder, measures=[hits_of(1.0)], **SHARED)
    with pytest.raises(FileError, match="whose code, or what it holds"):
        pm.compare(table, ["pcca"], 1, folder=folder, measures=[hits_of(0.0)], **SHARED)


def test_other_rows_and_other_files_are_refused(whole, tmp_path: Path) -> None:
    _, folder = whole
    other = rows(81)[1:]
    with pytest.raises(FileError, match="other rows"):
        pm.compare(other, ["mopoe"], 1, folder=folder, **SHARED)
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(FileError, match="no comparison"):
        pm.compare(rows(), ["pcca"], 1, folder=tmp_path, **SHARED)
    assert [file.name for file in tmp_path.iterdir()] == ["letter.txt"]


def test_a_damaged_file_says_what_to_do(whole, tmp_path: Path) -> None:
    _, folder = whole
    shutil.copytree(folder, tmp_path / "c")
    file = tmp_path / "c" / "mopoe-1.fit"
    file.write_bytes(file.read_bytes()[:-9])
    with pytest.raises(FileError, match="Delete it"):
        pm.compare(rows(), ["mopoe"], 2, folder=tmp_path / "c", **SHARED)


def test_a_recipe_that_fails_is_a_row_that_says_why(tmp_path: Path) -> None:
    found = pm.compare(rows(holes=0.5), ["cca", "pcca"], 2, folder=tmp_path / "c", **SHARED)
    row = found.row("cca")
    assert row.rank is None
    assert row.skill is None
    assert row.failure
    assert "\n" not in row.failure
    assert found.rows[-1] is row
    assert found.row("pcca").rank is not None
    text = found.text(100)
    assert row.failure.split()[0] in text
    assert "Traceback" in (tmp_path / "c" / "cca-0.failed.txt").read_text()
    assert not (tmp_path / "c" / "cca-0").exists()


def test_a_diverged_fit_is_told(tmp_path: Path) -> None:
    shared = {**SHARED, "learning_rate": 1e6}
    found = pm.compare(rows(), ["mopoe", "pcca"], 1, **shared)
    row = found.row("mopoe")
    said = [*row.notes, row.failure or ""]
    assert row.statuses == ("diverged",) or row.failure
    assert any("inf or NaN" in one or "not numbers" in one for one in said)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"recipes": ["mopo"]}, "Did you mean 'mopoe'?"),
        ({"recipes": []}, "at least one recipe"),
        ({"recipes": ["mopoe"], "seeds": 0}, "at least one recipe and one seed"),
        ({"recipes": ["mopoe", "mopoe"]}, "named twice"),
        ({"recipes": ["mopoe"], "epoch": 3}, "Did you mean 'epochs'?"),
        ({"recipes": ["mopoe"], "epochs": 0}, "epochs must be a whole number"),
        ({"recipes": ["mopoe"], "settings": {"mvae": {}}}, "'mvae', which is not compared"),
        ({"recipes": ["mopoe"], "test_share": 1.5}, "share"),
        ({"recipes": ["mopoe"], "draws": 2, "epochs": 1}, "draws"),
    ],
)
def test_wrong_calls_say_what_is_wrong(words: dict, said: str, tmp_path: Path) -> None:
    """And leave no folder that would refuse the right call afterwards."""
    with pytest.raises(ValueError, match=re.escape(said)):
        pm.compare(rows(40), progress=False, folder=tmp_path / "c", **words)
    assert not (tmp_path / "c").exists()


@pytest.mark.parametrize(("n", "few"), [(80, False), (40, True)])
def test_a_lone_table_is_judged_by_all_its_test_rows(n: int, few: bool) -> None:
    """16 test rows, or 8: each question hides cells of three of them, or of two."""
    u = np.random.default_rng(0).normal(size=n)
    table = from_arrays({"table": pd.DataFrame({"a": u, "b": 2 * u + 1, "c": -3 * u})})
    found = pm.compare(table, ["pcca"], 1, **SHARED)
    assert ("With fewer than 10 test rows to judge by" in found.text()) == few
    assert (found.row("mean").rank == 1) == few
    assert found.row("linear").rank == 1


def test_test_rows_that_were_learned_from_are_remarked() -> None:
    table = rows(80)
    found = pm.compare(table[:60], ["pcca"], 1, test=table[40:], validation=table[70:], **SHARED)
    alike = "; if they are the same rows and not only alike, errors are lower here than on others."
    for said in (
        "20 of the 40 rows judged equal rows that the recipes and the simple methods learned from",
        "10 of the 40 rows judged equal rows that the fits were stopped by",
    ):
        assert said + alike in found.notes
        assert said + alike in " ".join(found.text(100).split())
    for test in (None, table[60:]):
        found = pm.compare(table[:60], ["pcca"], 1, test=test, **SHARED)
        assert "learned from;" not in found.text(200)


@pytest.mark.parametrize("held_out", [True, False])
def test_the_rows_that_are_learned_from_are_no_test(held_out: bool, tmp_path: Path) -> None:
    """Whatever is held out of them to stop by, and though a row with nothing is left out."""
    there = np.arange(80) > 0
    u = np.random.default_rng(0).normal(size=(80, 2))
    table = from_arrays({"v": u, "w": u + 1.0}, present={"v": there, "w": there})
    validation = None if held_out else table[:5]
    with pytest.raises(ValueError, match="test rows are the very rows to learn from") as caught:
        pm.compare(
            table, ["pcca"], 1, test=table[::-1], validation=validation, folder=tmp_path / "c",
            **SHARED,
        )  # fmt: skip
    assert "leave test out" in str(caught.value)
    assert not (tmp_path / "c").exists()


def test_the_rows_that_fits_are_stopped_by_are_no_test(tmp_path: Path) -> None:
    table = rows(80)
    own = {"test": table[60:], "validation": table[60:][::-1], "folder": tmp_path / "c"}
    with pytest.raises(ValueError, match="test rows are the very rows to stop by"):
        pm.compare(table[:60], ["pcca"], 1, **own, **SHARED)
    assert not (tmp_path / "c").exists()


def test_data_of_which_nothing_can_be_asked_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no test row has two modalities or a table of several"):
        pm.compare(rows(40)[["v"]], ["mopoe"], 1, folder=tmp_path / "c", **SHARED)
    assert not (tmp_path / "c").exists()


@pytest.mark.parametrize("width", [80, 120])
def test_the_table_fits_its_width(whole, width: int) -> None:
    found, _ = whole
    text = found.text(width)
    assert max(len(line) for line in text.splitlines()) <= width
    head = next(line for line in text.splitlines() if line.startswith("rank"))
    assert head.split()[:3] == ["rank", "method", "skill"]
    for name in ("mopoe", "mvtcae", "mean (simple)", "linear (simple)", "knn (simple)"):
        assert name in text
    assert text.rstrip().endswith(".")
    assert "Recommended" in text or "simple method" in text


def test_progress_counts_all_fits(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    shared = {**SHARED, "progress": True}
    pm.compare(rows(40), ["pcca", "mvtcae"], 2, folder=tmp_path / "c", **shared)
    out, err = capsys.readouterr()
    assert out == ""
    assert "[4/4] mvtcae, seed 1: done" in err
    assert "left" in err
    pm.compare(rows(40), ["pcca", "mvtcae"], 2, folder=tmp_path / "c", **shared)
    assert capsys.readouterr().err.count("was done before") == 4


def test_the_function_is_the_public_one() -> None:
    assert pm.compare is compare_module_function
