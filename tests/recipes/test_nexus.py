"""Nexus: its loss term by term, levels that do not disturb each other, and its evidence."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import pytest
import torch
from tests.helpers import linear, real_batch, real_modalities
from torch import Tensor, nn
from torch.distributions import Independent, MultivariateNormal, Normal, kl_divergence

from polymodal.data.tensors import Tensors
from polymodal.likelihoods import GaussianLikelihood
from polymodal.model import Modality
from polymodal.models.nexus import NexusModel
from polymodal.networks import MLPDecoder, MLPEncoder
from polymodal.random import seeded
from polymodal.tasks.log_likelihood import Kind, Names, log_likelihood
from polymodal.typing import Batch


def model(**settings: float) -> NexusModel:
    with seeded(0):
        return NexusModel(real_modalities(), 3, 4, message_dim=5, hidden=6, **settings)


def normal(loc: torch.Tensor, scale: torch.Tensor) -> Independent:
    return Independent(Normal(loc, scale), 1)


def test_the_loss_is_the_formula_term_by_term() -> None:
    """Row after row and modality after modality, with the very draws of the loss."""
    net = model(dropout=0.0, gamma=0.7, beta=0.3, nexus_beta=0.6).eval()
    x, present = real_batch()
    with seeded(4):
        terms = net.loss(x, present, 0)
    with seeded(4):
        noise = torch.randn(4, 6, 4)
        for shape in ((4, 6), (6,), (6,)):
            torch.rand(shape)  # what dropout would have withheld
        upper = torch.randn(6, 3)
    standard = normal(torch.zeros(6, 4), torch.ones(6, 4))
    total, messages, vectors, heard = torch.zeros(6), torch.zeros(6, 5), [], torch.zeros(6)
    for i, name in enumerate(net.names):
        mask = present[name] if present[name].ndim == 1 else present[name].any(1)
        filled = torch.where(
            present[name].reshape(
                *present[name].shape, *(1,) * (x[name].ndim - present[name].ndim)
            ),
            x[name],
            0,
        )
        cells = (present[name],) if present[name].ndim == 2 else ()
        q = net.heads[i](net.encoders[i](filled, *cells))
        z = q.loc + q.scale * noise[i]
        p = net.likelihood(name)(net.decoders[i](z))
        log_p = p.log_prob(filled, present[name])
        cost = 0.3 * kl_divergence(normal(q.loc, q.scale), standard) - net.weights[name] * log_p
        total = total + torch.where(mask, cost, 0.0)
        messages = messages + torch.where(mask[:, None], net.senders[i](z), 0.0)
        heard = heard + mask
        vectors.append((mask, z))
    eta = net.nexus_head(net.nexus_body(messages / heard.clamp(min=1)[:, None]))
    loc = torch.where(heard[:, None] > 0, eta.loc, 0.0)
    scale = torch.where(heard[:, None] > 0, eta.scale, 1.0)
    drawn = loc + scale * upper
    for i, (mask, z) in enumerate(vectors):
        gap = -normal(net.sayers[i](drawn), torch.ones(6, 4)).log_prob(z)
        gap = gap - 2 * torch.log(torch.tensor(2 * torch.pi))  # the density's own constant
        total = total + torch.where(mask, 0.7 * gap, 0.0)
    prior = normal(torch.zeros(6, 3), torch.ones(6, 3))
    total = total + 0.6 * kl_divergence(normal(loc, scale), prior)
    torch.testing.assert_close(terms.loss, total, rtol=1e-5, atol=1e-4)


def test_the_lower_level_never_sees_the_upper_loss() -> None:
    net = model()
    x, present = real_batch()
    with seeded(1):
        net.loss(x, present, 0).loss.sum().backward()
    lower = gradients(net)
    net.zero_grad()
    net.gamma = 50.0
    net.nexus_beta = 9.0
    with seeded(1):
        net.loss(x, present, 0).loss.sum().backward()
    again = gradients(net)
    for name, gradient in lower.items():
        assert torch.equal(again[name], gradient), name


def gradients(net: NexusModel) -> dict[str, torch.Tensor]:
    """Those of encoders, heads and decoders."""
    found = {n: p.grad for n, p in net.named_parameters() if n.startswith(("enc", "head", "dec"))}
    return {name: gradient.clone() for name, gradient in found.items() if gradient is not None}


def test_dropout_withholds_some_and_never_all_messages() -> None:
    net = model(dropout=1.0)
    on = torch.ones(4, 30_000, dtype=torch.bool)
    on[0, ::2] = False
    with seeded(0):
        kept = net._withheld(on)
    assert not (kept & ~on).any()
    count = kept.sum(0)
    # 1 .. M - 1 messages, each number as often: of four 1 to 3, of three 1 or 2.
    for have, most in ((4, 3), (3, 2)):
        seen = count[on.sum(0) == have]
        share = torch.bincount(seen, minlength=5)[1 : most + 1] / len(seen)
        assert share.sum() == pytest.approx(1.0)
        assert (share - 1 / most).abs().max() < 4 * (0.25 / len(seen)) ** 0.5
    none = torch.zeros(4, 3, dtype=torch.bool)
    assert not net._withheld(none).any()


class Linear:
    """Linear g_m and decoders make the density of any modalities a normal one that is known."""

    def __init__(self) -> None:
        self.truth = truth = linear()
        modalities = [
            Modality(
                name,
                MLPEncoder(len(m.offset), (8,)),
                partial(MLPDecoder, output_shape=(len(m.offset),), hidden=(8,)),
                GaussianLikelihood(len(m.offset), m.noise),
            )
            for name, m in truth.modalities.items()
        ]
        with seeded(0):
            self.net = NexusModel(modalities, 2, 2, message_dim=3, hidden=4).double().eval()
            self.sayers = [nn.Linear(2, 2, dtype=torch.float64) for _ in modalities]
            self.decoders = [truth.decoder(name) for name in truth.names]
            self.net.sayers = nn.ModuleList(self.sayers)
            self.net.decoders = nn.ModuleList(self.decoders)
        with torch.no_grad():  # proposals from the prior: wide enough for every row
            self.net.nexus_head.linear.weight.zero_()
            self.net.nexus_head.linear.bias.copy_(torch.tensor([0.0, 0.0, 0.5413, 0.5413]))

    def exact(self, x: Batch, row: int, names: Sequence[str]) -> Tensor:
        """log p of some modalities of a row."""
        means, factors, noise = [], [], []
        for name, g, d in zip(self.truth.names, self.sayers, self.decoders, strict=True):
            if name in names:
                means.append(x[name][row] - d(g.bias))
                factors.append(d.weight @ g.weight)
                noise += [self.truth.modalities[name].noise ** 2] * len(d.bias)
        factor = torch.cat(factors)
        covariance = factor @ factor.T + torch.diag(torch.tensor(noise, dtype=torch.float64))
        density = MultivariateNormal(torch.zeros(len(noise)).double(), covariance)
        return density.log_prob(torch.cat(means)).detach()


def test_the_evidence_of_linear_levels_is_exact() -> None:
    model = Linear()
    x, present = model.truth.sample(6), model.truth.present(6)
    found = log_likelihood(model.net, Tensors(x, present), samples=20_000).log_p
    for row in range(1, 6):
        names = [name for name in model.truth.names if present[name][row]]
        if names:
            exact = model.exact(x, row, names)
            torch.testing.assert_close(found[row], exact, rtol=0.0, atol=0.05)


@pytest.mark.parametrize(
    ("kind", "given", "less"),
    [
        ("marginal", None, ()),
        ("marginal", ("b",), ()),
        ("conditional", ("b",), ("b",)),
        # from the prior whatever is given, as the proposals are here
        ("predictive", ("b",), ()),
    ],
)
def test_parts_of_linear_levels_are_exact(kind: Kind, given: Names | None, less: Names) -> None:
    model = Linear()
    x = model.truth.sample(5)
    rows = Tensors(x, model.truth.present(5, 0.0))
    said = log_likelihood(model.net, rows, samples=20_000, kind=kind, of=("a",), given=given)
    full = range(1, 5)  # the first row has nothing
    exact = torch.stack([model.exact(x, row, ("a", *less)) for row in full])
    if less:
        exact = exact - torch.stack([model.exact(x, row, less) for row in full])
    torch.testing.assert_close(said.log_p[1:], exact, rtol=0.0, atol=0.06)
    assert bool((said.ess > 0.01).all())


@pytest.mark.parametrize("settings", [{"dropout": 1.5}, {"gamma": 0.0}, {"hidden": 0}])
def test_settings_that_make_no_sense_are_errors(settings: dict) -> None:
    with pytest.raises(ValueError, match=r"must be|at least"):
        NexusModel(real_modalities(), 3, 4, **settings)
