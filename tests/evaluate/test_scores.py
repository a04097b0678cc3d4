"""Rows of skill of a vector: the mean over columns that vary, in the whole and in resamples."""

from __future__ import annotations

import pytest
import torch
from sklearn.metrics import r2_score

from polymodal.evaluate.questions import Target
from polymodal.evaluate.scores import Judged, skill_rows


def judged(truth: torch.Tensor, model: torch.Tensor) -> Judged:
    baselines = {name: truth.mean(0).expand_as(truth) for name in ("mean", "linear", "knn")}
    target = Target("genes", "vector")
    return Judged("modality", target, truth, None, {"model": model, **baselines}, {})


def test_columns_of_one_value_are_no_part_of_r2() -> None:
    rng = torch.Generator().manual_seed(0)
    truth = torch.randn(60, 5, generator=rng, dtype=torch.float64)
    truth[:, 3:] = 0.0
    model = truth + 0.3 * torch.randn(60, 5, generator=rng, dtype=torch.float64)
    rmse, r2 = skill_rows(judged(truth, model), resamples=200, seed=0)
    assert (rmse.metric, r2.metric) == ("rmse", "r2")
    varying = r2_score(truth[:, :3], model[:, :3])
    assert r2.model.value == pytest.approx(varying)
    assert r2.model.low < varying < r2.model.high
    assert r2.mean.value == pytest.approx(0.0)


def test_a_skill_of_r2_lies_in_its_interval_where_values_are_rare() -> None:
    rng = torch.Generator().manual_seed(0)
    truth = (torch.rand(70, 40, generator=rng) < 0.02).double()
    model = 0.02 + 0.01 * torch.randn(70, 40, generator=rng, dtype=torch.float64)
    row = skill_rows(judged(truth, model), resamples=400, seed=0)[1]
    assert row.skill.low <= row.skill.value <= row.skill.high


@pytest.mark.parametrize(("positives", "verdict"), [(9, "equal"), (10, "better")])
def test_few_rows_that_differ_from_all_others_tell_nobody_from_another(
    positives: int, verdict: str
) -> None:
    truth = torch.zeros(40, 3, dtype=torch.float64)
    truth[torch.arange(positives), 1] = 1.0
    model = truth.mean(0) + 0.5 * (truth - truth.mean(0))
    row = skill_rows(judged(truth, model), resamples=200, seed=0)[1]
    assert row.skill.low > 0
    assert row.verdict == verdict


def test_r2_is_left_out_where_nothing_varies() -> None:
    truth = torch.ones(20, 3)
    assert [row.metric for row in skill_rows(judged(truth, truth), resamples=10, seed=0)] == [
        "rmse"
    ]
