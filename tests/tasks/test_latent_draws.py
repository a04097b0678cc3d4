"""Weights: their effective number, tempering and resampling."""

from __future__ import annotations

import pytest
import torch
from tests.tasks.exact import correlated, rows_of, wrong_model

from polymodal.data.tensors import Tensors
from polymodal.tasks import impute
from polymodal.tasks.latent_draws import effective_sample_size, resample, temper


def test_effective_sample_size_is_one_over_k_sum_of_squares() -> None:
    weights = torch.tensor([[1.0, 1.0, 0.5], [1.0, 0.0, 0.25], [1.0, 0.0, 0.25], [1.0, 0.0, 0.0]])
    got = effective_sample_size(weights.double().log() + torch.tensor([0.0, 700.0, -900.0]))
    wanted = torch.tensor([1.0, 1 / 4, 1 / (4 * (0.25 + 2 / 16))]).double()
    torch.testing.assert_close(got, wanted)


def test_tempering_leaves_healthy_rows_alone_and_heals_the_rest() -> None:
    log_weights = torch.randn(100, 50).double() * torch.linspace(0.1, 40, 50)
    before, kept = effective_sample_size(log_weights), log_weights.clone()
    after = temper(log_weights, 0.2)
    assert torch.equal(log_weights, kept)
    healthy = before >= 0.2
    assert 0 < healthy.sum() < 50
    assert torch.equal(after[:, healthy], log_weights[:, healthy])
    healed = effective_sample_size(after)[~healthy]
    assert (healed >= 0.2).all()
    assert (healed < 0.2 + 1e-3).all()  # no more than is needed
    order = log_weights.argsort(0)
    assert (after.gather(0, order).diff(dim=0) >= 0).all()


def test_weights_of_zero_are_never_drawn_and_make_no_nan() -> None:
    log_weights = torch.full((10, 3), -torch.inf).double()
    log_weights[2, 0] = 3.0
    log_weights[[1, 5], 1] = 1.0
    log_weights[:, 2] = 0.0
    after = temper(log_weights, 0.5)
    assert not after.isnan().any()
    index = resample(after, 6)
    assert (index[:, 0] == 2).all()
    assert index[:, 1].unique().tolist() == [1, 5]


def test_resampling_is_systematic_and_unbiased() -> None:
    log_weights = torch.randn(12, 1).double() * 2
    weights = log_weights.softmax(0)[:, 0]
    n_rows, n = 20_000, 7
    index = resample(log_weights.expand(12, n_rows), n)
    counts = torch.nn.functional.one_hot(index, 12).sum(0).double()  # (rows, 12)
    assert ((counts - n * weights).abs() < 1).all()
    torch.testing.assert_close(counts.mean(0), n * weights, rtol=0, atol=0.02)
    # In random order: each place has the distribution of the weights, and two places of a row are
    # drawn alike.
    for place in (0, n - 1):
        share = torch.bincount(index[place], minlength=12) / n_rows
        torch.testing.assert_close(share.double(), weights, rtol=0, atol=0.02)


@pytest.mark.parametrize("value", [1e6, 1e30, 3e38, -3e38])
def test_a_wild_value_makes_no_nan(value: float) -> None:
    model = wrong_model(correlated()).float()
    rows = rows_of(correlated(), 6, cells=False)
    x = {name: one.float() for name, one in rows.x.items()}
    x["a"][1:3] = value
    present = {name: torch.ones(6, dtype=torch.bool) for name in x}
    present["c"][:] = False
    model.posterior = _Standard()
    said = impute(model, Tensors(x, present), draws=5)
    assert all(one.isfinite().all() for one in (*said.point.values(), *said.draws.values()))
    assert torch.isfinite(said.ess).all()


class _Standard(torch.nn.Module):
    def forward(self, x, present):
        from polymodal.distributions.strata import Strata

        zero = torch.zeros(1, len(x["a"]), 2)
        return Strata(zero, zero + 1, zero[..., 0])
