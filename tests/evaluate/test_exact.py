"""Exact intervals against scipy's, and where the bootstrap's are kept."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import binomtest

from polymodal.evaluate.exact import exact_bounds, exact_interval, note_few, share_estimate
from polymodal.evaluate.result import Estimate


@pytest.mark.parametrize("n", [1, 2, 7, 200])
def test_whole_numbers_have_the_interval_of_scipy(n: int) -> None:
    inside = np.arange(n + 1)
    low, high = exact_interval(inside / n, np.full(n + 1, n))
    for k in inside.tolist():
        wanted = binomtest(k, n).proportion_ci(0.95, method="exact")
        assert (low[k], high[k]) == pytest.approx((wanted.low, wanted.high))


def test_of_nothing_nothing_is_known() -> None:
    assert exact_bounds(torch.tensor([torch.nan]), torch.tensor([0])).isnan().all()


def test_only_an_interval_without_width_is_replaced() -> None:
    same = torch.full((50,), 1.0)
    assert share_estimate(1.0, same, (0.3, 1.0)) == Estimate(1.0, 0.3, 1.0)
    spread = torch.linspace(0.5, 1.0, 41)
    found = share_estimate(0.75, spread, (0.3, 0.9))
    assert (found.low, found.high) == pytest.approx((0.5125, 0.9875))


def test_a_doubt_is_said_of_fewer_than_ten() -> None:
    assert note_few(10) == []
    (note,) = note_few(1)
    assert note == "Only 1 test row was judged: so few tell little, whatever the intervals."
