"""Poisson counts against scipy."""

from __future__ import annotations

import numpy as np
import torch
from scipy import stats

from polymodal.distributions.counts import PoissonObserved
from polymodal.likelihoods import PoissonLikelihood


def test_the_density_is_that_of_scipy() -> None:
    means = torch.tensor([0.01, 0.7, 3.0, 40.0, 2e5]).double()
    counts = torch.tensor([0.0, 1.0, 5.0, 37.0, 200123.0]).double()
    p = PoissonObserved(means.log()[:, None], (1,))
    wanted = stats.poisson.logpmf(counts.numpy(), means.numpy())
    np.testing.assert_allclose(p.log_prob(counts[:, None]).numpy(), wanted, rtol=1e-9)
    np.testing.assert_array_equal(p.mode[:, 0].numpy(), np.floor(means.numpy()))


def test_it_starts_at_the_mean_of_what_is_there() -> None:
    value = torch.tensor([[2.0, 100.0], [4.0, torch.nan], [6.0, 300.0]])
    likelihood = PoissonLikelihood(2)
    likelihood.start_from(value, ~value.isnan())
    found = likelihood(torch.zeros(1, 2)).mean
    torch.testing.assert_close(found, torch.tensor([[4.0, 200.0]]), rtol=1e-4, atol=0)


def test_means_cannot_overflow() -> None:
    x = torch.tensor([[1e6], [-1e6]], requires_grad=True)
    observed = PoissonLikelihood(1)(x)
    score = observed.log_prob(torch.tensor([[0.0], [1e6]]))
    score.sum().backward()
    assert score.isfinite().all()
    assert x.grad is not None
    assert x.grad.isfinite().all()
