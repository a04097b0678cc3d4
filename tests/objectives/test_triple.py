"""The triple ELBO: exact sums of ELBOs, and decoders that learn from the joint one alone."""

from __future__ import annotations

import copy

import pytest
import torch
from tests.helpers import cubature, linear, noise, real_batch, real_modalities
from tests.objectives import by_hand
from tests.objectives.test_truth import joint_model

from polymodal.fusion import ProductOfExperts
from polymodal.objectives import TripleELBO
from polymodal.objectives.subsampled import draw_proper_subsets
from polymodal.objectives.triple import HeldAfterFirst, seen_in_part
from polymodal.random import seeded
from polymodal.recipes import RECIPES

TRUTH = linear(2)
X, PRESENT = TRUTH.sample(12), TRUTH.present(12)


@pytest.mark.parametrize("average", [False, True])
def test_loss_is_the_sum_of_exact_elbos(average: bool) -> None:
    model = joint_model(TripleELBO(gamma=0.5, average=average, subsets=0))
    losses = []
    # One draw a row is taken: each point of the cubature is given in turn.
    for point in cubature(torch.Size([2])).reshape(4, 2):
        with noise(lambda shape, point=point: point.expand(shape)), torch.no_grad():
            losses.append(model.loss(X, PRESENT, 0).loss)
    with torch.no_grad():
        q = model.posterior(X, PRESENT)
        encoded = model.posterior.encode(X, PRESENT)
    total = TRUTH.elbo(X, PRESENT, q.loc[0], q.scale[0])
    several = encoded.on.sum(0) > 1
    for m, name in enumerate(TRUTH.names):
        only, experts = {name: PRESENT[name]}, encoded.experts
        alone = TRUTH.elbo(X, only, experts.loc[m], experts.scale[m])
        total = total + torch.where(several & PRESENT[name], 0.5 * alone, 0.0)
    if average:
        total = total / torch.where(several, 1 + encoded.on.sum(0), 1)
    torch.testing.assert_close(-torch.stack(losses).mean(0), total, rtol=0, atol=1e-10)


@pytest.mark.parametrize("seed", range(3))
def test_by_default_a_random_set_has_an_elbo_of_its_own_too(seed: int) -> None:
    """Term by term: own_weight weighs the likelihoods of further sets, not their divergences."""
    beta, gamma, own_weight = 0.7, 0.6, 3.0
    objective = TripleELBO(beta, gamma, own_weight)
    model = by_hand.TRUTH.build(
        ProductOfExperts("always"), objective, inflate=1.4, weights=by_hand.WEIGHTS
    )
    with noise(by_hand.eps), torch.no_grad():
        with seeded(seed):
            loss = model.loss(by_hand.X, by_hand.PRESENT, 0).loss
        with seeded(seed):
            drawn = draw_proper_subsets(by_hand.ON, 1)[:, 0]
        said = by_hand.Normals(by_hand.heads(1.4))
        joint = said.product(by_hand.ON, prior=True)
        z = by_hand.draw(joint)
        expected = beta * by_hand.to_prior(joint) - by_hand.fit(z, by_hand.ON)
        for held in (*by_hand.ALONE, drawn):
            q = said.product(held, prior=True)
            fit = own_weight * by_hand.fit(by_hand.draw(q), held)
            further = gamma * (beta * by_hand.to_prior(q) - fit)
            counts = held.any(0) & (held != by_hand.ON).any(0)
            expected = expected + torch.where(counts, further, 0.0)
    torch.testing.assert_close(loss, expected, rtol=1e-11, atol=1e-9)
    # Some sets that were drawn are new, and some are all that the row has.
    everything = by_hand.ON.all(0)
    assert bool((drawn.sum(0) == 2)[everything].any())
    assert bool((drawn == by_hand.ON).all(0)[everything].any())


def gradients(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}


def test_decoders_learn_from_the_joint_elbo_alone() -> None:
    """Against the two losses written apart, each with a run of the decoders of its own."""
    x, present = real_batch()
    with seeded(0):
        model = RECIPES["telbo"].build(real_modalities(), latent_dim=4, hide=0.0).eval()
    found = {}
    for gamma in (0.0, 1.0, 2.0):
        one = copy.deepcopy(model)
        one.objective.gamma = gamma
        with seeded(1):
            one.loss(x, present, 0).loss.sum().backward()
        found[gamma] = gradients(one)
    encoders_moved = 0
    for name, gradient in found[1.0].items():
        if name.startswith(("decoders", "likelihoods")):
            torch.testing.assert_close(gradient, found[0.0][name], rtol=1e-5, atol=1e-6)
        else:
            # The encoders' gradient is the joint one and gamma times that of frozen decoders.
            expected = (found[0.0][name] + found[2.0][name]) / 2
            torch.testing.assert_close(gradient, expected, rtol=1e-4, atol=1e-4)
            encoders_moved += int(not torch.equal(gradient, found[0.0][name]))
    assert encoders_moved > 10


def test_draws_after_the_first_reach_no_decoder_and_score_as_ever() -> None:
    x, present = real_batch()
    with seeded(0):
        model = RECIPES["telbo"].build(real_modalities(), latent_dim=4).eval()
    z = torch.randn(len(model.names), 3, len(next(iter(present.values()))), 4)
    whole, parts = z.clone().requires_grad_(), z.clone().requires_grad_()
    plain = model.log_likelihoods(whole, x, present, each=True).together
    held = HeldAfterFirst(model).log_likelihoods(parts, x, present).together
    torch.testing.assert_close(held, plain)
    for scores, of in ((plain, whole), (held, parts)):
        scores.sum().backward()
        assert of.grad is not None
    torch.testing.assert_close(parts.grad, whole.grad)
    model.zero_grad()
    HeldAfterFirst(model).log_likelihoods(z, x, present).together[:, 1:].sum().backward()
    assert not any(g.any() for g in gradients(model).values())
    with torch.no_grad():
        assert not HeldAfterFirst(model).log_likelihoods(z, x, present).together.requires_grad


def test_cells_are_hidden_in_training_only_and_never_added() -> None:
    present = {"t": torch.rand(4000, 4) < 0.8, "v": torch.ones(4000, 3, dtype=torch.bool)}
    with seeded(2):
        seen = seen_in_part(present, {"t": 4, "elsewhere": 3}, 0.5)
    assert torch.equal(seen["v"], present["v"])
    assert bool((seen["t"] <= present["t"]).all())
    # Half the rows are whole; the others keep half of their cells on average.
    kept = seen["t"].sum() / present["t"].sum()
    assert abs(float(kept) - 0.75) < 0.02
    x, masks = real_batch()
    with seeded(0):
        model = RECIPES["telbo"].build(real_modalities(), latent_dim=4, hide=1.0)
        plain = copy.deepcopy(model)
    plain.objective.hide = 0.0
    for mode in (False, True):
        losses = []
        for one in (model, plain):
            with seeded(3):
                losses.append(one.train(mode).loss(x, masks, 0).loss)
        assert torch.equal(*losses) is not mode


@pytest.mark.parametrize(
    "settings", [{"gamma": -1.0}, {"own_weight": 0.0}, {"subsets": -1}, {"hide": 1.5}]
)
def test_settings_that_make_no_sense_are_errors(settings: dict) -> None:
    with pytest.raises(ValueError, match=r"must be|at least"):
        TripleELBO(**settings)
