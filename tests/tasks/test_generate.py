"""What generated values may be: mean, mode and median of p(x | z), against scipy and by hand."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
import torch
from scipy import stats
from scipy.special import betainc
from tests.helpers import COLUMNS, IMAGE, NUMBERS, TABLE, TEXT, real_modalities
from torch import Tensor

from polymodal.distributions.counts import NegativeBinomialObserved, PoissonObserved
from polymodal.distributions.decoding import Decoding
from polymodal.distributions.factorised import (
    BernoulliObserved,
    CategoricalObserved,
    GaussianObserved,
    LaplaceObserved,
)
from polymodal.distributions.observed import Observed
from polymodal.likelihoods import MixedLikelihood, OrdinalLikelihood, TokenLikelihood
from polymodal.model import MultimodalVAE
from polymodal.random import seeded
from polymodal.recipes import RECIPES
from polymodal.tasks import generate
from polymodal.tasks.generate import Values

F64 = torch.float64
COUNTS = np.arange(4000)
MEANS = np.array([0.02, 0.6, 0.72, 1.5, 3.2, 17.4, 230.7])
SIZES = np.array([0.05, 0.9, 2.3, 40.0])


def test_mode_and_median_of_counts_are_those_of_scipy() -> None:
    mean, size = np.meshgrid(MEANS, SIZES)
    negative_binomial = NegativeBinomialObserved(
        torch.as_tensor(mean).log(), torch.as_tensor(size).log(), (len(MEANS),)
    )
    poisson = PoissonObserved(torch.as_tensor(mean).log(), (len(MEANS),))
    truth = stats.nbinom(size[..., None], (size / (size + mean))[..., None])
    for observed, exact in (
        (negative_binomial, truth),
        (poisson, stats.poisson(mean[..., None])),
    ):
        np.testing.assert_array_equal(observed.mode, exact.pmf(COUNTS).argmax(-1))
        # The first count whose cumulative probability is a half: not read off scipy's quantiles.
        np.testing.assert_array_equal(observed.median, (exact.cdf(COUNTS) >= 0.5).argmax(-1))
        assert observed.median.dtype == F64


def test_medians_of_very_large_and_very_small_counts_are_exact() -> None:
    mean, size = np.meshgrid(np.logspace(-7, 6.9, 40), np.logspace(-3, 4.3, 30))
    observed = NegativeBinomialObserved(
        torch.as_tensor(mean).log().requires_grad_(), torch.as_tensor(size).log(), (40,)
    )
    found, share = observed.median.numpy(), size / (size + mean)
    # P(x <= k) in closed form, at the median and one count below it
    assert (betainc(size, found + 1, share) >= 0.5).all()
    assert ((betainc(size, np.maximum(found, 1), share) < 0.5) | (found == 0)).all()
    single = NegativeBinomialObserved(torch.zeros(2, 3), torch.zeros(3), (3,)).median
    assert single.dtype == torch.float32


def test_mode_and_median_of_an_ordinal_are_those_of_its_levels() -> None:
    with seeded(0):
        likelihood = OrdinalLikelihood(5)
        torch.nn.init.normal_(likelihood.learned.raw, std=0.1)
        eta = torch.linspace(-9, 9, 301)[:, None]
    observed = likelihood(eta)
    cuts = likelihood.learned().upper[0, :-1].detach().numpy()
    below = stats.logistic.cdf(cuts - eta.numpy())  # P(y <= k) of all levels but the last
    each = np.diff(below, axis=1, prepend=0, append=1)
    np.testing.assert_array_equal(observed.mode, each.argmax(1))
    np.testing.assert_array_equal(observed.median, (below < 0.5).sum(1))
    assert (observed.mode != observed.median).any()
    assert set(observed.median.tolist()) == set(range(5))
    assert observed.median.dtype == torch.int64


@pytest.mark.parametrize("family", [GaussianObserved, LaplaceObserved])
def test_mean_mode_and_median_of_a_symmetric_density_are_one(family: type) -> None:
    loc = torch.randn(5, 3)
    p = family(loc, torch.tensor(0.7), (3,))
    assert torch.equal(p.median, loc)
    assert torch.equal(p.mode, loc)
    assert torch.equal(p.mean, loc)


def test_median_of_yes_and_no_is_the_likelier() -> None:
    p = BernoulliObserved(torch.tensor([[-2.0, -1e-3, 1e-3, 4.0]]), (4,))
    truth = stats.bernoulli(p.mean.double().numpy()).median()
    np.testing.assert_array_equal(p.median, truth)
    assert torch.equal(p.mode, p.median)


def test_a_category_has_no_median_and_tells_its_likeliest_level() -> None:
    p = CategoricalObserved(torch.tensor([[0.0, -9.0, 0.1], [0.3, 0.29, 0.28]]))
    assert p.median.tolist() == p.mode.tolist() == [2, 0]


def test_a_table_is_told_column_by_column() -> None:
    with seeded(1):
        table = MixedLikelihood(COLUMNS)
        parameters = 2 * torch.randn(400, *table.parameter_shape)
        p = table.requires_grad_(False)(parameters)
    number, colour, visits, grade = (p.statistics[:, part] for part in table.statistic_slices)
    size = p.counts.log_size.exp().item()
    counts = stats.nbinom(size, size / (size + visits.double().numpy()))
    assert torch.equal(p.median[:, 0], number[:, 0])
    assert torch.equal(p.median[:, 1], colour.argmax(1))
    np.testing.assert_array_equal(p.median[:, 2], (counts.cdf(COUNTS) >= 0.5).argmax(1))
    assert torch.equal(p.median[:, 3], (grade.cumsum(1) >= 0.5).int().argmax(1))
    np.testing.assert_array_equal(p.mode[:, 2], counts.pmf(COUNTS).argmax(1))
    assert torch.equal(p.mode[:, 3], grade.argmax(1))
    assert (p.mode != p.median).any(0).tolist() == [False, False, True, True]


@pytest.mark.parametrize("column", COLUMNS, ids=lambda c: c.kind)
def test_a_table_of_one_kind_has_a_median(column) -> None:
    table = MixedLikelihood((column,))
    assert table(torch.zeros(2, 3, *table.parameter_shape)).median.shape == (2, 3, 1)


def model() -> MultimodalVAE:
    with seeded(1):
        built = RECIPES["mvae"].build(real_modalities(), latent_dim=3)
    assert isinstance(built, MultimodalVAE)
    return built


def decoded(net: MultimodalVAE, n: int, seed: int) -> dict[str, Observed]:
    net.eval()
    with seeded(seed), torch.no_grad():
        return net.decode(net.prior().sample((n,)), net.names)


def test_generated_rows_are_the_mode_or_median_of_what_is_decoded() -> None:
    net = model()
    p = decoded(net, 30, seed=4)
    said: dict[str, dict[str, Tensor]] = {
        values: generate(net, 30, seed=4, values=values) for values in get_args(Values)
    }
    for name in net.names:
        assert torch.equal(said["mode"][name], p[name].mode)
        assert torch.equal(said["median"][name], p[name].median)
    assert torch.equal(said["mean"][NUMBERS], said["median"][NUMBERS])
    assert torch.equal(said["mean"][TEXT], said["median"][TEXT])
    assert set(said["median"][IMAGE].unique().tolist()) == {0, 1}
    assert not torch.equal(said["mean"][IMAGE], said["median"][IMAGE])
    assert not torch.equal(said["mode"][TABLE], said["median"][TABLE])


def test_texts_are_written_as_asked_whatever_the_values() -> None:
    net, how = model(), Decoding("beam", width=3)
    p = decoded(net, 5, seed=2)[TEXT]
    made = [
        generate(net, 5, seed=2, values=values, text=how)[TEXT]
        for values in ("mean", "mode", "median")
    ]
    assert all(torch.equal(one, p.write(how)) for one in made)
    flat = TokenLikelihood(4, 9)(torch.randn(3, 4, 9))
    assert torch.equal(flat.median, flat.mode)
