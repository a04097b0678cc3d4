"""Equal networks run as one say what they say one after the other."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import partial
from unittest import mock

import pytest
import torch
from torch import Tensor, nn

from polymodal.likelihoods import GaussianLikelihood, LaplaceLikelihood, Likelihood
from polymodal.model import Modality, MultimodalVAE
from polymodal.networks import MLPDecoder, MLPEncoder
from polymodal.networks import side_by_side as module
from polymodal.networks.side_by_side import SideBySide, signature_of
from polymodal.random import seeded
from polymodal.recipes import RECIPES

NAMES = ("a", "b", "type")
# A larger weight of jmvae's alignment makes all of its gradients, and their rounding, larger.
SETTINGS: dict[str, dict] = {"jmvae": {"gamma": 1.0}}
FEW = ("mvtcae", "mopoe", "jmvae", "mvae", "mmvae")
SCORED: list[Callable[[], Likelihood]] = [
    partial(GaussianLikelihood, (6,), scale=1.0),
    partial(GaussianLikelihood, (6,)),
    partial(LaplaceLikelihood, (6,), scale="feature"),
    partial(LaplaceLikelihood, (6,), scale="output"),
    partial(GaussianLikelihood, (2, 3)),
]


def networks(**settings: object) -> nn.ModuleList:
    with seeded(0):
        made = [MLPEncoder(6, (8, 8), 3, **settings) for _ in NAMES]
    for network in made:
        for layer in network:
            if isinstance(layer, nn.LayerNorm):
                nn.init.normal_(layer.weight)
                nn.init.normal_(layer.bias)
    return nn.ModuleList(made)


def gradients(model: nn.Module, loss: Tensor) -> dict[str, Tensor]:
    model.zero_grad()
    loss.backward()
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize(
    "settings",
    [{}, {"norm": True, "activation": "relu"}, {"activation": "leaky_relu"}, {"dropout": 0.5}],
)
def test_equal_networks_in_one_call_equal_one_call_each(settings: dict[str, object]) -> None:
    every = networks(**settings).eval()
    x = torch.randn(3, 5, 6)
    answers = SideBySide(every)(x.unbind(0))
    assert answers.together is not None
    assert torch.equal(answers.together, torch.stack(answers.each))
    expected = torch.stack([network(one) for network, one in zip(every, x, strict=True)])
    torch.testing.assert_close(answers.together, expected)
    weight = torch.randn_like(expected)
    one, other = (gradients(every, (y * weight).sum()) for y in (answers.together, expected))
    assert one.keys() == other.keys()
    for name, gradient in one.items():
        torch.testing.assert_close(gradient, other[name])
        # What the optimiser gets is laid out as the weight is: nothing is copied.
        assert gradient.is_contiguous()


def test_only_those_that_are_asked_run() -> None:
    every = networks()
    x = torch.randn(5, 6)
    answers = SideBySide(every)([x, None, x])
    assert answers.together is None
    assert answers.each[1] is None
    torch.testing.assert_close(answers.each[2], every[2](x))
    (answers.each[0].sum() + answers.each[2].sum()).backward()
    assert all(p.grad is None for p in every[1].parameters())


def test_dropout_drops_in_training_only() -> None:
    every = networks(dropout=0.5)
    run, x = SideBySide(every), torch.randn(5, 6)
    one, other = run([x] * 3), run([x] * 3)
    assert not torch.equal(one.together, other.together)


def test_what_differs_runs_alone() -> None:
    class Own(nn.Sequential):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x) + 1

    layers = [nn.Linear(6, 3)]
    assert signature_of(nn.Sequential(*layers)) == signature_of(nn.Sequential(nn.Linear(6, 3)))
    assert signature_of(nn.Sequential(*layers)) != signature_of(nn.Sequential(nn.Linear(6, 4)))
    assert signature_of(Own(*layers)) is None
    assert signature_of(nn.Sequential(*layers, nn.Tanh())) is None
    assert signature_of(nn.Linear(400, 400)) is None
    assert signature_of(nn.Sequential(nn.BatchNorm1d(6))) is None
    x = torch.randn(5, 6)
    every = nn.ModuleList([Own(*layers), Own(*layers), nn.Linear(6, 3)])
    answers = SideBySide(every)([x, x, x])
    assert answers.together is None
    assert torch.equal(answers.each[0], layers[0](x) + 1)


def test_hooks_see_every_call_and_replaced_layers_are_seen() -> None:
    every, x = networks(), torch.randn(5, 6)
    run = SideBySide(every)
    assert run([x] * 3).together is not None
    seen = []
    handle = every[1][0].register_forward_hook(lambda *_: seen.append(1))
    assert run([x] * 3).together is None
    assert seen == [1]
    handle.remove()
    assert run([x] * 3).together is not None
    every[0][-1] = nn.Linear(8, 3)
    torch.testing.assert_close(run([x] * 3).each[0], every[0](x))
    every[0] = nn.Linear(6, 3)
    torch.testing.assert_close(run([x] * 3).each[0], every[0](x))


def model_of(name: str, likelihood: Callable[[], Likelihood]) -> MultimodalVAE:
    shape = likelihood().value_shape
    with seeded(0):
        modalities = [
            Modality(
                n,
                MLPEncoder(shape, (8,)),
                partial(MLPDecoder, output_shape=likelihood().parameter_shape, hidden=(8,)),
                likelihood(),
                weight,
            )
            for n, weight in zip(NAMES, (1.0, 2.0, 1.0), strict=True)
        ]
        model = RECIPES[name].build(modalities, latent_dim=4, **SETTINGS.get(name, {}))
        for parameter in model.parameters():
            parameter.data += 0.1 * torch.randn_like(parameter)
    assert isinstance(model, MultimodalVAE)
    return model


@pytest.mark.parametrize("complete", [True, False])
@pytest.mark.parametrize("name", FEW)
@pytest.mark.parametrize("likelihood", SCORED, ids=range(len(SCORED)))
def test_losses_and_gradients_are_those_of_one_call_each(
    name: str, likelihood: Callable[[], Likelihood], complete: bool
) -> None:
    model = model_of(name, likelihood)
    generator = torch.Generator().manual_seed(0)
    x = {n: torch.randn(7, *model.likelihood(n).value_shape, generator=generator) for n in NAMES}
    present = {n: torch.rand(7, generator=generator) < (2 if complete else 0.7) for n in NAMES}

    def terms() -> dict[str, Tensor]:
        with seeded(1):
            found = model.loss(x, present, 0)
        return {"loss": found.loss, **found.parts, **gradients(model, found.loss.sum())}

    with mock.patch.object(module, "MOST_ROWS", 0):
        expected = terms()
    with mock.patch.object(module, "_run", wraps=module._run) as ran:
        found = terms()
    assert ran.call_count >= 3  # encoders, heads and decoders
    assert found.keys() == expected.keys()
    for key, value in expected.items():
        torch.testing.assert_close(found[key], value, rtol=2e-4, atol=2e-5)


def test_a_copy_runs_its_own_networks() -> None:
    model = model_of("mvae", SCORED[0])
    other = copy.deepcopy(model)
    z = torch.randn(3, 4)
    with torch.no_grad():
        for parameter in other.decoders.parameters():
            parameter.zero_()
    assert bool(model.decode(z, NAMES)["a"].mode.any())
    assert not bool(other.decode(z, NAMES)["a"].mode.any())


@pytest.mark.parametrize("likelihood", SCORED, ids=range(len(SCORED)))
def test_scores_of_cells_and_of_a_widened_scale(likelihood: Callable[[], Likelihood]) -> None:
    """Together and apart, in evaluation and with single cells missing."""
    model = model_of("mopoe", likelihood).eval()
    for one in model.likelihoods:
        if one.learned is not None:
            one.learned.widening.uniform_(1, 2)
    shape = likelihood().value_shape
    z = torch.randn(4, 7, 4)
    x = {n: torch.randn(7, *shape) for n in NAMES}
    masks = [{n: torch.rand(7) < 0.5 for n in NAMES}]
    if len(shape) == 1:
        masks.append({n: torch.rand(7, *shape) < 0.5 for n in NAMES})
    for present in masks:
        found = model.log_likelihoods(z, x, present)
        assert list(found) == list(NAMES)
        for n in reversed(NAMES):
            alone = model.log_likelihoods(z, x, {n: present[n]})
            assert found[n].shape == (4, 7)
            torch.testing.assert_close(found[n], alone[n])
        turned = model.log_likelihoods(z, x, present, NAMES[::-1])
        for n in NAMES:
            torch.testing.assert_close(turned[n], found[n])
    own = model.log_likelihoods(z[:3].unsqueeze(1), x, masks[0], each=True)
    for i, n in enumerate(NAMES):
        alone = model.log_likelihoods(z[i], x, masks[0], [n])[n]
        torch.testing.assert_close(own[n][0], alone)
