"""Bounds against the exact evidence of a linear-Gaussian model."""

from __future__ import annotations

import pytest
import torch
from tests.helpers import cubature, linear, noise
from torch import nn

from polymodal.fusion import MixtureOfExperts, MixtureOfProducts, ProductOfExperts
from polymodal.fusion.experts import Fusion
from polymodal.latent import LatentLayout
from polymodal.likelihoods import GaussianLikelihood
from polymodal.model import Modality, MultimodalVAE
from polymodal.objectives import (
    ELBO,
    IWAE,
    DReG,
    JointToUnimodal,
    SubsampledELBO,
    TotalCorrelation,
)
from polymodal.posteriors import JointPosterior
from polymodal.priors import StandardPrior
from polymodal.random import seeded
from polymodal.testing import LinearGaussian
from polymodal.testing.linear import AsTheyAre

ROWS = 64
TRUTH = linear(2)
X, PRESENT = TRUTH.sample(ROWS), TRUTH.present(ROWS)
EVIDENCE = TRUTH.log_evidence(X, PRESENT)


def bound(model: MultimodalVAE, seed: int = 0) -> torch.Tensor:
    with seeded(seed), torch.no_grad():
        return -model.loss(X, PRESENT, 0).loss


@pytest.mark.parametrize("divergence", ["convex", "mixture"])
@pytest.mark.parametrize("strata", ["all", "one"])
def test_poe_elbo_with_exact_experts_is_the_evidence(strata: str, divergence: str) -> None:
    objective = ELBO(samples=4, strata=strata, divergence=divergence)
    model = TRUTH.build(ProductOfExperts("always"), objective)
    with noise(cubature):  # expectations of quadratics are exact
        torch.testing.assert_close(bound(model), EVIDENCE, rtol=0, atol=1e-10)
    assert EVIDENCE[0] == 0  # the row with nothing


@pytest.mark.parametrize("objective", [IWAE(1), IWAE(5), IWAE(3, tight=True), DReG(1), DReG(4)])
def test_importance_weights_of_the_exact_posterior_are_all_the_evidence(
    objective: nn.Module,
) -> None:
    model = TRUTH.build(ProductOfExperts("always"), objective)
    torch.testing.assert_close(bound(model), EVIDENCE, rtol=0, atol=1e-10)


def test_mopoe_of_exact_factors_holds_the_exact_posterior_of_every_subset() -> None:
    q = TRUTH.build(MixtureOfProducts("always"), ELBO()).posterior(X, PRESENT)
    for s, subset in enumerate([("a",), ("b",), ("a", "b"), ("c",), ("a", "c"), ("b", "c")]):
        exact = TRUTH.posterior(X, {name: PRESENT[name] for name in subset})
        here = q.log_weights[s] > -torch.inf
        here = here & torch.stack([PRESENT[name] for name in subset]).all(0)
        torch.testing.assert_close(q.loc[s, here], exact.mean[here])
        torch.testing.assert_close(q.scale[s, here].square(), exact.variance[here])


def joint_model(objective: nn.Module) -> MultimodalVAE:
    """A joint network with weights of its own, nothing exact: only a valid posterior."""
    modalities = [
        Modality(
            name,
            AsTheyAre(len(m.offset)),
            lambda _, name=name: TRUTH.decoder(name),
            GaussianLikelihood(len(m.offset), m.noise),
        )
        for name, m in TRUTH.modalities.items()
    ]
    layout = LatentLayout(2, dict.fromkeys(TRUTH.names, 0))
    heads = [TRUTH.head(name, "posterior") for name in TRUTH.names]
    with seeded(5):
        posterior = JointPosterior(
            TRUTH.names, [m.encoder for m in modalities], heads, layout, hidden=8
        )
    return MultimodalVAE(modalities, layout, posterior, StandardPrior(2), objective).double()


def built(fusion: Fusion | None, objective: nn.Module) -> MultimodalVAE:
    if fusion is None:
        return joint_model(objective)
    exact = isinstance(fusion, MixtureOfExperts)
    return TRUTH.build(fusion, objective, expert="posterior" if exact else "factor", inflate=1.3)


