"""The masked bound: exact posteriors give the evidence, whatever is masked; else term by term."""

from __future__ import annotations

import pytest
import torch
from tests.helpers import cubature, linear, noise
from tests.objectives import by_hand
from torch.distributions import Independent, Normal, kl_divergence

from polymodal.fusion import MixtureOfExperts, ProductOfExperts
from polymodal.objectives import ELBO, MaskedBound
from polymodal.objectives.masked import draw_seen
from polymodal.priors.mixture import MixturePrior
from polymodal.random import seeded
from polymodal.testing import check_objective

TRUTH = linear(2)
X, PRESENT = TRUTH.sample(32), TRUTH.present(32)
ON = torch.stack(list(PRESENT.values()))


def seen_with(seed: int) -> torch.Tensor:
    with seeded(seed):
        return draw_seen(ON)


@pytest.mark.parametrize("seed", range(4))
def test_with_exact_posteriors_it_is_the_evidence_whatever_is_masked(seed: int) -> None:
    model = TRUTH.build(ProductOfExperts("always"), MaskedBound(samples=4))
    with noise(cubature), seeded(seed), torch.no_grad():
        terms = model.loss(X, PRESENT, 0)
    evidence = TRUTH.log_evidence(X, PRESENT)
    torch.testing.assert_close(-terms.loss, evidence, rtol=0, atol=1e-10)
    # The two lines are log p(x_A) and log p(x_rest | x_A).
    seen = seen_with(seed)
    marginal = terms.parts["kl"].clone()
    for m, name in enumerate(TRUTH.names):
        marginal += torch.where(seen[m], terms.parts[f"-log p({name})"], 0.0)
    of_seen = TRUTH.log_evidence(X, dict(zip(TRUTH.names, seen, strict=True)))
    torch.testing.assert_close(-marginal, of_seen, rtol=0, atol=1e-10)
    assert 0 < int((seen.any(0) & (seen != ON).any(0)).sum())


