"""The same questions for all: equal to evaluate's skill, to the predictive density, and paired."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest
import torch
from tests.estimator.cases import tiny

from polymodal import MultimodalModel
from polymodal.data.dataset import MultimodalData
from polymodal.data.sources import from_arrays
from polymodal.evaluate import evaluate_skill
from polymodal.evaluate.examination import Examination
from polymodal.evaluate.hidden_likelihood import hidden_log_likelihood
from polymodal.evaluate.ranking import Ranking
from polymodal.evaluate.sheet import RowSums
from polymodal.model import Lacking
from polymodal.tasks.importance import log_given_z
from polymodal.tasks.log_likelihood import log_likelihood


def rows(n: int = 60, seed: int = 0) -> MultimodalData:
    """A vector and a table that follow from one hidden number, with holes."""
    rng = np.random.default_rng(seed)
    u = rng.normal(size=n)
    table = pd.DataFrame(
        {
            "height": 100 + 10 * (u + 0.2 * rng.normal(size=n)),
            "group": np.array(["x", "y"])[(u > 0).astype(int)],
        }
    )
    table.loc[rng.random(n) < 0.2, "height"] = np.nan
    vector = np.stack([u, -u, u], 1) + 0.3 * rng.normal(size=(n, 3))
    return from_arrays({"table": table, "v": vector}, present={"v": rng.random(n) > 0.2})


@pytest.fixture(scope="module")
def fitted() -> tuple[MultimodalModel, Examination]:
    model = MultimodalModel(**tiny(recipe="pcca")).fit(rows())
    test = model.codec_.encode(rows(40, 1))
    return model, Examination(model.codec_, test, model._train_tensors, draws=40, resamples=100)


def test_skill_of_every_column_is_that_of_evaluate(fitted) -> None:
    model, exam = fitted
    exam = dataclasses.replace(exam, cell_rounds=1)
    sheets = {name: [one] for name, one in exam.of_baselines().items()}
    ranking = Ranking({**sheets, "it": [exam.of_model(model.model_)]})
    said = evaluate_skill(
        model.model_, model.codec_, exam.test, exam.train, draws=40, bootstrap=10, seed=exam.seed
    )
    scored = [row for row in said.rows if row.metric != "r2"]
    assert [(row.task, row.modality, row.column) for row in scored] == [
        (one.task, one.modality, one.column) for one in ranking.asked
    ]
    for i, row in enumerate(scored):
        assert ranking.sheets["it"][0].errors[i].item() == pytest.approx(row.model.value)
        for name in ("mean", "linear", "knn"):
            error = ranking.sheets[name][0].errors[i].item()
            assert error == pytest.approx(getattr(row, name).value)
    observed = ranking.measure("it", "coverage").value
    nominal = {level: share for level, share, _ in said.calibration}
    assert observed == pytest.approx(nominal[0.9])
    assert said.held is not None
    assert said.held.share.value == pytest.approx(observed)


def test_sheets_of_one_examination_are_the_same_whenever_they_are_made(fitted) -> None:
    model, exam = fitted
    again = dataclasses.replace(exam)
    one, two = exam.of_model(model.model_), again.of_model(model.model_)
    # A resample may have none of the rows that were asked for a column: NaN in both.
    torch.testing.assert_close(one.replicates, two.replicates, rtol=0, atol=0, equal_nan=True)
    for name, measured in one.measures.items():
        assert measured.replicates.equal(two.measures[name].replicates)


def test_hidden_modalities_have_the_predictive_density(fitted) -> None:
    model, exam = fitted
    question = next(one for one in exam.questions if one.names == ["v"])
    found, scored = hidden_log_likelihood(model.model_, question, samples=4000, seed=0)
    source = exam.test.rows(question.rows)
    said = log_likelihood(
        model.model_, source, samples=4000, seed=1, of="v", given="table", kind="predictive"
    )
    assert scored.all()
    assert (found - said.log_p).abs().mean() < 0.1


def test_hidden_cells_have_the_density_of_those_cells_alone(fitted) -> None:
    model, exam = fitted
    question = next(one for one in exam.questions if one.task == "cells")
    found, scored = hidden_log_likelihood(model.model_, question, samples=3000, seed=0)
    asked = question.asked
    assert scored.equal(asked["table"].any(1))
    q = model.model_.posterior(question.hidden.x, question.hidden.present)
    g = torch.random.fork_rng()
    with g:
        z = q.sample((3000,))
    log_p = log_given_z(model.model_, z, question.hidden.x, asked).double()
    wanted = torch.logsumexp(log_p, 0) - np.log(3000)
    assert (found - wanted)[scored].abs().mean() < 0.1
    assert (found[~scored] == 0).all()


def test_a_family_without_densities_says_so(fitted, monkeypatch: pytest.MonkeyPatch) -> None:
    model, exam = fitted
    monkeypatch.setattr(model.model_, "lacks", {"translate": "It has no words."}, raising=False)
    sheet = exam.of_model(model.model_)
    assert sheet.lacks == {"log_likelihood": "It has no words."}
    assert "log_likelihood" not in sheet.measures
    monkeypatch.setattr(model.model_, "lacks", {"impute": "It answers nothing."}, raising=False)
    with pytest.raises(Lacking, match="answers nothing"):
        exam.of_model(model.model_)


def test_further_measures_are_resampled_with_the_rest(fitted) -> None:
    model, exam = fitted
    n = len(exam.test)

    def first_half(_model, examination) -> dict[str, RowSums]:
        assert examination.test is exam.test
        return {"group: half": RowSums((torch.arange(n) < n // 2).float(), torch.ones(n))}

    sheet = dataclasses.replace(exam, measures=(first_half,)).of_model(model.model_)
    half = sheet.measures["group: half"]
    assert half.value == 0.5
    assert half.replicates.std().item() == pytest.approx(0.5 / n**0.5, rel=0.25)


def test_too_few_draws_or_rows_are_refused(fitted) -> None:
    _, exam = fitted
    with pytest.raises(ValueError, match="at least"):
        dataclasses.replace(exam, draws=3)
    with pytest.raises(ValueError, match="test row"):
        dataclasses.replace(exam, test=exam.test.rows(slice(0, 0)))


def a_table(n: int, seed: int) -> MultimodalData:
    """A lone table: lines of one hidden number, so that linear regression tells every cell."""
    u = np.random.default_rng(seed).normal(size=n)
    return from_arrays({"table": pd.DataFrame({"a": u, "b": 2 * u + 1, "c": -3 * u})})


def baselines_of(n: int) -> Ranking:
    """The simple methods on so many test rows of a lone table."""
    model = MultimodalModel(**tiny(recipe="pcca")).fit(a_table(80, 0))
    test = model.codec_.encode(a_table(n, 1))
    exam = Examination(model.codec_, test, model._train_tensors, draws=20, resamples=100)
    sheets = {name: [one] for name, one in exam.of_baselines().items()}
    hidden = {int(row) for rows in exam.asked_rows for row in rows}
    ranking = Ranking(sheets, exam.asked_rows)
    assert ranking.count_rows(lambda one: True) == len(hidden)
    assert max(one.n for one in ranking.asked) < 10
    return ranking


@pytest.mark.parametrize("n", [12, 32, 40])
def test_the_rows_of_all_questions_count(n: int) -> None:
    """Every question hides cells of a fifth of the rows, all together those of nearly all."""
    ranking = baselines_of(n)
    assert ranking.telling
    ranks = ranking.ranks()
    assert ranks["linear"] == 1
    assert ranks["mean"] == 3


def test_a_row_that_is_asked_again_is_one_row() -> None:
    ranking = baselines_of(9)
    assert sum(one.n for one in ranking.asked) > 9
    assert not ranking.telling
    assert set(ranking.ranks().values()) == {1}
