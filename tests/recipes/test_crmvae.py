"""CRMVAE's objective against exact expectations on the linear-Gaussian model."""

from __future__ import annotations

import pytest
import torch
from tests.helpers import cubature, linear, noise
from tests.objectives import by_hand
from torch.distributions import Independent, Normal, kl_divergence

from polymodal.fusion import MixtureOfExperts, ProductOfExperts
from polymodal.objectives import Coordinated

TRUTH = linear(2)
X, PRESENT = TRUTH.sample(12), TRUTH.present(12)


def normal(loc: torch.Tensor, scale: torch.Tensor) -> Independent:
    return Independent(Normal(loc, scale), 1)


@pytest.mark.parametrize("beta", [1.0, 0.3])
def test_loss_is_the_formula_with_exact_expectations(beta: float) -> None:
    # Draws at two points opposite each other (a cubature) would need 4 samples a row; the
    # objective takes one, so each point is given in turn and the losses are averaged.
    model = TRUTH.build(ProductOfExperts("never"), Coordinated(beta), expert="posterior")
    points = cubature(torch.Size([2])).reshape(4, 2)
    losses = []
    for point in points:
        with noise(lambda shape, point=point: point.expand(shape)), torch.no_grad():
            losses.append(model.loss(X, PRESENT, 0).loss)
    found = torch.stack(losses).mean(0)
    with torch.no_grad():
        q = model.posterior(X, PRESENT)
        experts = model.posterior.encode(X, PRESENT).experts
    standard = normal(torch.zeros(2).double(), torch.ones(2).double())
    joint = normal(q.loc[0], q.scale[0])
    to_prior = kl_divergence(joint, standard.expand((12,)))
    expected = -0.5 * (TRUTH.elbo(X, PRESENT, q.loc[0], q.scale[0]) + to_prior) + beta * to_prior
    for m, name in enumerate(TRUTH.names):
        one = normal(experts.loc[m], experts.scale[m])
        only = {name: PRESENT[name]}
        alone = TRUTH.elbo(X, only, experts.loc[m], experts.scale[m])
        fit = alone + kl_divergence(one, standard.expand((12,)))
        expected = expected + torch.where(
            PRESENT[name], beta * kl_divergence(joint, one) - 0.5 * fit, 0.0
        )
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-10)
    assert found[0] == 0  # the row with nothing


BETA = 0.7


def term_by_term(said: by_hand.Normals) -> torch.Tensor:
    """The loss with unequal weights and private latents, whose divergence counts once."""
    joint = said.product(by_hand.ON, prior=False)
    loss = BETA * by_hand.to_prior(joint) - 0.5 * by_hand.fit(by_hand.draw(joint), by_hand.ON)
    q = joint.base_dist
    shared = normal(q.loc[:, : by_hand.SHARED], q.scale[:, : by_hand.SHARED])
    for m, held in enumerate(by_hand.ALONE):
        loc, scale = (one[m][:, : by_hand.SHARED] for one in (said.loc, said.scale))
        z = by_hand.draw(said.whole(loc, scale, held))
        each = BETA * kl_divergence(shared, normal(loc, scale)) - 0.5 * by_hand.fit(z, held)
        loss = loss + torch.where(by_hand.ON[m], each, 0.0)
    return loss


def test_loss_is_the_formula_with_private_latents_and_weights_and_so_is_its_gradient() -> None:
    """The experts learn from the divergences as their second argument too."""
    model = by_hand.TRUTH.build(
        ProductOfExperts("never"),
        Coordinated(BETA),
        expert="posterior",
        inflate=1.4,
        weights=by_hand.WEIGHTS,
    )
    with noise(by_hand.eps):
        found = model.loss(by_hand.X, by_hand.PRESENT, 0).loss
    heads = by_hand.heads(1.4, "posterior")
    expected = term_by_term(by_hand.Normals(heads))
    torch.testing.assert_close(found, expected, rtol=1e-11, atol=1e-9)
    found.sum().backward()
    expected.sum().backward()
    for head, own in zip(model.posterior.heads, heads, strict=True):
        for name, parameter in own.named_parameters():
            assert parameter.grad.abs().max() > 0.1
            moved = head.get_parameter(name).grad
            torch.testing.assert_close(moved, parameter.grad, rtol=1e-10, atol=1e-9)


def test_one_modality_gives_the_elbo() -> None:
    only = {"b": torch.ones(12, dtype=torch.bool)}
    model = TRUTH.build(ProductOfExperts("never"), Coordinated(), expert="posterior")
    points = cubature(torch.Size([2])).reshape(4, 2)
    losses = []
    for point in points:
        with noise(lambda shape, point=point: point.expand(shape)), torch.no_grad():
            losses.append(-model.loss(X, only, 0).loss)
    evidence = TRUTH.log_evidence(X, only)  # the expert is the exact posterior
    torch.testing.assert_close(torch.stack(losses).mean(0), evidence, rtol=0, atol=1e-10)


def test_a_mixture_is_refused() -> None:
    model = TRUTH.build(MixtureOfExperts(), Coordinated())
    with pytest.raises(ValueError, match="one stratum"):
        model.loss(X, PRESENT, 0)
