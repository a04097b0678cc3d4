"""Intervals are called too narrow or too wide only beyond chance, counted by rows."""

from __future__ import annotations

from collections import Counter

import pytest
import torch
from scipy.stats import beta, binom

from polymodal.evaluate.held import count_held, judge_width, say_width
from polymodal.evaluate.result import Estimate

SURE = ("narrow", "wide")


def seen(hits: torch.Tensor, level: float = 0.9) -> str:
    """What is said of hits of intervals, rows x cells."""
    rows = torch.arange(len(hits))[:, None].expand(hits.shape).flatten()
    held = count_held(hits.flatten(), rows, len(hits), resamples=200, seed=0)
    assert held is not None
    return judge_width(held.share, level, held.n, held.rows)


def hits_of(inside: int, n: int) -> torch.Tensor:
    return (torch.arange(n) < inside)[:, None]


@pytest.mark.parametrize(
    ("inside", "n", "width"),
    [
        (1, 1, "unsure"),
        (0, 1, "unsure"),
        (2, 2, "unsure"),
        (10, 10, "unsure"),
        (9, 10, "unsure"),
        (35, 35, "unsure"),
        (36, 36, "wide"),
        (200, 200, "wide"),
        (0, 5, "narrow"),
        (27, 34, "unsure"),
        (22, 34, "narrow"),
        (160, 200, "narrow"),
        (180, 200, "right"),
        (930, 1000, "right"),  # surely more than was promised, and no harm
    ],
)
def test_as_many_as_it_takes(inside: int, n: int, width: str) -> None:
    assert seen(hits_of(inside, n)) == width


@pytest.mark.parametrize("n", [40, 100, 400])
def test_single_numbers_are_judged_as_clopper_and_pearson_do(n: int) -> None:
    """One number a row: the same verdict as the exact interval, but at its edge."""
    for inside in range(n + 1):
        low = beta.ppf(0.025, inside, n - inside + 1) if inside else 0.0
        high = beta.ppf(0.975, inside + 1, n - inside) if inside < n else 1.0
        outside = not low <= 0.9 <= high
        edge = min(abs(low - 0.9), abs(high - 0.9)) < 0.02
        if abs(inside / n - 0.9) > 0.05 and not edge:
            assert (seen(hits_of(inside, n)) in SURE) == outside


def test_cells_of_one_row_are_not_so_many_rows() -> None:
    """Twelve rows that are inside or outside as a whole are twelve numbers, not 600."""
    inside = (torch.arange(12) < 9)[:, None]
    assert seen(inside.expand(12, 50)) == seen(inside) == "unsure"
    assert seen(torch.ones(12, 50, dtype=torch.bool)) == "unsure"
    g = torch.Generator().manual_seed(0)
    assert seen(torch.rand(12, 50, generator=g) < 0.75) == "narrow"  # each on its own


def test_numbers_are_never_worth_more_than_they_are() -> None:
    """Rows that are alike but for one number have hardly any spread, and are still 60 numbers."""
    inside = torch.ones(12, 5, dtype=torch.bool)
    inside[:, 4] = False
    inside[0, 4] = True
    assert seen(inside) == "unsure"


@pytest.mark.parametrize(("rows", "cells"), [(2, 9), (12, 1), (12, 5), (40, 1), (40, 5)])
def test_honest_intervals_are_hardly_ever_blamed(rows: int, cells: int) -> None:
    """Numbers of a row that go wrong together; the promise of 95 % is held."""
    g = torch.Generator().manual_seed(1)
    far = torch.distributions.Normal(0.0, 1.0).icdf(torch.tensor(0.95))
    said: Counter[str] = Counter()
    for _ in range(200):
        shared, own = torch.randn(rows, 1, generator=g), torch.randn(rows, cells, generator=g)
        said[seen(((shared + own) / 2**0.5).abs() < far)] += 1
    assert said["narrow"] + said["wide"] <= binom.ppf(0.999, 200, 0.05)


def test_numbers_are_pooled_and_rows_without_any_do_not_count() -> None:
    inside = torch.tensor([True, True, False, True])
    held = count_held(inside, torch.tensor([0, 0, 0, 5]), 9, resamples=50, seed=0)
    assert held is not None
    assert (held.share.value, held.n, held.rows) == (0.75, 4, 2)
    none = torch.zeros(0, dtype=torch.long)
    assert count_held(none.bool(), none, 9, resamples=50, seed=0) is None


def test_nothing_is_called_wrong_that_its_own_interval_holds() -> None:
    """The exact interval may be tighter on one side than the one that is shown."""
    assert judge_width(Estimate(0.827, 0.754, 0.905), 0.9, 200, 60) == "unsure"
    assert judge_width(Estimate(0.827, 0.754, 0.895), 0.9, 200, 60) == "narrow"


def test_what_is_said() -> None:
    all_inside = Estimate(1.0, 1.0, 1.0)
    assert say_width(all_inside, 0.9, 200, 200) == ": they are wider than they need to be."
    assert say_width(all_inside, 0.9, 2, 2, "seeds").endswith("too few seeds to judge by.")
    near = Estimate(0.91, 0.89, 0.93)
    assert say_width(near, 0.9, 200, 200) == ", as they should."
    # Seeds that differ wildly: of many rows, the share is hardly known all the same.
    assert judge_width(Estimate(0.75, 0.2, 1.0), 0.9, 500, 500) == "unsure"
