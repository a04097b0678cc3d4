from __future__ import annotations

import math

import pytest
import torch

from polymodal.evaluate.bootstrap import bootstrap, percentile_interval, resample_counts


def test_counts_are_of_n_draws_with_replacement() -> None:
    counts = resample_counts(30, 4000, torch.Generator().manual_seed(1))
    assert counts.shape == (4000, 30)
    assert (counts.sum(1) == 30).all()
    # Each count is binomial(30, 1/30): mean 1 and variance 29/30.
    assert abs(counts.mean() - 1) < 1e-12
    assert abs(counts.var(0).mean() - 29 / 30) < 0.02


def test_the_spread_of_a_mean_is_its_standard_error() -> None:
    x = torch.randn(200).double()
    whole, replicates = bootstrap(lambda w: (w @ x / 200)[:, None], 200, resamples=4000)
    torch.testing.assert_close(whole[0], x.mean())
    expected = x.std(correction=0) / math.sqrt(200)
    assert abs(replicates.std() / expected - 1) < 0.05
    low, high = percentile_interval(replicates[:, 0])
    assert low < whole[0] < high
    assert abs((high - low) / (2 * 1.96 * expected) - 1) < 0.08


def test_statistics_are_paired() -> None:
    x = torch.randn(50).double()

    def both(w: torch.Tensor) -> torch.Tensor:
        mean = w @ x / 50
        return torch.stack([mean, mean + 3], 1)

    _, replicates = bootstrap(both, 50)
    torch.testing.assert_close(
        replicates[:, 1] - replicates[:, 0], torch.full((500,), 3.0).double()
    )


def test_seeded_and_without_touching_the_callers_draws() -> None:
    state = torch.get_rng_state()
    one = bootstrap(lambda w: w[:, :2], 5, resamples=7, seed=3)[1]
    assert torch.equal(one, bootstrap(lambda w: w[:, :2], 5, resamples=7, seed=3)[1])
    assert not torch.equal(one, bootstrap(lambda w: w[:, :2], 5, resamples=7, seed=4)[1])
    assert torch.equal(state, torch.get_rng_state())


def test_pieces_are_all_there() -> None:
    """A wide statistic is computed in pieces of few resamples."""
    _, replicates = bootstrap(lambda w: w.sum(1, keepdim=True), 3, resamples=11, width=3_000_000)
    assert replicates.tolist() == [[3.0]] * 11


def test_replicates_that_say_nothing_are_left_out() -> None:
    low, high = percentile_interval(torch.tensor([torch.nan, 2.0, torch.nan, 2.0]))
    assert low == high == 2.0
    assert all(math.isnan(b) for b in percentile_interval(torch.tensor([torch.nan])))


def test_no_rows_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one row"):
        bootstrap(lambda w: w, 0)
