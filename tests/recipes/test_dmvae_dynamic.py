"""The dynamic DMVAE: exact ELBOs, its classifier, and what it tells of the target."""

from __future__ import annotations

import pytest
import torch
from tests.helpers import IMAGE, TABLE, cubature, linear, noise, real_batch, real_modalities
from torch import Tensor
from torch.distributions import Normal

from polymodal.data.tensors import Tensors
from polymodal.fusion import ProductOfExperts
from polymodal.objectives import DynamicELBO
from polymodal.random import seeded
from polymodal.recipes import RECIPES
from polymodal.tasks import translate
from polymodal.testing import check_objective

TRUTH = linear(2)
X, PRESENT = TRUTH.sample(12), TRUTH.present(12)


def mean_loss(objective: DynamicELBO) -> Tensor:
    """The expectation of the loss over its one draw, by cubature."""
    model = TRUTH.build(ProductOfExperts(), objective, inflate=1.2)
    losses = []
    for point in cubature(torch.Size([2])).reshape(4, 2):
        with noise(lambda shape, point=point: point.expand(shape)), torch.no_grad():
            losses.append(model.loss(X, PRESENT, 0).loss)
    return torch.stack(losses).mean(0)


@pytest.mark.parametrize("target", [None, 1])
@pytest.mark.parametrize("alone", [(True, False, True), (False, False, False)])
def test_loss_is_the_sum_of_exact_elbos_and_the_classifier(
    alone: tuple[bool, ...], target: int | None
) -> None:
    found = mean_loss(DynamicELBO(alone, 1.0, target, supervision=2.5))
    model = TRUTH.build(ProductOfExperts(), DynamicELBO(alone), inflate=1.2)
    with torch.no_grad():
        q = model.posterior(X, PRESENT)
        total = TRUTH.elbo(X, PRESENT, q.loc[0], q.scale[0])
        for own, name in zip(alone, TRUTH.names, strict=True):
            only = {name: PRESENT[name]}
            q = model.posterior(X, only)
            elbo = TRUTH.elbo(X, only, q.loc[0], q.scale[0])
            total = total + torch.where(PRESENT[name], elbo, 0.0) * own
        if target is not None:
            name = TRUTH.names[target]
            others = {n: mask for n, mask in PRESENT.items() if n != name}
            loc = TRUTH.decoder(name)(model.posterior(X, others).mean)
            log_p = Normal(loc, TRUTH.modalities[name].noise).log_prob(X[name]).sum(-1)
            here = PRESENT[name] & torch.stack(list(others.values())).any(0)
            total = total + torch.where(here, 2.5 * log_p, 0.0)
    torch.testing.assert_close(-found, total, rtol=0, atol=1e-9)


@pytest.mark.parametrize(
    ("alone", "target", "batches"),
    [
        ((True, True, True), None, [2, 2, 2]),
        ((True, False, True), None, [2, 1, 2]),
        ((False, False, True), 1, [1, 2, 2]),
        ((False, False, True), 2, [1, 1, 3]),
    ],
)
def test_each_decoder_runs_once_on_no_more_than_is_asked(
    alone: tuple[bool, ...], target: int | None, batches: list[int]
) -> None:
    """The whole set, the modality alone if it has an ELBO of its own, the mean if classified."""
    model = TRUTH.build(ProductOfExperts(), DynamicELBO(alone, 1.0, target))
    seen: list[tuple[int, int]] = []
    for i, decoder in enumerate(model.decoders):
        decoder.register_forward_pre_hook(
            lambda _, given, i=i: seen.append((i, len(given[0]) // len(X["a"])))
        )
    model.loss(X, PRESENT, 0)
    assert sorted(seen) == list(enumerate(batches))


def test_alpha_weighs_every_divergence() -> None:
    one, half = (mean_loss(DynamicELBO((True, True, True), alpha)) for alpha in (1.0, 0.5))
    model = TRUTH.build(ProductOfExperts(), DynamicELBO((True, True, True)), inflate=1.2)
    parts = model.loss(X, PRESENT, 0).parts
    torch.testing.assert_close(one - half, 0.5 * (parts["kl"] + parts["kl alone"]))


@pytest.mark.parametrize("target", [TABLE, IMAGE])
def test_laws_hold_with_a_target(target: str) -> None:
    x, present = real_batch()
    with seeded(0):
        model = RECIPES["dmvae_dynamic"].build(real_modalities(), latent_dim=4, target=target)
    for _, law in check_objective(model, x, present):
        law()


def test_the_target_is_told_from_the_mean_and_never_read() -> None:
    x, present = real_batch()
    with seeded(0):
        model = RECIPES["dmvae_dynamic"].build(real_modalities(), latent_dim=4, target=TABLE)
    model.eval()
    others = {name: mask for name, mask in present.items() if name != TABLE}
    with torch.no_grad():
        mean = model.posterior(x, others).mean
        expected = model.likelihood(TABLE).point(model.decode(mean, (TABLE,))[TABLE].statistics)
    source = Tensors(x, present)
    assert torch.equal(translate(model, source, [TABLE])[TABLE][0], expected)
    # Not even where it is given.
    given = list(present)
    assert torch.equal(translate(model, source, [TABLE], given)[TABLE][0], expected)
    drawn = translate(model, source, [TABLE], draws=3)[TABLE]
    assert drawn.shape == (3, *expected.shape)


@pytest.mark.parametrize(
    "settings", [{"target": "label"}, {"alone": "a, b"}, {"supervision": -1.0}]
)
def test_settings_that_make_no_sense_are_errors(settings: dict) -> None:
    with pytest.raises(ValueError, match=r"must be|at least"):
        RECIPES["dmvae_dynamic"].build(real_modalities(), latent_dim=4, **settings)
