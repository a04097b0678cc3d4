"""Total correlation and alignment, term by term, with torch's own distributions."""

from __future__ import annotations

import pytest
import torch
from tests.helpers import linear, noise, small_modalities
from torch import Tensor
from torch.distributions import Distribution, Independent, Normal, kl_divergence

from polymodal.fusion import MixtureOfExperts, ProductOfExperts
from polymodal.model import MultimodalVAE
from polymodal.objectives import JointToUnimodal, TotalCorrelation
from polymodal.objectives.subsampled import draw_proper_subsets
from polymodal.random import seeded
from polymodal.recipes import RECIPES

TRUTH = linear(2)
X, PRESENT = TRUTH.sample(10), TRUTH.present(10)
WEIGHTS = {"a": 1.0, "b": 0.5, "c": 2.0}


def build(name: str, **settings: object) -> MultimodalVAE:
    with seeded(4):
        modalities = small_modalities(TRUTH, WEIGHTS)
        model = RECIPES[name].build(modalities, latent_dim=3, **settings)
    return model.double()


def normal(loc: Tensor, scale: Tensor) -> Distribution:
    return Independent(Normal(loc, scale), 1)


def prior(dim: int) -> Distribution:
    return normal(torch.zeros(dim).double(), torch.ones(dim).double())


def present_in(row: int) -> list[int]:
    return [m for m, name in enumerate(TRUTH.names) if PRESENT[name][row]]


def log_p(model: MultimodalVAE, z: Tensor, row: int, m: int) -> Tensor:
    """log p(x_m | z) of one row at one z, by torch."""
    name = TRUTH.names[m]
    own = [*range(3)]
    if model.layout.private_dim:
        own.append(3 + m)
    loc = model.decoders[m](z[own].unsqueeze(0))[0]
    return Normal(loc, 0.8).log_prob(X[name][row]).sum()


@pytest.mark.parametrize("private_dim", [0, 1])
def test_total_correlation_is_the_formula(private_dim: int) -> None:
    alpha, beta = 0.7, 1.5
    model = build("mvtcae", alpha=alpha, beta=beta, private_dim=private_dim)
    encoded = model.posterior.encode(X, PRESENT)
    experts, q = encoded.experts, model.posterior(X, PRESENT)
    with noise(torch.zeros):
        terms = model.loss(X, PRESENT, 0)
    for row in range(1, 10):
        here = present_in(row)
        n = len(here)
        if not n:
            assert terms.loss[row] == 0
            continue
        precision = sum(experts.scale[m, row] ** -2 for m in here)
        mean = sum(experts.loc[m, row] * experts.scale[m, row] ** -2 for m in here) / precision
        joint = normal(mean, precision**-0.5)
        z = q.loc[0, row]
        torch.testing.assert_close(z[:3], mean)
        fit = sum(WEIGHTS[TRUTH.names[m]] * log_p(model, z, row, m) for m in here)
        to_experts = sum(
            kl_divergence(joint, normal(experts.loc[m, row], experts.scale[m, row])) for m in here
        )
        to_prior = kl_divergence(joint, prior(3))
        private = sum(
            kl_divergence(
                normal(encoded.private_loc[row, m : m + 1], encoded.private_scale[row, m : m + 1]),
                prior(1),
            )
            for m in here
            if private_dim
        )
        expected = -(n - alpha) / n * fit + beta * (
            alpha / n * to_experts + (1 - alpha) * to_prior + private
        )
        torch.testing.assert_close(terms.loss[row], expected)
        torch.testing.assert_close(terms.parts["kl to experts"][row], to_experts.detach())


def test_total_correlation_without_alpha_is_an_elbo_and_of_one_modality_its_share() -> None:
    whole, none = build("mvtcae", alpha=1.0), build("mvtcae", alpha=0.0)
    with noise(torch.zeros):
        terms = none.loss(X, PRESENT, 0)
        lone = whole.loss({"a": X["a"]}, {"a": torch.ones(10, dtype=torch.bool)}, 0)
    fit = sum(WEIGHTS[n] * terms.parts[f"-log p({n})"] for n in TRUTH.names)
    torch.testing.assert_close(terms.loss.detach(), fit + terms.parts["kl"])
    # alpha = 1, n = 1: the posterior is the expert, and (n - alpha) / n = 0.
    torch.testing.assert_close(lone.loss, torch.zeros_like(lone.loss), rtol=0, atol=1e-12)


def test_total_correlation_needs_one_stratum_and_alpha_a_share() -> None:
    with pytest.raises(ValueError, match="one stratum"):
        TRUTH.build(MixtureOfExperts(), TotalCorrelation()).loss(X, PRESENT, 0)
    with pytest.raises(ValueError, match="alpha must be between 0 and 1"):
        TotalCorrelation(1.5)
    assert TRUTH.build(ProductOfExperts("never"), TotalCorrelation()).loss(X, PRESENT, 0)


@pytest.mark.parametrize("private_dim", [0, 1])
@pytest.mark.parametrize("subsets", [0, 2])
def test_alignment_is_the_formula(subsets: int, private_dim: int) -> None:
    gamma, beta = 0.3, 0.5
    model = build("jmvae", gamma=gamma, beta=beta, subsets=subsets, private_dim=private_dim)
    posterior = model.posterior
    encoded = posterior.encode(X, PRESENT)
    experts, q = encoded.experts, posterior(X, PRESENT)
    with noise(torch.zeros), seeded(6):
        terms = model.loss(X, PRESENT, 0)
    with seeded(6):
        chosen = draw_proper_subsets(encoded.on, subsets) if subsets else None
    for row in range(10):
        here = present_in(row)
        if not here:
            assert terms.loss[row] == 0
            continue
        joint = normal(q.loc[0, row, :3], q.scale[0, row, :3])
        unimodal = {m: normal(experts.loc[m, row], experts.scale[m, row]) for m in here}
        expected = gamma * sum(kl_divergence(joint, one) for one in unimodal.values())
        if len(here) == 1:
            assert float(expected.detach().abs()) < 1e-12  # alone, a modality answers for itself
        for k in range(subsets):
            if 1 < int(chosen[:, k, row].sum()) < len(here):
                on = {n: chosen[m, k] for m, n in enumerate(TRUTH.names)}
                partial = posterior(X, on)
                other = normal(partial.loc[0, row, :3], partial.scale[0, row, :3])
                expected = expected + gamma * kl_divergence(joint, other)
        whole = normal(q.loc[0, row], q.scale[0, row])
        expected = expected + beta * kl_divergence(whole, prior(3 + 3 * private_dim))
        for m in here:
            fit = log_p(model, q.loc[0, row], row, m)
            expected = expected - WEIGHTS[TRUTH.names[m]] * fit
        torch.testing.assert_close(terms.loss[row], expected)


def test_alignment_moves_the_joint_posterior_too() -> None:
    model = build("jmvae", gamma=1.0)
    every = {name: torch.ones(10, dtype=torch.bool) for name in TRUTH.names}
    q = model.posterior.encode(X, every)
    alignment = JointToUnimodal()._alignment(model.posterior, q, model.posterior.fuse(q))
    alignment.sum().backward()
    assert float(model.posterior.joint_head.linear.weight.grad.abs().sum()) > 0
    for head in model.posterior.heads:
        assert float(head.linear.weight.grad.abs().sum()) > 0
