"""Coherence from data and the name of a label, in Python and on the command line."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
import torch

import polymodal as pm
from polymodal.cli import main
from polymodal.data.schema import Schema
from polymodal.data.specs import ColumnSpec, ModalitySpec
from polymodal.estimator.labels import classes_of, codes_of, labels_of, rows_left_out
from polymodal.evaluate import InceptionFeatures, JudgeSettings
from polymodal.evaluate.judges import train_judges

QUICK = JudgeSettings(hidden=32, epochs=60, learning_rate=1e-2, dropout=0.0)


def frame(n: int = 240) -> pd.DataFrame:
    """Two tables that show the class; the class itself is a column of no modality."""
    generator = np.random.default_rng(0)
    codes = np.arange(n) % 3
    one = codes[:, None] + 0.1 * generator.standard_normal((n, 2))
    other = -codes[:, None] + 0.1 * generator.standard_normal((n, 2))
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
def fitted(tmp_path_factory):
    """A small model of the two tables, which does not know the label; and its files."""
    folder = tmp_path_factory.mktemp("coherence")
    data = pm.read(frame(), schema())
    model = pm.MultimodalModel("pcca", latent_dim=2, progress=False).fit(data[:160])
    model.save(folder / "model.pm")
    frame()[:160].to_parquet(folder / "train.parquet")
    frame()[160:].to_csv(folder / "test.csv", index=False)
    return model, folder


def test_a_column_of_no_modality_is_the_label(fitted) -> None:
    model, folder = fitted
    said = pm.coherence(
        model, folder / "test.csv", "digit", folder / "train.parquet",
        settings=QUICK, cache=folder / "judges",
    )  # fmt: skip
    assert said.classes == ("x", "y", "z")
    assert said.judges == {"one": 1.0, "two": 1.0}
    assert {pair.given for pair in said.conditional.pairs} == {("one",), ("two",), ("one", "two")}
    assert said.conditional.single_source.value > 0.9
    assert said.joint.n == 80
    again = pm.coherence(
        model, folder / "test.csv", "digit", folder / "train.parquet",
        settings=QUICK, cache=folder / "judges",
    )  # fmt: skip
    assert again.to_json() == said.to_json()
    assert len(list((folder / "judges").iterdir())) == 2


def test_rows_without_label_and_unknown_classes_are_not_judged(fitted) -> None:
    model, _ = fitted
    test = frame()[160:].reset_index(drop=True)
    test.loc[0:9, "digit"] = None
    test.loc[10:18, "digit"] = "unheard of"
    test.loc[19, "digit"] = "w"
    said = pm.coherence(model, test, "digit", frame()[:160], settings=QUICK)
    assert {pair.n for pair in said.conditional.pairs} == {60}
    notes = [
        "10 of 80 test rows have no label and were not judged.",
        "10 of 80 test rows were not judged, as no judge knows their class: unheard of (9 rows), "
        "w (1 row).",
    ]
    assert said.notes[:2] == said.to_dict()["notes"][:2] == notes
    assert all(note in str(said) for note in notes)
    whole = pm.coherence(model, frame()[160:], "digit", frame()[:160], settings=QUICK)
    assert not any("not judged" in note for note in whole.notes)


def test_the_verb_says_which_rows_were_left_out(fitted, capsys) -> None:
    _, folder = fitted
    frame()[:160].query("digit != 'z'").to_parquet(folder / "two.parquet")
    command = ["coherence", str(folder / "model.pm"), str(folder / "test.csv"), "--label", "digit"]
    command += ["--train", str(folder / "two.parquet"), "--probe"]
    note = "27 of 80 test rows were not judged, as no judge knows their class: z (27 rows)."
    assert main([*command, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert note in said["notes"]
    assert said["probe"]["notes"] == [note.replace("no judge knows", "no probe knows")]
    assert main(command) == 0
    assert note in capsys.readouterr().out


def test_of_many_unknown_classes_the_largest_are_named() -> None:
    labels = np.array([f"c{i:02}" for i in range(15) for _ in range(1 + i % 2)], dtype=object)
    (note,) = rows_left_out(labels, ("x", "y"))
    named = [f"c{i:02} (2 rows)" for i in range(1, 15, 2)]
    named += [f"c{i:02} (1 row)" for i in (0, 2, 4)]
    assert note == (
        "22 of 22 test rows were not judged, as no judge knows their class: "
        f"{', '.join(named)} and 5 others."
    )
    assert rows_left_out(np.array(["x", "y"], dtype=object), ("x", "y")) == []


def test_the_verb_says_the_same(fitted, capsys) -> None:
    _, folder = fitted
    files = [str(folder / name) for name in ("model.pm", "test.csv")]
    command = ["coherence", *files, "--label", "digit", "--train", str(folder / "train.parquet")]
    command += ["--judges", str(folder / "kept"), "--out", str(folder / "out.json")]
    assert main([*command, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["classes"] == ["x", "y", "z"]
    assert len(said["conditional"]["pairs"]) == 6
    assert json.loads((folder / "out.json").read_text()) == said
    assert main(command) == 0
    out = capsys.readouterr().out
    assert "Given 1 input" in out
    assert "new rows all modalities showed one class" in out


def test_errors_are_one_sentence(fitted, capsys) -> None:
    model, folder = fitted
    files = [str(folder / name) for name in ("model.pm", "test.csv")]
    assert main(["coherence", *files, "--label", "digt"]) == 1
    assert "the label 'digt' must be a column" in capsys.readouterr().err
    assert main(["coherence", *files, "--label", "digit", "--samples", "0"]) == 2
    assert "--samples must be at least 1" in capsys.readouterr().err
    with pytest.raises(ValueError, match="pass train="):
        pm.coherence(model, frame(), "digit")
    with pytest.raises(ValueError, match="trained on"):
        pm.coherence(model, frame()[:160], "digit", frame()[:160])


def test_rows_that_were_learned_from_are_told_of_or_refused(fitted) -> None:
    model, _ = fitted
    learned = len(model._trained())
    assert learned < 160  # a share was held out
    both = [
        pm.coherence(model, frame()[100:], "digit", frame()[:140], settings=QUICK),
        pm.probe(model, frame()[100:], "digit", frame()[:140]),
    ]
    for said, who in zip(both, ("judges", "probes"), strict=True):
        assert "of the 140 rows judged equal rows that the model and" in said.notes[0]
        assert f"the {who} learned from" in said.notes[0]
    trained = np.setdiff1d(np.arange(160), model.held_out_)
    with pytest.raises(ValueError, match="coherence: these are the rows that the model was"):
        pm.coherence(model, frame().iloc[trained], "digit", frame()[160:], settings=QUICK)
    with pytest.raises(ValueError, match="probe: these are the rows that the model was"):
        pm.probe(model, frame().iloc[trained], "digit", frame()[160:])
    clean = pm.coherence(model, frame()[160:], "digit", frame()[:160], settings=QUICK)
    assert not any("equal rows" in note for note in clean.notes)


def test_judges_of_other_classes_and_odd_calls_are_refused(fitted) -> None:
    model, _ = fitted
    test = frame()[160:]
    said = pm.read(frame()[:160], schema())
    rows, codes = model._encode(said), codes_of(labels_of(said, "digit")[0], ("x", "y", "z"))
    columns = {name: model.codec_.columns(name) for name in ("one", "two")}
    both = [
        train_judges(rows, codes, ["one", "two"], columns=columns, classes=order, settings=QUICK)
        for order in (("x", "y", "z"), ("z", "y", "x"))
    ]
    mixed = {"one": both[0]["one"], "two": both[1]["two"]}
    with pytest.raises(ValueError, match="judge of one tells the classes x, y, z, that of two z"):
        pm.coherence(model, test, "digit", judges=mixed)
    for words, wrong in (
        ({"samples": 0}, "samples must be at least 1, got 0"),
        ({"names": []}, "no modality beside 'digit' takes part"),
        ({"names": ["one", "one"]}, "modality 'one' is named twice"),
    ):
        with pytest.raises(ValueError, match=wrong):
            pm.coherence(model, test, "digit", judges=both[0], **words)


def test_test_rows_with_nothing_but_the_label_are_no_crash(fitted) -> None:
    model, _ = fitted
    empty = frame()[160:].assign(a=None, b=None, c=None, d=None)
    said = pm.coherence(model, empty, "digit", frame()[:160], settings=QUICK)
    assert said.conditional is None
    assert said.joint.n == 80
    assert "one: no test row has it, so it was not given." in said.notes
    half = pm.probe(model, frame()[160:].assign(c=None, d=None), "digit", frame()[:160])
    assert half.table()["given"].tolist() == ["one"]
    assert "No training row, or no test row, has two, so it was not given." in half.notes


def test_the_label_may_be_a_modality_and_is_then_withheld() -> None:
    data = pm.load_bundled("mfeat", "test")[["mor", "label"]]
    labels, home = labels_of(data, "label")
    assert home == "label"
    assert classes_of(labels, "label") == tuple("0123456789")
    table = pm.load_bundled("penguins")
    species, home = labels_of(table, "species")
    assert home == "table"
    assert len(classes_of(species, "species")) == 3


def test_labels_become_codes() -> None:
    labels = np.array([10, 2.0, None, 3, 2], dtype=object)
    classes = classes_of(labels, "label")
    assert classes == ("2", "3", "10")
    assert codes_of(labels, classes).tolist() == [2, 0, -1, 1, 0]
    assert codes_of(np.array(["9"], dtype=object), classes).tolist() == [-1]
    with pytest.raises(ValueError, match="1 different values"):
        classes_of(np.array([1, 1], dtype=object), "label")


class MeanColour:
    """Stands for the network: three numbers of a picture."""

    def features(self, x: torch.Tensor) -> torch.Tensor:
        return x.float().expand(-1, 3, -1, -1).mean((2, 3)) + x.float().std((1, 2, 3))[:, None]


@pytest.mark.parametrize("written", [False, True])
def test_lists_are_no_classes(written: bool) -> None:
    rows = frame()
    lists = [[0.5, float(place)] for place in range(len(rows))]
    rows["digit"] = [json.dumps(one) for one in lists] if written else lists
    with pytest.raises(
        ValueError, match=r"^frame: the label 'digit' holds lists \(\[0.5, 0.0\]\),"
    ):
        labels_of(pm.read(rows, schema()), "digit")


def test_values_of_which_most_stand_once_are_no_classes() -> None:
    once = np.arange(20) * 0.37
    with pytest.raises(ValueError, match="has 20 different values in 20 training rows"):
        classes_of(once.astype(object), "size")
    assert len(classes_of(np.repeat(once, 2).astype(object), "size")) == 20


def test_inception_is_asked_of_pictures_alone(monkeypatch, tmp_path) -> None:
    generator = np.random.default_rng(0)
    codes = np.arange(60) % 2
    noise = generator.random((60, 8, 8))
    held = {
        "photo": ((codes[:, None, None] + noise) * 120).astype(np.uint8),
        "vector": codes[:, None] + 0.1 * generator.standard_normal((60, 3)),
        "label": np.array(["x", "y"])[codes],
    }
    data = pm.from_arrays(held)
    model = pm.MultimodalModel("mvae", latent_dim=2, epochs=1, progress=False).fit(data[:30])
    asked = []

    def read(path, device):
        asked.append(path)
        return MeanColour()

    monkeypatch.setattr(InceptionFeatures, "read", read)
    said = pm.coherence(
        model, data[30:], "label", data[:30], settings=QUICK, inception="weights.safetensors"
    )
    assert asked == ["weights.safetensors"]
    ways = {(row.name, row.given): row for row in said.fidelity.rows}
    assert set(ways) == {
        ("photo", ()),
        ("vector", ()),
        ("photo", ("vector",)),
        ("vector", ("photo",)),
    }
    assert all(np.isfinite(row.fid) == (row.name == "photo") for row in said.fidelity.rows)
    assert "; FID (Inception)" in str(said)
    assert said.to_dict()["fidelity"]["rows"][0]["given"] == []
    few = pm.coherence(
        model, data[30:36], "label", data[:30], settings=QUICK, inception="weights.safetensors"
    )
    assert few.fidelity is None
    assert "No Fréchet distances: fidelity: no modality has a judge" in few.notes[-1]
    own = pm.coherence(model, data[30:], "label", data[:30], settings=QUICK, fidelity=True)
    for row in own.fidelity.rows:
        assert np.isnan(row.fid)
        assert row.frechet == ways[row.name, row.given].frechet
    plain = pm.coherence(model, data[30:], "label", data[:30], settings=QUICK)
    assert plain.fidelity is None
    assert plain.table().equals(said.table())


def test_inception_without_pictures_or_file_is_said_at_once(fitted, capsys) -> None:
    model, folder = fitted
    with pytest.raises(ValueError, match="reads pictures, and none of one, two is an image"):
        pm.coherence(model, frame(), "digit", frame()[:160], inception="weights.safetensors")
    files = [str(folder / name) for name in ("model.pm", "test.csv")]
    assert main(["coherence", *files, "--label", "digit", "--inception", "none.safetensors"]) == 2
    assert "--inception none.safetensors: there is no such file" in capsys.readouterr().err
