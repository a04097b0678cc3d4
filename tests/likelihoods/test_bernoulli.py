"""Bernoulli cells: scipy, base rates, and a temperature for what is said beyond them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats
from torch.testing import assert_close

from polymodal.likelihoods import BernoulliLikelihood
from polymodal.likelihoods.scale import FEWEST_VALUES

ROWS = 4000


def with_rates(rates: list[float], **more: float) -> BernoulliLikelihood:
    likelihood = BernoulliLikelihood(len(rates), base_rates=True)
    assert likelihood.level is not None
    likelihood.level.copy_(torch.tensor(rates).logit())
    likelihood.temperature.fill_(more.get("temperature", 1.0))
    return likelihood.eval()


@pytest.mark.parametrize("temperature", [1.0, 2.5])
def test_the_density_is_that_of_scipy(temperature: float) -> None:
    rates = [0.01, 0.3, 0.5, 0.9]
    likelihood = with_rates(rates, temperature=temperature).double()
    beyond = torch.randn(7, 4).double()
    value = (torch.rand(7, 4) < 0.5).double()
    level = np.log(rates) - np.log1p(-np.array(rates))
    p = 1 / (1 + np.exp(-(level + beyond.numpy() / temperature)))
    wanted = stats.bernoulli.logpmf(value.numpy(), p)
    observed = likelihood(beyond)
    np.testing.assert_allclose(observed.log_prob(value), wanted.sum(1), rtol=1e-5)
    np.testing.assert_allclose(observed.mean, p, rtol=1e-5)
    cells = torch.rand(7, 4) < 0.5
    hidden = torch.where(cells, value, torch.nan)
    some = np.where(cells, wanted, 0).sum(1)
    np.testing.assert_allclose(observed.log_prob(hidden, cells), some, rtol=1e-5)
    assert likelihood(beyond).sample((3,)).unique().tolist() == [0, 1]


def test_without_base_rates_it_is_as_it_was() -> None:
    likelihood = BernoulliLikelihood(3)
    assert not likelihood.state_dict()
    likelihood.start_from(torch.ones(5, 3))
    likelihood.calibrate(likelihood(torch.randn(2, 5, 3)), torch.ones(5, 3), torch.ones(5) > 0)
    assert_close(likelihood(torch.zeros(1, 3)).mean, torch.full((1, 3), 0.5))


def test_a_decoder_that_knows_nothing_says_the_base_rates() -> None:
    rates = torch.tensor([0.02, 0.5, 0.95])
    value = (torch.rand(ROWS, 3) < rates).float()
    cells = torch.rand(ROWS, 3) < 0.7
    likelihood = BernoulliLikelihood(3, base_rates=True)
    likelihood.start_from(torch.where(cells, value, torch.nan), cells)
    found = likelihood(torch.zeros(1, 3)).mean[0]
    known = torch.where(cells, value, 0).sum(0) / cells.sum(0)
    assert_close(found, known, rtol=0, atol=1e-3)
    assert_close(found, rates, rtol=0, atol=0.03)


def test_what_is_always_or_never_1_or_known_of_no_row_has_a_rate_within() -> None:
    value = torch.tensor([[0.0, 1.0, 0.0]]).expand(9, 3)
    cells = torch.tensor([True, True, False]).expand(9, 3)
    likelihood = BernoulliLikelihood(3, base_rates=True)
    likelihood.start_from(value, cells)
    # (n_1 + r) / (n + 1) with r = (9 + 1/2) / (18 + 1)
    found = likelihood(torch.zeros(1, 3)).mean[0]
    assert_close(found, torch.tensor([0.05, 0.95, 0.5]))
    likelihood.start_from(torch.full((4, 3), torch.nan), torch.zeros(4, 3) > 0)
    assert_close(likelihood(torch.zeros(1, 3)).mean, torch.full((1, 3), 0.5))


def test_the_temperature_of_the_truth_is_found_and_only_evaluation_has_it() -> None:
    likelihood = with_rates([0.1, 0.4, 0.7])
    beyond = 3 * torch.randn(1, 50_000, 3)
    value = likelihood(beyond / 2.5).sample()[0]
    cells = torch.rand(value.shape) < 0.8
    for _ in range(2):  # measured again, from what it gave the first time, it is the same
        hidden = torch.where(cells, value, torch.nan)
        likelihood.calibrate(likelihood(beyond), hidden, cells)
        assert likelihood.temperature == 2.5
    assert likelihood.level is not None
    assert_close(likelihood(beyond).logits, likelihood.level + beyond / 2.5)
    likelihood.train()
    assert_close(likelihood(beyond).logits, likelihood.level + beyond)


def test_what_says_nothing_of_hidden_values_goes_back_to_the_base_rates() -> None:
    likelihood = with_rates([0.02] * 50)
    value = (torch.rand(12, 50) < 0.02).float()
    noise = 0.3 * torch.randn(4, 12, 50)
    likelihood.calibrate(likelihood(noise), value, torch.ones(12) > 0)
    assert likelihood.temperature == 10
    assert_close(likelihood(noise).mean, torch.full_like(noise, 0.02), rtol=0, atol=5e-3)


def test_what_a_few_rows_prove_is_kept() -> None:
    likelihood = with_rates([0.5] * 50)
    beyond = torch.randn(12, 50).mul(4)
    value = likelihood(beyond).sample()
    likelihood.calibrate(likelihood(beyond[None]), value, torch.ones(12) > 0)
    assert likelihood.temperature <= 1.5


def test_too_few_values_say_nothing() -> None:
    likelihood = with_rates([0.5], temperature=3.0)
    n = FEWEST_VALUES - 1
    likelihood.calibrate(likelihood(torch.randn(2, n, 1)), torch.ones(n, 1), torch.ones(n) > 0)
    assert likelihood.temperature == 1
    nan = torch.full((2, 30, 1), torch.nan)
    likelihood.calibrate(likelihood(nan), torch.ones(30, 1), torch.ones(30) > 0)
    assert likelihood.temperature == 1
