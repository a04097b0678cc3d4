"""Fitting: what is out of the ordinary, and going on after a kill."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from tests.estimator.cases import RECIPE_NAMES, arrays, frame, tiny

import polymodal as pm
from polymodal import FileError, MultimodalModel
from polymodal.data.schema import Schema
from polymodal.data.specs import ColumnSpec, ModalitySpec

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("learning_rate", [1e3, 1e6])
def test_a_diverging_fit_ends_with_a_result_and_a_model_that_answers(
    learning_rate, tmp_path
) -> None:
    data = frame(60)[["w", "f32", "n", "s"]]
    model = MultimodalModel(**tiny(learning_rate=learning_rate, epochs=5, batch_size=16)).fit(data)
    assert model.result_.status == "diverged"
    assert model.result_.diverged.term in model.result_.reason
    assert not model.impute(data, draws=3).mean.isna().any().any()
    assert np.isfinite(model.score(data, 50)).all()
    assert np.isfinite(model.embed(data)).all()
    model.save(tmp_path / "m.pm")
    assert pm.load(tmp_path / "m.pm").result_ == model.result_


@pytest.mark.parametrize("n_rows", [1, 2, 5])
@pytest.mark.parametrize("recipe", RECIPE_NAMES)
def test_few_rows_are_enough(n_rows, recipe, tmp_path) -> None:
    some = frame()[["w", "s", "photo", "caption", "n"]]
    data = pd.concat([some.dropna()[:1], some[3 : n_rows + 2]])  # one that is whole, one of holes
    model = MultimodalModel(**tiny(recipe=recipe)).fit(data)
    assert model.result_.status == "finished"
    assert len(model.held_out_) == 0
    assert len(model.embed(data)) == n_rows
    assert not model.impute(data, draws=2).mean.isna().any().any()
    model.save(tmp_path / "m.pm")
    assert np.array_equal(pm.load(tmp_path / "m.pm").embed(data), model.embed(data))


def test_constant_columns() -> None:
    data = frame(30)[["w"]].assign(number=2.5, whole=7, word="k")
    model = MultimodalModel(**tiny()).fit(data)
    made = model.impute(data.assign(number=np.nan), draws=2).mean
    assert np.isfinite(made["number"]).all()
    assert np.isfinite(model.score(data, 20)).all()
    assert (model.generate(5)["word"] == "k").all()


def test_a_modality_that_nobody_has() -> None:
    chance = np.random.default_rng(0)
    nobody = np.zeros(30, dtype=bool)
    held = {
        "a": np.full((30, 2), np.nan),
        "b": chance.normal(size=(30, 2)),
        "photo": np.zeros((30, 4, 4), np.uint8),
        "text": np.array(["one two three"] * 30, dtype=object),
    }
    given = pm.from_arrays(held, present={"photo": nobody, "text": nobody}, kinds={"text": "text"})
    with pytest.warns(UserWarning, match="no training row has a value of a, photo, text: nothing"):
        model = MultimodalModel(**tiny()).fit(given)
    assert model.result_.status == "finished"
    made = model.impute(given, draws=2).mean
    assert np.array_equal(made["b"], held["b"])
    assert np.isfinite(made["a"]).all()
    assert np.isfinite(model.score(given, 20)).all()


def test_a_column_that_nobody_has_is_named() -> None:
    frame = pd.DataFrame({"x": np.arange(30.0), "y": np.full(30, np.nan)})
    schema = Schema(
        {
            "t": ModalitySpec(
                "table", columns=(ColumnSpec("x", "number"), ColumnSpec("y", "number"))
            )
        }
    )
    with pytest.warns(UserWarning, match="no training row has a value of y: nothing"):
        MultimodalModel(**tiny()).fit(pm.read(frame, schema))


@pytest.mark.parametrize("recipe", RECIPE_NAMES)
def test_names_that_other_libraries_stumble_over(recipe, tmp_path) -> None:
    chance = np.random.default_rng(0)
    names = ("type", "keys", "a.b", "forward", "a_b", "self", "index")
    table = pd.DataFrame({name: chance.normal(size=30) for name in names})
    held, present = arrays()
    for given in (pm.read(table), pm.from_arrays(held, present)):
        model = MultimodalModel(**tiny(recipe=recipe, epochs=4)).fit(given)
        model.save(tmp_path / "m.pm")
        a, b = (m.embed(given) for m in (model, pm.load(tmp_path / "m.pm")))
        assert np.array_equal(a, b)


def test_the_same_seed_gives_the_same_model_and_another_one_another() -> None:
    data = frame(40)[["w", "s", "photo", "caption"]]
    torch.manual_seed(1)
    first = MultimodalModel(**tiny(seed=3)).fit(data)
    torch.rand(7)
    again = MultimodalModel(**tiny(seed=3)).fit(data)
    other = MultimodalModel(**tiny(seed=4)).fit(data)
    ours, same = first.model_.state_dict(), again.model_.state_dict()
    assert all(torch.equal(ours[name], same[name]) for name in ours)
    assert np.array_equal(first.held_out_, again.held_out_)
    assert not np.array_equal(first.embed(data), other.embed(data))
    assert not np.array_equal(first.held_out_, other.held_out_)


def test_rows_that_were_held_out_can_be_asked_about() -> None:
    """A rare level that only they have is known all the same."""
    data = pd.DataFrame({"s": ["a", "b"] * 29 + ["rare", "rare"], "w": np.arange(60) % 7 * 0.5})
    for seed in range(6):
        model = MultimodalModel(**tiny(seed=seed, epochs=1)).fit(data)
        assert model.embed(data).shape == (60, 3)
        assert len(model.held_out_) == 6
        assert model.n_rows_ == 54


def test_validation_rows_may_be_given() -> None:
    data = frame(60)[["w", "s", "photo"]]
    model = MultimodalModel(**tiny()).fit(data[:40], validation=data[40:])
    assert len(model.held_out_) == 0
    assert model.n_rows_ == 39  # row 3 has nothing to teach
    assert all(record.validation is not None for record in model.result_.history)
    less = MultimodalModel(**tiny()).fit(data[:40], validation=data[40:][["w", "photo"]])
    assert less.result_.status == "finished"
    none = MultimodalModel(**tiny(validation_share=0)).fit(data)
    assert none.n_rows_ == 59
    assert all(record.validation is None for record in none.result_.history)


def test_rows_with_nothing_alone_are_refused() -> None:
    nothing = pm.from_arrays({"a": np.full((4, 2), np.nan), "b": np.full((4, 3), np.nan)})
    with pytest.raises(ValueError, match="no training row has any value"):
        MultimodalModel(**tiny()).fit(nothing)


def test_what_is_fitted_knows_only_the_training_rows() -> None:
    data = frame(40)[["w"]]
    data.iloc[-1] = 1e6
    model = MultimodalModel(**tiny()).fit(data[:30], validation=data[30:])
    kept = data["w"][:30].dropna()
    inside = model.codec_.encode(pm.read(pd.DataFrame({"w": [kept.mean()]}))).x["table"]
    assert abs(float(inside)) < 1e-6


def test_a_folder_that_has_a_run_is_left_alone(tmp_path) -> None:
    data = frame(40)[["w", "s"]]
    first = MultimodalModel(**tiny()).fit(data, run_dir=tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(FileError, match=r"a run was here.*resume"):
        MultimodalModel(**tiny(seed=9)).fit(data[:30], run_dir=tmp_path)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before
    again = MultimodalModel().resume(tmp_path)
    assert again.get_params() == first.get_params()
    assert np.array_equal(again.embed(data), first.embed(data))
    with pytest.raises(FileError, match="no such file"):
        MultimodalModel().resume(tmp_path / "nothing")


def test_a_run_goes_on_with_no_other_rows(tmp_path) -> None:
    data, other = frame(60), frame(60, seed=1)
    MultimodalModel(**tiny()).fit(data, run_dir=tmp_path / "a")
    MultimodalModel(**tiny()).fit(data[:40], data[40:], run_dir=tmp_path / "b")
    assert MultimodalModel().resume(tmp_path / "a", data).n_rows_ == 54
    assert MultimodalModel().resume(tmp_path / "b", data[:40], data[40:]).n_rows_ == 39
    for rows in (other, data[:59], data[["w", "s"]]):
        with pytest.raises(FileError, match=r"run learned from 60 rows of .* other data"):
            MultimodalModel().resume(tmp_path / "a", rows)
    for name, rows, validation in (
        ("a", data, other),
        ("b", data[:40], None),
        ("b", data[:40], other),
    ):
        with pytest.raises(FileError, match="validation rows are other"):
            MultimodalModel().resume(tmp_path / name, rows, validation)


def test_a_setting_that_no_file_can_hold_is_refused_before_the_training(tmp_path) -> None:
    model = MultimodalModel(**tiny(recipe="mvae", settings={"beta": lambda step: 1.0}))
    for run_dir in (tmp_path, None):
        with pytest.raises(ValueError, match=r"'beta'.*cannot be saved.*LinearWarmup, Cyclic"):
            model.fit(frame(30)[["w"]], run_dir=run_dir)
        assert not hasattr(model, "model_")
    model.set_params(settings=None).fit(frame(30)[["w"]])
    model.set_params(settings={"beta": lambda step: 1.0})
    with pytest.raises(ValueError, match="'beta'"):
        model.save(tmp_path / "m.pm")
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the test forks")
def test_a_killed_fit_ends_as_one_that_never_stopped(tmp_path) -> None:
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"}
    done = subprocess.run(
        [sys.executable, "-m", "tests.estimator.killed_fit", str(tmp_path), "7"],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env=environment,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["same"] == [True, True]
    assert told["parameters"] == [True, True]
    assert any(0 < step < 36 for _, _, step in told["positions"]), told