@pytest.mark.parametrize("seed", range(3))
def test_with_other_posteriors_it_is_the_formula(seed: int) -> None:
    beta, weights = 0.7, {"a": 1.0, "b": 0.5, "c": 2.0}
    model = TRUTH.build(
        ProductOfExperts("always"), MaskedBound(beta), inflate=1.4, weights=weights
    )
    with noise(torch.zeros), seeded(seed), torch.no_grad():
        loss = model.loss(X, PRESENT, 0).loss
        seen = seen_with(seed)
        q_all = model.posterior(X, PRESENT)
        q_seen = model.posterior(X, dict(zip(TRUTH.names, seen, strict=True)))
        everything, part = (Independent(Normal(q.loc[0], q.scale[0]), 1) for q in (q_all, q_seen))
        prior = Independent(Normal(torch.zeros(2).double(), torch.ones(2).double()), 1)
        expected = beta * (kl_divergence(part, prior) + kl_divergence(everything, part))
        for m, (name, truth) in enumerate(TRUTH.modalities.items()):
            z = torch.where(seen[m].unsqueeze(-1), q_seen.loc[0], q_all.loc[0])
            log_p = Normal(z @ truth.weight.T + truth.offset, truth.noise).log_prob(X[name])
            expected -= weights[name] * torch.where(ON[m], log_p.sum(-1), 0.0)
    torch.testing.assert_close(loss, expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("seed", range(3))
def test_private_posteriors_of_the_rest_have_their_divergence(seed: int) -> None:
    """Given what is seen the private latents of the rest have the prior."""
    beta = 0.7
    model = by_hand.TRUTH.build(
        ProductOfExperts("always"), MaskedBound(beta), inflate=1.4, weights=by_hand.WEIGHTS
    )
    with noise(by_hand.eps), torch.no_grad():
        with seeded(seed):
            loss = model.loss(by_hand.X, by_hand.PRESENT, 0).loss
        with seeded(seed):
            seen = draw_seen(by_hand.ON)
        said = by_hand.Normals(by_hand.heads(1.4))
        everything, part = (said.product(held, prior=True) for held in (by_hand.ON, seen))
        expected = beta * (by_hand.to_prior(part) + kl_divergence(everything, part))
        expected -= by_hand.fit(by_hand.draw(part), seen)
        expected -= by_hand.fit(by_hand.draw(everything), by_hand.ON & ~seen)
    torch.testing.assert_close(loss, expected, rtol=1e-11, atol=1e-9)
    assert 3 < int((seen.any(0) & (seen != by_hand.ON).any(0)).sum())


@pytest.mark.parametrize("seed", range(2))
def test_with_exact_private_posteriors_too_it_is_the_evidence(seed: int) -> None:
    truth = by_hand.TRUTH
    model = truth.build(ProductOfExperts("always"), MaskedBound(samples=2 * truth.dim))
    with noise(cubature), seeded(seed), torch.no_grad():
        loss = model.loss(by_hand.X, by_hand.PRESENT, 0).loss
    evidence = truth.log_evidence(by_hand.X, by_hand.PRESENT)
    torch.testing.assert_close(-loss, evidence, rtol=0, atol=1e-9)


def test_of_one_modality_it_is_the_elbo() -> None:
    x, present = {"a": X["a"]}, {"a": PRESENT["a"]}
    found = []
    for objective in (MaskedBound(0.6), ELBO(0.6)):
        model = TRUTH.build(ProductOfExperts("always"), objective, inflate=1.2)
        with noise(torch.zeros), torch.no_grad():
            found.append(model.loss(x, present, 0).loss)
    torch.testing.assert_close(*found, rtol=1e-12, atol=1e-12)


def test_a_mixture_prior_of_one_standard_component_gives_the_evidence() -> None:
    """Its divergences are estimated from draws: of quadratics, exactly."""
    model = TRUTH.build(ProductOfExperts("always"), MaskedBound(samples=4))
    model.prior = MixturePrior(2, 1).double()
    with torch.no_grad():
        model.prior.loc.zero_()
    with noise(cubature), seeded(0), torch.no_grad():
        loss = model.loss(X, PRESENT, 0).loss
    torch.testing.assert_close(-loss, TRUTH.log_evidence(X, PRESENT), rtol=0, atol=1e-10)


def test_what_nothing_is_seen_of_is_the_elbo_under_any_prior() -> None:
    with seeded(3):
        prior = MixturePrior(2, 3).double()
    found = []
    for objective in (MaskedBound(), ELBO()):
        model = TRUTH.build(ProductOfExperts("always"), objective, inflate=1.2)
        model.prior = prior
        with noise(torch.zeros), seeded(2), torch.no_grad():
            found.append(model.loss(X, PRESENT, 0).loss)
    nothing = ~seen_with(2).any(0) & ON.any(0)
    assert int(nothing.sum()) > 2
    torch.testing.assert_close(found[0][nothing], found[1][nothing], rtol=1e-12, atol=1e-12)


def test_every_size_of_what_is_seen_is_as_likely() -> None:
    on = torch.tensor([True, True, False, True]).unsqueeze(1).expand(4, 20_000)
    with seeded(0):
        seen = draw_seen(on)
    assert not seen[2].any()
    size = torch.bincount(seen.sum(0), minlength=4)
    assert float((size - 5000).abs().max()) < 5 * 5000**0.5
    one = seen[:, seen.sum(0) == 1].double().mean(1)
    assert float((one[[0, 1, 3]] - 1 / 3).abs().max()) < 0.03


def test_it_obeys_the_laws_of_objectives() -> None:
    x, present = TRUTH.sample(8), TRUTH.present(8)
    for mask in present.values():
        mask[2] = True
    model = TRUTH.build(ProductOfExperts("always"), MaskedBound(), inflate=1.3)
    for _, law in check_objective(model, x, present):
        law()


def test_what_makes_no_sense_is_an_error() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        MaskedBound(samples=0)
    with pytest.raises(ValueError, match="one stratum"):
        TRUTH.build(MixtureOfExperts(), MaskedBound()).loss(X, PRESENT, 0)
