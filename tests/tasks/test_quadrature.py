"""The estimators of likelihoods against quadrature, for posteriors and priors of every type."""

from __future__ import annotations

import pytest
import torch
from tests.recipes.test_mmvaeplus import AsItIs
from torch import Tensor, nn

from polymodal.data.tensors import Tensors
from polymodal.distributions.blocks import Blocks
from polymodal.distributions.chain import Chain
from polymodal.distributions.dependent import DependentBlocks
from polymodal.distributions.strata import Strata
from polymodal.likelihoods import GaussianLikelihood
from polymodal.model import Modality, MultimodalVAE, presence
from polymodal.models.ex_post import ExPostVAE
from polymodal.posteriors.heads import ExpertHead
from polymodal.posteriors.hierarchical import LevelExpert
from polymodal.random import seeded
from polymodal.recipes import RECIPES
from polymodal.tasks import log_likelihood

SIZES = {"a": 1, "b": 2, "c": 1}
SAMPLES = 4000
GRID = torch.linspace(-9, 9, 145, dtype=torch.float64)
ASKED = {
    "joint": {},
    "marginal, own": {"of": ("a", "b")},
    "marginal, other": {"of": ("a", "b"), "given": ("c",), "kind": "marginal"},
    "conditional": {"of": ("a", "b"), "given": ("c",)},
    "conditional, one set": {"of": ("a", "b"), "given": ("c",), "one_set": True},
    "predictive": {"of": ("a", "b"), "given": ("c",), "kind": "predictive"},
}
CASES = [
    ("mhvae", {"latent_dim": 2}),
    ("jmvae", {}),
    ("jmvae", {"private_dim": 1}),
    ("hirt", {}),
    ("hirt", {"private_dim": 1, "prior": "mixture", "components": 3}),
    ("mmvae", {}),
    ("mmvaeplus", {"private_dim": 1}),
    ("mmvaeplus", {"private_dim": 1, "family": "laplace"}),
    ("cmvae", {"private_dim": 1, "clusters": 3}),
    ("cmvae", {"private_dim": 1, "clusters": 3, "family": "laplace", "learn_scales": True}),
    ("meme", {"pseudo_inputs": 3}),
    ("polymodal", {"private_dim": 1, "components": 3, "exemplars": 12}),
    ("polymodal", {"private_dim": 1, "components": 0, "exemplars": 12}),
    ("polymodal", {"private_dim": 1, "components": 3, "exemplars": 0}),
]


def built(recipe: str, settings: dict) -> MultimodalVAE:
    """Linear decoders of noisy cells, and posteriors that are wrong but wide."""
    modalities = [
        Modality(name, AsItIs(n), lambda dim, n=n: nn.Linear(dim, n), GaussianLikelihood(n, 1.5))
        for name, n in SIZES.items()
    ]
    with seeded(0):
        model = RECIPES[recipe].build(modalities, **{"latent_dim": 1, **settings})
        assert isinstance(model, MultimodalVAE)
    with torch.no_grad():
        for part in model.posterior.modules():
            if isinstance(part, ExpertHead | LevelExpert):
                line = part.linear if isinstance(part, ExpertHead) else part.head.linear
                line.weight.mul_(0.1)
                # Levels are multiplied with each other and the prior: single ones must be wide.
                line.bias.chunk(2)[1].fill_(1.0 if isinstance(part, ExpertHead) else 3.0)
        for decoder in model.decoders:
            decoder.weight.mul_(0.7)
    model = model.double().eval()
    if isinstance(model, ExPostVAE):
        generator = torch.Generator().manual_seed(2)
        x = {n: 2 * torch.randn(80, s, generator=generator).double() for n, s in SIZES.items()}
        here = {name: torch.ones(80, dtype=torch.bool) for name in SIZES}
        with seeded(0):
            model.end_with([(x, here)], 1)
    return model


def rows() -> Tensors:
    generator = torch.Generator().manual_seed(1)
    x = {n: 1.5 * torch.randn(6, s, generator=generator).double() for n, s in SIZES.items()}
    present = {name: torch.ones(6, dtype=torch.bool) for name in SIZES}
    for i, name in enumerate(SIZES):  # row 0 has nothing, rows 2 to 4 lack one
        present[name][0] = present[name][2 + i] = False
    return Tensors(x, present)


