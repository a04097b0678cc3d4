"""Coherence in a comparison: the protocol's numbers in the table, kept, gone on with, refused."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import polymodal as pm
from polymodal.comparison.folder import Cost, Finished
from polymodal.comparison.labelled import Labelled
from polymodal.comparison.plan import Plan, split_rows
from polymodal.comparison.result import Comparison, Row
from polymodal.comparison.text import bars
from polymodal.data.schema import Schema
from polymodal.data.specs import ColumnSpec, ModalitySpec
from polymodal.estimator.labels import codes_of, labels_of
from polymodal.evaluate.judge import Judge
from polymodal.evaluate.judged import evaluate_coherence
from polymodal.evaluate.sheet import Measured, Sheet
from polymodal.files import FileError

SHARED = {
    "epochs": 1,
    "latent_dim": 3,
    "networks": pm.NetworkSettings(hidden=(8,)),
    "draws": 20,
    "resamples": 40,
    "progress": False,
}
SHARED_PLAN = {"draws": SHARED["draws"]}
RECIPES = ["pcca", "mmvm"]


def frame(n: int = 150) -> pd.DataFrame:
    """Two pairs of numbers that show the class, which is a column of its own."""
    rng = np.random.default_rng(0)
    codes = np.arange(n) % 3
    one = codes[:, None] + 0.1 * rng.normal(size=(n, 2))
    other = -codes[:, None] + 0.1 * rng.normal(size=(n, 2))
    columns = {"a": one[:, 0], "b": one[:, 1], "c": other[:, 0], "d": other[:, 1]}
    return pd.DataFrame({**columns, "digit": np.array(["x", "y", "z"])[codes]})


def schema() -> Schema:
    two = {"one": ("a", "b"), "two": ("c", "d")}
    return Schema(
        {
            name: ModalitySpec("table", columns=tuple(ColumnSpec(c, "number") for c in columns))
            for name, columns in two.items()
        }
    )


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[pm.Comparison, Path]:
    folder = tmp_path_factory.mktemp("labelled") / "c"
    data = pm.read(frame(), schema())
    return pm.compare(data, RECIPES, 1, folder=folder, label="digit", **SHARED), folder


def test_the_table_has_the_numbers_of_the_protocol(whole) -> None:
    found, folder = whole
    group = next(one for one in found.groups if one.name == "coherence")
    assert group.columns == ("1 input", "joint", "joint by chance", "cap")
    assert "judges" in group.says
    split = split_rows(pm.read(frame(), schema()), Plan(**SHARED_PLAN), None, None)
    judges = {file.name.split("-")[1]: Judge.read(file) for file in (folder / "judges").iterdir()}
    assert set(judges) == {"one", "two"}
    codes = torch.from_numpy(codes_of(labels_of(split.judged, "digit")[0], ("x", "y", "z")))
    said = evaluate_coherence(
        pm.load(folder / "pcca-0.pm").model_, split.test, codes, judges, names=("one", "two")
    )
    values = group.values["pcca"]
    assert values["1 input"].value == pytest.approx(said.conditional.single_source.value)
    assert values["joint"].value == pytest.approx(said.joint.agreement.value)
    assert values["joint by chance"].value == pytest.approx(said.joint.chance)
    caps = [one.value for one in said.conditional.caps.values()]
    assert values["cap"].value == pytest.approx(np.mean(caps))
    assert values["1 input"].value > 0.9
    assert group.values["linear"] == {}
    for shares in found.shares:
        name = shares.name.removeprefix("class shares of new ")
        assert shares.columns == ("x", "y", "z")
        shown = [one.value for one in shares.values["pcca"].values()]
        assert shown == pytest.approx(said.joint.histograms[name])
        real = [one.value for one in shares.values["(real rows)"].values()]
        assert real == pytest.approx(said.joint.reference)
    assert len(found.shares) == 2


def test_it_is_told_in_text_frame_and_page(whole, tmp_path: Path) -> None:
    from polymodal.report import write_comparison

    found, _ = whole
    text = found.text(80)
    assert max(len(line) for line in text.splitlines()) <= 80
    assert "Coherence: share of what was made" in text
    assert re.search(r"Judges tell digit of real test rows so often: one 1\.00, two\s+1\.00", text)
    shown = found.groups[-1].values["pcca"]["1 input"].value
    assert re.search(rf"^pcca +{shown:.2f} ", text, re.MULTILINE)  # no sign
    assert "coherence: joint_low" in found.frame()
    page = write_comparison(tmp_path / "c.html", found).read_text("utf-8")
    assert "<h2>Coherence</h2>" in page
    assert f">{shown:.2f}<br>" in page


def test_the_class_shares_of_new_rows_stand_beside_the_joint_coherence(
    whole, tmp_path: Path
) -> None:
    from polymodal.report import write_comparison

    found, _ = whole
    lines = found.text(80).splitlines()
    at = next(i for i, line in enumerate(lines) if line.startswith("Class shares of new rows"))
    table = [line.split("  ") for line in lines[at + 4 : at + 8]]
    assert [line[0].strip() for line in table if line[0]] == ["method", "(real rows)", "pcca"]
    real = [one.value for one in found.shares[0].values["(real rows)"].values()]
    assert bars(real) in found.text(80)
    assert "class shares of new two: z_low" in found.frame()
    page = write_comparison(tmp_path / "c.html", found).read_text("utf-8")
    assert f"<td>{bars(real)}</td>" in page


def test_a_collapsed_modality_shows_one_bar() -> None:
    assert bars([0.0, 1.0, 0.0]) == "·█· 1.00"
    assert bars([0.0, 0.0]) == "-"


def test_a_recipe_that_shows_one_class_is_warned_of(tmp_path: Path) -> None:
    """The sentence that evaluating the same model alone gives, in the notes of its recipe."""
    from polymodal.report import write_comparison

    folder, data = tmp_path / "c", pm.read(frame(), schema())
    found = pm.compare(data, ["mopoe", "pcca"], 2, folder=folder, label="digit", **SHARED)
    split = split_rows(data, Plan(**SHARED_PLAN), None, None)
    judges = {file.name.split("-")[1]: Judge.read(file) for file in (folder / "judges").iterdir()}
    codes = torch.from_numpy(codes_of(labels_of(split.judged, "digit")[0], ("x", "y", "z")))
    alone = [
        evaluate_coherence(
            pm.load(folder / f"mopoe-{seed}.pm").model_, split.test, codes, judges
        ).joint.warnings
        for seed in (0, 1)
    ]
    assert [len(warnings) for warnings in alone] == [2, 2]  # one epoch teaches it nothing
    warned = [note for note in found.row("mopoe").notes if "WARNING" in note]
    assert warned == [f"mopoe with seeds 0, 1: {warning}" for warning in alone[0]]
    assert "show one class, y, which" in warned[0]
    assert not any("WARNING" in note for note in found.row("pcca").notes)
    text = " ".join(found.text().split())
    assert all(note in text for note in warned)
    assert re.search(r"mopoe \[\d", text)
    page = write_comparison(tmp_path / "c.html", found).read_text("utf-8")
    assert all(note in page for note in warned)


def test_seeds_that_collapse_to_different_classes_are_each_warned_of(tmp_path: Path) -> None:
    """Their mean shows two classes."""
    split = split_rows(pm.read(frame(), schema()), Plan(**SHARED_PLAN), None, None)
    labelled = Labelled.of(split, "digit")
    whole = torch.zeros(1)

    def fit(seed: int, shares: list[float]) -> Finished:
        measures = {
            f"class shares of new one: {i}": Measured(s, whole) for i, s in enumerate(shares)
        }
        sheet = Sheet((), whole, whole, measures)
        return Finished("mopoe", seed, "finished", "", 1, Cost(), {"mopoe": sheet})

    row = Row("mopoe", "What it is.", False)
    empty = Comparison((row,), (), "", 0.9, split.sizes, 1, 1.0)
    done = [fit(0, [1.0, 0.0, 0.0]), fit(1, [0.4, 0.3, 0.3]), fit(2, [0.0, 0.0, 1.0])]
    notes = labelled.named(empty, done).row("mopoe").notes
    for note, said in zip(notes, ((0, "x"), (2, "z")), strict=True):
        seed, name = said
        assert note.startswith(
            f"mopoe with seed {seed}: WARNING: 100% of the new one show one class, {name}"
        )


def test_a_family_without_new_rows_has_a_dash_and_a_note(whole) -> None:
    found, _ = whole
    assert "joint" not in found.groups[-1].values["mmvm"]
    assert any("mmvm has no joint coherence: " in note for note in found.row("mmvm").notes)


def test_it_goes_on_where_it_was(whole, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found, folder = whole
    shutil.copytree(folder, tmp_path / "c")
    (tmp_path / "c" / "mmvm-0.fit").unlink()

    def never(*_args: object, **_words: object) -> None:
        raise AssertionError("trained again")

    monkeypatch.setattr("polymodal.evaluate.judges._train", never)
    data = pm.read(frame(), schema())
    again = pm.compare(data, RECIPES, 1, folder=tmp_path / "c", label="digit", **SHARED)
    for name in RECIPES:
        assert again.row(name).skill == found.row(name).skill
    assert again.groups == found.groups
    assert again.shares == found.shares
    assert again.notes == found.notes


def test_another_label_or_none_is_another_comparison(whole) -> None:
    _, folder = whole
    data = pm.read(frame(), schema())
    with pytest.raises(FileError, match="label='digit', now None"):
        pm.compare(data, RECIPES, 1, folder=folder, **SHARED)
    other = frame().assign(digit=lambda f: f["digit"].replace("z", "y"))
    with pytest.raises(FileError, match="other rows"):
        pm.compare(pm.read(other, schema()), RECIPES, 1, folder=folder, label="digit", **SHARED)


def test_the_modality_that_holds_the_label_takes_no_part() -> None:
    held = Schema(
        {
            **schema().modalities,
            "said": ModalitySpec("table", columns=(ColumnSpec("digit", "category"),)),
        }
    )
    found = pm.compare(pm.read(frame(), held), ["pcca"], 1, label="digit", **SHARED)
    assert found.groups[-1].columns == ("1 input", "joint", "joint by chance", "cap")
    assert any("without said, which holds the label" in note for note in found.notes)


def test_intervals_of_rows_that_are_all_right_are_exact() -> None:
    """Judges that make no mistake on 8 rows may make some on others."""
    test = frame(24)[:8].copy()
    test.loc[:1, ["c", "d"]] = None
    with_holes = pm.read(test, schema())
    found = pm.compare(
        pm.read(frame(), schema()), ["pcca"], 2, test=with_holes, label="digit", **SHARED
    )
    values = next(one for one in found.groups if one.name == "coherence").values["pcca"]
    low = {n: 0.025 ** (1 / n) for n in (6, 8)}
    assert (values["cap"].value, values["cap"].high) == (1, 1)
    assert values["cap"].low == pytest.approx((low[6] + low[8]) / 2)
    assert values["1 input"].value == 1
    assert values["1 input"].low == pytest.approx((low[6] + low[8]) / 2)
    doubt = "Only 8 test rows were judged: so few tell little, whatever the intervals."
    assert found.notes.count(doubt) == 1


def test_test_rows_that_are_not_judged_are_counted(tmp_path: Path) -> None:
    from polymodal.report import write_comparison

    train, test = frame(), frame(40)
    test.loc[:4, "digit"] = None
    test.loc[5:9, "digit"] = "unheard of"
    found = pm.compare(
        pm.read(train, schema()),
        ["pcca"],
        1,
        test=pm.read(test, schema()),
        label="digit",
        **SHARED,
    )
    notes = (
        "5 of 40 test rows have no label and were not judged.",
        "5 of 40 test rows were not judged, as no judge knows their class: unheard of (5 rows).",
    )
    assert all(note in found.notes for note in notes)
    assert all(note in " ".join(found.text().split()) for note in notes)
    assert all(note in found.to_dict()["notes"] for note in notes)
    page = write_comparison(tmp_path / "c.html", found).read_text("utf-8")
    assert all(note in page for note in notes)


@pytest.mark.parametrize(
    ("label", "said"),
    [("digt", "the label 'digt' must be a column"), ("a", "108 different values in 108")],
)
def test_wrong_labels_are_refused_before_anything_is_fitted(
    label: str, said: str, tmp_path: Path
) -> None:
    data = pm.read(frame(), schema())
    with pytest.raises(ValueError, match=said):
        pm.compare(data, RECIPES, 1, folder=tmp_path / "c", label=label, **SHARED)
    assert not (tmp_path / "c").exists()


def test_too_few_labelled_rows_leave_no_folder(tmp_path: Path) -> None:
    """Which would refuse the right label afterwards."""
    table = frame(60)
    table.loc[7:, "digit"] = None
    data = pm.read(table, schema())
    with pytest.raises(ValueError, match="judge of 'one': needs at least 10 rows"):
        pm.compare(data, RECIPES, 1, folder=tmp_path / "c", label="digit", **SHARED)
    assert not (tmp_path / "c").exists()


def test_one_modality_beside_the_label_is_too_few() -> None:
    with pytest.raises(ValueError, match="two modalities or more beside"):
        pm.compare(pm.read(frame()), ["pcca"], 1, label="digit", **SHARED)
