from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from polymodal.evaluate.result import Estimate, Held, SkillRow
from polymodal.evaluate.scores import judge, skill_of
from polymodal.evaluate.verdict import short_labels, write_verdict

ONE = Estimate(1.0, 0.9, 1.1)
ROW = SkillRow(
    task="modality",
    modality="image",
    column=None,
    kind="image",
    metric="rmse",
    n=100,
    model=ONE,
    mean=ONE,
    linear=ONE,
    knn=ONE,
    crps=None,
    coverage=None,
    best_baseline="linear",
    skill=Estimate(0.25, 0.1, 0.4),
    verdict="better",
)


def test_each_outcome_is_named_with_its_winner() -> None:
    rows = [
        ROW,
        replace(ROW, modality="table", column="age", kind="number", verdict="equal"),
        replace(ROW, modality="table", column="sex", kind="category", verdict="worse"),
        replace(ROW, modality="caption", kind="text", best_baseline="knn", verdict="worse"),
    ]
    words = write_verdict(rows, Held(Estimate(0.5, 0.4, 0.6), 70, 70), 0.9, 100)
    assert "beats the best simple baseline for image (its error is 25 % lower)" in words
    assert "is no better than the best simple baseline for age" in words
    assert "is beaten by logistic regression for sex and by the nearest neighbour's text" in words
    assert "too narrow" in words
    assert "use the model where it wins and the simple baseline where that wins" in words


@pytest.mark.parametrize(
    ("verdicts", "words"),
    [
        (["better", "better"], "use the model throughout"),
        (["better", "equal"], "use the model; where it is no better"),
        (["equal", "equal"], "do not rely on the model"),
        (["worse", "equal"], "use the simple baseline where that wins"),
    ],
)
def test_the_advice_follows_the_verdicts(verdicts: list, words: str) -> None:
    rows = [replace(ROW, modality=str(i), verdict=v) for i, v in enumerate(verdicts)]
    assert words in write_verdict(rows, None, 0.9, 100)


@pytest.mark.parametrize(
    ("observed", "words"), [(0.7, "too narrow"), (0.9, "as they should"), (0.99, "wider")]
)
def test_the_intervals_are_read_aloud(observed: float, words: str) -> None:
    half = 2 * (observed * (1 - observed) / 200) ** 0.5
    held = Held(Estimate(observed, observed - half, observed + half), 200, 200)
    assert words in write_verdict([ROW], held, 0.9, 100)


@pytest.mark.parametrize(("n", "said"), [(1, "1 number;"), (2, "2 numbers;"), (10, "10 numbers;")])
def test_a_few_numbers_say_nothing_of_the_intervals(n: int, said: str) -> None:
    """All of ten inside is no wonder of intervals that hold nine of ten."""
    words = write_verdict([ROW], Held(Estimate(1.0, 1.0, 1.0), n, n), 0.9, 100)
    assert f"held the truth in 100% of {said} that may be chance, as there are too few" in words
    assert "wider" not in words


def test_rows_of_r2_are_not_told_twice() -> None:
    worse = replace(ROW, metric="r2", verdict="worse")
    assert write_verdict([ROW, worse], None, 0.9, 100) == write_verdict([ROW], None, 0.9, 100)


def test_names_are_short_unless_two_things_share_them() -> None:
    a = replace(ROW, modality="left", column="age")
    b = replace(ROW, modality="right", column="age")
    assert list(short_labels([a, ROW]).values()) == ["age", "image"]
    assert list(short_labels([a, b]).values()) == ["age (left)", "age (right)"]


def test_long_lists_are_cut() -> None:
    rows = [replace(ROW, modality=f"m{i}") for i in range(12)]
    assert "m6 and 5 others" in write_verdict(rows, None, 0.9, 100)


def test_skill_is_defined_everywhere() -> None:
    model = torch.tensor([0.5, 2.0, 0.0, 1.0, 99.0, torch.nan])
    baseline = torch.tensor([1.0, 1.0, 0.0, 0.0, 1.0, 1.0])
    skill = skill_of(model, baseline)
    assert skill[:5].tolist() == [0.5, -1.0, 0.0, -10.0, -10.0]
    assert skill[5].isnan()


def test_who_wins_is_read_off_the_interval() -> None:
    assert judge(Estimate(1, 0.1, 2), 50) == "better"
    assert judge(Estimate(-1, -2, -0.1), 50) == "worse"
    assert judge(Estimate(1, -0.1, 2), 50) == "equal"
    assert judge(Estimate(1, 0.1, 2), 9) == "equal"