@pytest.mark.parametrize("tight", [False, True])
@pytest.mark.parametrize(
    "fusion",
    [ProductOfExperts(), MixtureOfExperts(), MixtureOfProducts("always"), None],
    ids=["poe", "moe", "mopoe", "joint"],
)
def test_iwae_rises_to_the_evidence(fusion: Fusion | None, tight: bool) -> None:
    gaps, errors = [], []
    for samples in (1, 4, 16, 64):
        model = built(fusion, IWAE(samples, tight))
        draws = torch.stack([bound(model, seed) for seed in range(40)])  # (40, B)
        gap = EVIDENCE - draws
        gaps.append(float(gap.mean()))
        errors.append(float(gap.mean(1).std()) / 40**0.5)
    for i in range(3):  # monotone within standard errors
        assert gaps[i + 1] < gaps[i] + 3 * (errors[i] + errors[i + 1]), (gaps, errors)
    assert all(gap > -3 * error for gap, error in zip(gaps, errors, strict=True)), (gaps, errors)
    assert gaps[0] > 0.01
    assert gaps[3] < 0.25 * gaps[0], (gaps, errors)


def test_tight_is_not_below_loose() -> None:
    for samples in (1, 3):
        loose = bound(built(MixtureOfExperts(), IWAE(samples)))
        tight = bound(built(MixtureOfExperts(), IWAE(samples, tight=True)))
        assert bool((tight >= loose - 1e-12).all())
        assert bool((tight[2:] > loose[2:]).any())


@pytest.mark.parametrize("fusion", [MixtureOfExperts(), MixtureOfProducts("always")])
def test_convex_is_below_mixture_is_below_the_evidence(fusion: Fusion) -> None:
    convex, mixture = (
        torch.stack(
            [bound(built(fusion, ELBO(samples=50, divergence=word)), seed) for seed in range(10)]
        )
        for word in ("convex", "mixture")
    )
    several = torch.stack(list(PRESENT.values())).sum(0) > 1
    for below, above in ((convex, mixture), (mixture, EVIDENCE.expand(10, -1))):
        gap = (above - below)[:, several]
        error = gap.std(0) / 10**0.5
        assert bool((gap.mean(0) > -4 * error).all())
        assert float(gap.mean()) > 0.01


def test_all_strata_and_one_drawn_agree_on_average() -> None:
    every = bound(built(MixtureOfProducts("always"), ELBO(samples=2000)))
    one = bound(built(MixtureOfProducts("always"), ELBO(samples=4000, strata="one")))
    torch.testing.assert_close(every, one, rtol=0, atol=0.25)
    assert abs(float((every - one).mean())) < 0.03


GRID = torch.linspace(-12, 12, 2001, dtype=torch.float64)


@pytest.mark.parametrize("fusion", [MixtureOfExperts(), MixtureOfProducts("always")])
def test_stratified_draws_with_the_mixture_density_are_unbiased_single_ones_are_not(
    fusion: Fusion,
) -> None:
    truth = LinearGaussian({"a": 2, "b": 2}, 1, seed=3)
    x, present = truth.sample(6), truth.present(6, 0.2)
    model = truth.build(fusion, IWAE(), expert="posterior", inflate=1.2)
    with torch.no_grad():
        q = model.posterior(x, present)
        z = GRID.reshape(-1, 1, 1, 1).expand(-1, q.n_strata, 6, 1)  # (G, S, B, 1)
        log_p = torch.stack(list(model.log_likelihoods(z, x, present).values())).sum(0)
        log_ratio = log_p + model.prior().log_prob(z) - q.log_prob(z)
        density = q.components.log_prob(z)
        each = (density + log_ratio).exp().sum(0) * (GRID[1] - GRID[0])  # (S, B)
        mean = (q.log_weights.exp() * each).sum(0)
    evidence = truth.log_evidence(x, present).exp()
    torch.testing.assert_close(mean, evidence, rtol=1e-8, atol=1e-12)
    single = (each[0] / evidence)[1]  # the row where everything is there
    assert abs(float(single) - 1) > 1e-3


