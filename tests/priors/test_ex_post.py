"""The prior that is measured ex post, against densities that are known."""

from __future__ import annotations

import math

import pytest
import torch
from tests.helpers import real_batch, real_modalities
from torch import Tensor
from torch.distributions import Categorical, MixtureSameFamily, MultivariateNormal

from polymodal.distributions.dependent import DependentBlocks
from polymodal.distributions.diagonal import Diagonal
from polymodal.models.ex_post import ExPostVAE
from polymodal.priors import ExPostPrior
from polymodal.random import seeded
from polymodal.recipes import RECIPES
from polymodal.testing import check_prior


def truth() -> MixtureSameFamily:
    """Three correlated normals in two dimensions."""
    loc = torch.tensor([[3.0, 0.0], [-2.0, 2.0], [0.0, -3.0]])
    covariance = torch.tensor(
        [[[0.5, 0.4], [0.4, 0.5]], [[0.3, 0.0], [0.0, 0.1]], [[0.4, -0.3], [-0.3, 0.4]]]
    )
    return MixtureSameFamily(
        Categorical(torch.tensor([0.5, 0.3, 0.2])), MultivariateNormal(loc, covariance)
    )


def measured(z: Tensor, components: int = 8, private_dim: int = 0) -> ExPostPrior:
    prior = ExPostPrior(z.shape[1], 1, private_dim, components=components)
    prior.measure(z)
    return prior.eval()


def draws(n: int) -> Tensor:
    with seeded(0):
        return truth().sample((n,))


@pytest.mark.parametrize("private_dim", [0, 1])
def test_it_obeys_the_laws(private_dim: int) -> None:
    for prior in (ExPostPrior(2, 1, private_dim), measured(draws(4000), private_dim=private_dim)):
        for _, law in check_prior(prior.eval(), 2 + private_dim):
            law()


def test_it_comes_near_the_density_it_was_measured_on() -> None:
    """KL from the truth, by fresh draws: a fit of p parameters to n draws is p / 2n nats off."""
    prior, n = measured(draws(8000)), 20_000
    with seeded(1):
        z = truth().sample((n,))
    gap = truth().log_prob(z) - prior().log_prob(z)
    most = 8 * 6 / (2 * 8000)
    assert float(gap.mean()) < 3 * most + 4 * float(gap.std()) / math.sqrt(n)


@pytest.mark.parametrize("n", [50, 300])
def test_standard_draws_keep_the_standard_prior(n: int) -> None:
    """Over 20 sets of draws; a mixture may be chosen by chance once or twice."""
    with seeded(0):
        chosen = [bool(measured(torch.randn(n, 6)).measured) for _ in range(20)]
    assert sum(chosen) <= 2


def test_draws_that_have_no_mixture_keep_the_standard_prior() -> None:
    """All on one line, far out: a covariance degenerates."""
    with seeded(0):
        z = 1e6 * torch.randn(200, 1) * torch.ones(1, 32)
    p = measured(z)()
    assert torch.isfinite(p.log_prob(z)).all()


def test_training_anew_forgets_what_was_measured() -> None:
    with seeded(0):
        model = RECIPES["polymodal"].build(real_modalities(), latent_dim=2)
    model.prior.measure(draws(500))
    model.enter(0)
    assert not bool(model.prior.measured)


def test_training_knows_the_standard_prior() -> None:
    prior = measured(draws(500))
    p = prior.train()()
    assert isinstance(p, Diagonal)
    assert p.is_standard


@pytest.mark.parametrize(
    "z", [draws(49), torch.full((100, 2), torch.nan)], ids=["too few", "nothing finite"]
)
def test_without_draws_it_stays_standard(z: Tensor) -> None:
    assert isinstance(measured(z)(), Diagonal)
    assert isinstance(measured(draws(100), components=0)(), Diagonal)


def test_it_is_saved_and_measured_anew() -> None:
    prior = measured(draws(500))
    copy = ExPostPrior(2, components=8).eval()
    copy.load_state_dict(prior.state_dict())
    z = draws(7)
    assert torch.equal(copy().log_prob(z), prior().log_prob(z))
    before = torch.get_rng_state()
    prior.measure(draws(500))
    assert torch.equal(copy().log_prob(z), prior().log_prob(z))
    assert torch.equal(before, torch.get_rng_state())


def test_what_is_wrong_is_said() -> None:
    with pytest.raises(ValueError, match=r"z must be \(N, 2\)"):
        ExPostPrior(2).measure(torch.zeros(5, 3))
    with pytest.raises(ValueError, match="shared must be at least 1"):
        ExPostPrior(0)


def test_a_model_measures_it_on_rows_that_have_something() -> None:
    x, present = real_batch(240)
    for mask in present.values():
        mask[:40] = False
    with seeded(0):
        model = RECIPES["polymodal"].build(real_modalities(), latent_dim=3, private_dim=2)
    assert isinstance(model, ExPostVAE)
    seen: list[Tensor] = []
    model.prior.measure = lambda z: seen.append(z)  # pyright: ignore[reportAttributeAccessIssue]
    model.eval().end_with([(x, present), (x, present)], 1)
    alive = sum(mask.reshape(240, -1).any(1).int() for mask in present.values()) > 0
    assert seen[0].shape == (2 * int(alive.sum()), 3)
    del model.prior.measure
    model.end_with([(x, present)], 1)
    assert isinstance(model.prior(), DependentBlocks)