def points_of(dim: int) -> Tensor:
    """The grid in ``dim`` dimensions, ``(P, dim)``."""
    if dim == 0:
        return GRID.new_zeros(1, 0)
    return torch.cartesian_prod(*[GRID] * dim).reshape(-1, dim)


@torch.no_grad()
def given_shared(model: MultimodalVAE, some: Tensors) -> Tensor:
    """log p(x | z) with private latents integrated out, ``(P, B)``, z on the grid.

    One modality after the other reads z and its own block alone.
    """
    layout = model.layout
    shared = points_of(layout.shared)
    total = shared.new_zeros(len(shared), len(some))
    for name in some.names:
        own, at = points_of(layout.private[name]), layout._starts[name]
        z = shared.new_zeros(len(shared), len(own), 1, layout.dim)
        z[..., : layout.shared] = shared[:, None, None]
        z[..., at : at + own.shape[1]] = own[None, :, None]
        log_p = model.log_likelihoods(
            z.expand(-1, -1, len(some), -1), some.x, some.present, (name,)
        )[name]  # (P, W, B)
        log_prior = model.prior().log_prob(z[:, :, 0]).log_softmax(1)
        total = total + torch.logsumexp(log_p + log_prior[..., None], 1)
    return total


@torch.no_grad()
def shared_prior(model: MultimodalVAE) -> Tensor:
    """The logs of the prior's weights of the shared grid, ``(P,)``."""
    shared, prior = points_of(model.layout.shared), model.prior()
    if isinstance(prior, Blocks | DependentBlocks):
        return prior.shared.log_prob(shared).log_softmax(0)
    z = shared.new_zeros(len(shared), model.layout.dim)
    z[:, : model.layout.shared] = shared
    return prior.log_prob(z).log_softmax(0)


@torch.no_grad()
def evidence(model: MultimodalVAE, some: Tensors) -> Tensor:
    """log p(x), ``(B,)``."""
    return torch.logsumexp(given_shared(model, some) + shared_prior(model)[:, None], 0)


@torch.no_grad()
def predictive(model: MultimodalVAE, whole: Tensors, of: tuple, given: tuple) -> Tensor:
    """The log of the mean of p(of | z) over q(z | given); private latents are the prior's.

    Where nothing is given it is over the prior.
    """
    part, layout = whole.select(given), model.layout
    q = model.posterior(part.x, part.present)
    shared = points_of(layout.shared)
    if layout.private_dim:
        assert isinstance(q, Strata)
        end = layout.shared
        q = Strata(q.loc[..., :end], q.scale[..., :end], q.log_weights, q.family)
    log_q = q.log_prob(shared[:, None].expand(-1, len(whole), -1)).log_softmax(0)
    nothing = ~presence(model, part.present).any(0)
    log_q = torch.where(nothing, shared_prior(model)[:, None], log_q)
    return torch.logsumexp(given_shared(model, whole.select(of)) + log_q, 0)


@pytest.mark.parametrize(("recipe", "settings"), CASES, ids=str)
def test_every_estimator_converges(recipe: str, settings: dict) -> None:
    model, whole = built(recipe, settings), rows()
    if recipe == "mhvae":
        assert isinstance(model.posterior(whole.x, whole.present), Chain)
    for asked, question in ASKED.items():
        found = log_likelihood(model, whole, samples=SAMPLES, seed=3, **question)
        of, given = question.get("of", tuple(SIZES)), question.get("given", ())
        if asked == "predictive":
            wanted = predictive(model, whole, of, given)
        else:
            wanted = evidence(model, whole.select(of))
            if "conditional" in asked:
                both = evidence(model, whole.select((*of, *given)))
                wanted = both - evidence(model, whole.select(given))
        error = ((1 / found.ess - 1).clamp(min=0) / SAMPLES).sqrt()
        gap = (found.log_p - wanted).abs()
        assert bool((found.ess > 0.03).all()), asked
        assert bool((gap <= 5 * (1 + (found.kind == "conditional")) * error + 2e-3).all()), asked
        assert float(gap.mean()) < 0.03, asked
