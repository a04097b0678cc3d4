"""CRPS, intervals and coverage, against closed forms, scipy and order statistics."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import integrate, stats

from polymodal.metrics import central_interval, coverage, crps, weibull_quantile
from polymodal.metrics.coverage import attainable, draws_needed, inside_central
from polymodal.metrics.crps import crps_of_sample, gaussian_crps


def test_crps_is_the_mean_over_pairs() -> None:
    draws, y = torch.randn(7, 5, 3).double(), torch.randn(5, 3).double()
    spread = (draws[:, None] - draws[None]).abs().sum((0, 1)) / (7 * 6)
    expected = (draws - y).abs().mean(0) - spread / 2
    torch.testing.assert_close(crps(draws, y), expected)


def test_gaussian_crps_is_the_integral() -> None:
    for loc, scale, y in ((0.0, 1.0, 0.3), (2.0, 0.5, -1.0), (-1.0, 3.0, 4.0)):
        f = stats.norm(loc, scale)
        below = integrate.quad(lambda t, f=f: f.cdf(t) ** 2, -30, y)[0]
        above = integrate.quad(lambda t, f=f: f.sf(t) ** 2, y, 30)[0]
        ours = gaussian_crps(torch.tensor(loc), torch.tensor(scale), torch.tensor(y))
        assert ours.item() == pytest.approx(below + above, rel=1e-4)


@pytest.mark.parametrize("n", [2, 5, 50])
def test_crps_of_few_draws_has_the_closed_form_as_expectation(n: int) -> None:
    n_rows = 40_000
    y = torch.full((n_rows,), 0.4).double()
    scores = crps(torch.randn(n, n_rows).double(), y)
    truth = gaussian_crps(torch.zeros(1), torch.ones(1), torch.tensor([0.4])).double()
    error = (scores.mean() - truth).abs()
    assert error < 4 * scores.std() / n_rows**0.5


def test_crps_of_equal_draws_is_the_absolute_error() -> None:
    y = torch.randn(6).double()
    torch.testing.assert_close(crps(torch.zeros(3, 6).double(), y), y.abs())


def test_crps_refuses_one_draw_and_wrong_shapes() -> None:
    with pytest.raises(ValueError, match="at least 2"):
        crps(torch.zeros(1, 3), torch.zeros(3))
    with pytest.raises(ValueError, match="expected"):
        crps(torch.zeros(4, 3, 1), torch.zeros(3))


@pytest.mark.parametrize("q", [0.0, 0.05, 0.21, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("n", [1, 2, 9, 19, 20])
def test_quantiles_are_numpys_weibull_method(q: float, n: int) -> None:
    draws = torch.randn(n, 4).double()
    expected = np.quantile(draws.numpy(), q, axis=0, method="weibull")
    np.testing.assert_allclose(weibull_quantile(draws, q).numpy(), expected, atol=1e-12)


def test_draws_needed_are_just_enough() -> None:
    assert [draws_needed(level) for level in (0.5, 0.8, 0.9, 0.95)] == [3, 9, 19, 39]
    assert attainable((0.5, 0.8, 0.9), 18) == [0.5, 0.8]
    with pytest.raises(ValueError, match="between 0 and 1"):
        draws_needed(1.0)
    with pytest.raises(ValueError, match="at least 19 draws, got 18"):
        central_interval(torch.zeros(18, 2), 0.9)


@pytest.mark.parametrize(("n", "level"), [(9, 0.8), (19, 0.9), (50, 0.9), (20, 0.5)])
def test_intervals_of_a_perfect_sampler_cover_as_promised(n: int, level: float) -> None:
    n_rows = 40_000
    draws, y = torch.rand(n, n_rows).double(), torch.rand(n_rows).double()
    low, high = central_interval(draws, level)
    observed = coverage(low, high, y).item()
    # Uniform draws have the nominal coverage exactly in expectation, between order statistics too.
    assert abs(observed - level) < 4 * (level * (1 - level) / n_rows) ** 0.5
    assert inside_central(draws, y, [level]).double().mean().item() == pytest.approx(observed)


def test_coverage_counts_what_is_present_and_weighed() -> None:
    low, high = torch.zeros(4), torch.ones(4)
    y = torch.tensor([0.0, 1.0, 2.0, torch.nan])
    present = torch.tensor([True, True, True, False])
    assert coverage(low, high, y, present).item() == pytest.approx(2 / 3)
    weights = torch.tensor([[0, 0, 1, 5], [1, 1, 0, 0]])
    assert coverage(low, high, y, present, weights).tolist() == [0.0, 1.0]


@pytest.mark.parametrize("n", [1, 2, 30])
def test_crps_of_a_sample_is_that_of_draws_shared_by_all_rows(n: int) -> None:
    sample, y = (
        torch.randn(n).double().round(decimals=1),
        torch.randn(40).double().round(decimals=1),
    )
    expected = (sample[0] - y).abs() if n == 1 else crps(sample[:, None].expand(n, 40), y)
    torch.testing.assert_close(crps_of_sample(sample, y), expected)
