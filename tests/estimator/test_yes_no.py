"""Vectors of 0 and 1 with holes, through every verb: points are probabilities, draws 0 or 1."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from tests.estimator.cases import tiny

import polymodal as pm
from polymodal.data.names import objects

N = 40


def values(dtype: type = np.float64) -> dict[str, np.ndarray]:
    """Numbers, and six yes or no that follow from them; one is never yes."""
    chance = np.random.default_rng(0)
    u = chance.normal(size=(N, 2))
    yes = u @ chance.normal(size=(2, 6)) + 0.5 * chance.normal(size=(N, 6)) > 0.5
    yes[:, 5] = False
    return {"a": u + 0.1 * chance.normal(size=u.shape), "b": yes.astype(dtype)}


def there() -> np.ndarray:
    cells = np.random.default_rng(1).random((N, 6)) < 0.8
    cells[3] = False
    return cells


def data(dtype: type = np.float64) -> pm.MultimodalData:
    return pm.from_arrays(values(dtype), present={"b": there()})


@pytest.fixture(scope="module")
def model() -> pm.MultimodalModel:
    return pm.MultimodalModel(**tiny()).fit(data())


def test_the_model_says_how_it_reads_them(model: pm.MultimodalModel) -> None:
    assert "6 numbers, bernoulli" in str(model.schema_)
    assert "2 numbers, gaussian" in str(model.schema_)


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int64, bool])
def test_means_are_probabilities_and_draws_are_0_or_1(
    model: pm.MultimodalModel, dtype: type
) -> None:
    known, told = there(), values(dtype)["b"]
    done = model.impute(data(dtype), draws=25)
    fraction = np.result_type(dtype, np.float64) if dtype is not np.float32 else np.float32
    assert done.mean["b"].dtype == fraction
    hidden = done.mean["b"][~known]
    assert ((hidden > 0) & (hidden < 1)).all()
    low, high = done.interval(0.9)
    for filled in (*done.draws, low, high):
        assert filled["b"].dtype == dtype
        assert np.isin(filled["b"], [0, 1]).all()
        np.testing.assert_array_equal(filled["b"][known], told[known])
    np.testing.assert_array_equal(done.mean["b"][known], told[known])
    drawn = np.stack([one["b"] for one in done.draws]).astype(float)
    assert (low["b"] <= drawn.min(0)).all() or (low["b"] == 0).any()
    assert ((low["b"] <= drawn.mean(0)) & (drawn.mean(0) <= high["b"])).all()
    assert (done.sd["b"][known] == 0).all()


def test_a_model_of_whole_numbers_answers_with_probabilities() -> None:
    told = values(np.uint8)
    model = pm.MultimodalModel(**tiny()).fit(pm.from_arrays(told))
    said = np.asarray(model.translate(pm.from_arrays({"a": told["a"]}), to="b"))
    assert said.dtype == np.float64
    assert ((said > 0) & (said < 1)).all()
    made = model.generate(7)["b"]
    assert made.dtype == np.uint8
    assert np.isin(made, [0, 1]).all()


def test_a_frame_keeps_its_form(model: pm.MultimodalModel) -> None:
    told = values()
    cells = [None if i == 3 else row.tolist() for i, row in enumerate(told["b"])]
    frame = pd.DataFrame({"a": objects(told["a"].tolist()), "b": objects(cells)})
    done = model.impute(frame, draws=3)
    assert all(isinstance(one, pd.DataFrame) for one in (done.mean, *done.draws))
    assert 0 < np.asarray(done.mean["b"][3]).max() < 1
    assert np.isin(np.stack([one["b"][3] for one in done.draws]), [0, 1]).all()


def test_scores_and_evaluation_know_them(model: pm.MultimodalModel) -> None:
    assert np.isfinite(model.score(data())).all()
    found = model.evaluate(data(), train=data(), draws=20)
    rows = {row.metric: row for row in found.rows if row.modality == "b"}
    assert set(rows) == {"rmse", "r2"}
    assert 0 < rows["rmse"].model.value < 1
    # of two values no interval can hold nine in ten
    assert rows["rmse"].coverage is None
    assert rows["rmse"].crps is not None
    assert 0 < rows["rmse"].crps.value < 0.5
    numbers = next(row for row in found.rows if row.modality == "a")
    assert numbers.coverage is not None


def test_the_file_says_the_same(model: pm.MultimodalModel, tmp_path: Path) -> None:
    model.save(tmp_path / "m.pm")
    again = pm.load(tmp_path / "m.pm")
    assert again.schema_ == model.schema_
    for one, other in zip(
        model.impute(data(), draws=2).draws, again.impute(data(), draws=2).draws, strict=True
    ):
        np.testing.assert_array_equal(one["b"], other["b"])
    likelihood: Any = again.model_.likelihood("b")
    mine: Any = model.model_.likelihood("b")
    assert (likelihood.level == mine.level).all()
    assert likelihood.level.abs().max() > 1  # the one that is never yes


def test_other_values_are_refused_by_name(model: pm.MultimodalModel) -> None:
    told = values()
    told["b"][7, 2] = 2
    with pytest.raises(ValueError, match=r"'b', row 7, value 2: expected 0 or 1 .*got 2"):
        model.embed(pm.from_arrays(told))


def test_what_was_filled_in_may_come_back(model: pm.MultimodalModel) -> None:
    told = values()
    holes = np.zeros(told["b"].shape, dtype=bool)
    holes[3:9, 1:4] = True
    present = {"b": ~holes}
    filled = model.impute(pm.from_arrays(told, present=present), draws=5).mean
    assert ((filled["b"][holes] > 0) & (filled["b"][holes] < 1)).any()
    assert np.isfinite(model.embed(pm.from_arrays(filled))).all()


def test_the_schema_may_ask_for_gaussians() -> None:
    asked = data().with_schema(data().schema.set("b", likelihood="gaussian"))
    model = pm.MultimodalModel(**tiny(epochs=1)).fit(asked)
    assert "6 numbers, gaussian" in str(model.schema_)
    told = values()
    told["b"][7, 2] = 0.5
    assert np.isfinite(model.embed(pm.from_arrays(told))).all()


@pytest.mark.slow
def test_what_nothing_tells_falls_back_on_the_base_rates() -> None:
    """Rare and unrelated, few rows: no worse than the column's mean, by more than a little."""
    chance = np.random.default_rng(0)
    told = {
        "a": chance.normal(size=(160, 30)),
        "b": (chance.random((160, 60)) < 0.03).astype(np.float32),
    }
    rows = pm.from_arrays(told)
    model = pm.MultimodalModel(epochs=150, progress=False, seed=0, latent_dim=4).fit(rows[:80])
    said = np.asarray(model.translate(rows[80:][["a"]], to="b"))
    truth, mean = told["b"][80:], told["b"][:80].mean(0)
    error, best = (np.sqrt(np.square(p - truth).mean()) for p in (said, mean))
    assert error < 1.02 * best


@pytest.mark.slow
def test_what_is_told_is_learned() -> None:
    """Where numbers tell them, a model beats the base rates by far."""
    chance = np.random.default_rng(0)
    u = chance.normal(size=(800, 3))
    yes = u @ chance.normal(size=(3, 20)) > 0.8
    told = {"a": u @ chance.normal(size=(3, 10)), "b": yes.astype(np.float32)}
    rows = pm.from_arrays(told)
    model = pm.MultimodalModel(epochs=60, progress=False, seed=0, latent_dim=6).fit(rows[:600])
    said = np.asarray(model.translate(rows[600:][["a"]], to="b"))
    truth, mean = told["b"][600:], told["b"][:600].mean(0)
    error, best = (np.sqrt(np.square(p - truth).mean()) for p in (said, mean))
    assert error < 0.75 * best