def test_beta_weighs_the_divergence_and_follows_a_schedule() -> None:
    def loss(beta: object, step: int) -> torch.Tensor:
        model = TRUTH.build(ProductOfExperts(), ELBO(beta))
        with seeded(1):
            terms = model.loss(X, PRESENT, step)
        expected = sum(terms.parts[f"-log p({name})"] for name in TRUTH.names)
        return (terms.loss - expected) / terms.parts["kl"].clamp(min=1e-9)

    on = torch.stack(list(PRESENT.values())).any(0)
    for beta, step, weight in ((0.25, 0, 0.25), (lambda s: s / 8, 4, 0.5)):
        found = loss(beta, step)[on]
        torch.testing.assert_close(found, torch.full_like(found, weight))


def test_free_bits_are_a_floor_a_dimension_that_something_present_tells_of() -> None:
    truth = LinearGaussian({"a": 3, "b": 4}, 2, private_dim=1)
    x, present = truth.sample(ROWS), truth.present(ROWS)
    model = truth.build(ProductOfExperts(), ELBO(free_bits=1.0))
    q = model.posterior(x, present)
    each = 0.5 * (q.scale[0].square() + q.loc[0].square() - 1) - q.scale[0].log()
    a, b = present.values()
    assert not bool((a | b)[0])
    told = torch.stack([a | b, a | b, a, b], -1)
    assert bool((each[told] < 1).any())
    with seeded(0):
        kl = model.loss(x, present, 0).parts["kl"]
    torch.testing.assert_close(kl, torch.where(told, each.clamp(min=1.0), 0.0).sum(-1))
    assert kl[0] == 0


@pytest.mark.parametrize(
    "make",
    [
        lambda: ELBO(strata="some"),
        lambda: ELBO(divergence="none"),
        lambda: ELBO(samples=0),
        lambda: ELBO(free_bits=-1.0),
        lambda: ELBO(free_bits=0.1, divergence="mixture"),
        lambda: IWAE(0),
        lambda: DReG(0),
        lambda: SubsampledELBO(-1),
        lambda: JointToUnimodal(gamma=-1.0),
        lambda: ELBO(beta="x"),
        lambda: SubsampledELBO(beta=float("nan")),
        lambda: TotalCorrelation(beta=True),
        lambda: JointToUnimodal(beta=None),
    ],
)
def test_settings_that_make_no_sense_are_errors(make: object) -> None:
    with pytest.raises(ValueError, match=r"must be|at least|free_bits"):
        make()


def test_likelihood_weights_enter_training_losses_only() -> None:
    plain = TRUTH.build(ProductOfExperts(), ELBO())
    weighted = TRUTH.build(ProductOfExperts(), ELBO(), weights={"b": 3.0})
    with seeded(0):
        one = plain.loss(X, PRESENT, 0)
    with seeded(0):
        three = weighted.loss(X, PRESENT, 0)
    extra = 2 * one.parts["-log p(b)"]
    torch.testing.assert_close(three.loss, one.loss + extra)
    torch.testing.assert_close(three.parts["-log p(b)"], one.parts["-log p(b)"])  # unscaled
    z = torch.randn(3, ROWS, 2, dtype=torch.float64)
    for name, value in plain.log_likelihoods(z, X, PRESENT).items():
        assert torch.equal(weighted.log_likelihoods(z, X, PRESENT)[name], value)


@pytest.mark.parametrize("strata", ["all", "one"])
@pytest.mark.parametrize("divergence", ["convex", "mixture"])
def test_parts_add_up_to_the_loss(strata: str, divergence: str) -> None:
    weights = {"a": 0.5, "b": 2.0, "c": 1.0}
    objective = ELBO(0.25, samples=3, strata=strata, divergence=divergence)
    model = TRUTH.build(MixtureOfProducts("always"), objective, weights=weights)
    terms = model.loss(X, PRESENT, 0)
    total = sum(weight * terms.parts[f"-log p({name})"] for name, weight in weights.items())
    torch.testing.assert_close(terms.loss.detach(), total + 0.25 * terms.parts["kl"])


def test_parts_of_importance_weighted_bounds_are_averages_over_draws() -> None:
    """The terms of K draws are those of the ELBO of the mixture with the same draws."""
    found = {}
    for objective in (ELBO(samples=5, divergence="mixture"), IWAE(5), DReG(5)):
        with seeded(2):
            parts = TRUTH.build(MixtureOfProducts(), objective).loss(X, PRESENT, 0).parts
        for name, value in parts.items():
            torch.testing.assert_close(value, found.setdefault(name, value))
