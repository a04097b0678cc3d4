"""MMVM's divergences against their definitions, and who speaks for an absent modality."""

from __future__ import annotations

import pytest
import torch
from tests.helpers import noise, real_batch, real_modalities
from torch.distributions import Independent, Normal, kl_divergence

from polymodal.fusion import Experts, MixtureOfExperts
from polymodal.latent import LatentLayout
from polymodal.model import row_log_prob
from polymodal.networks.side_by_side import Answers
from polymodal.objectives.experts_prior import mixture_kl, pairwise_kl
from polymodal.posteriors.fused import Encoded
from polymodal.posteriors.separate import SeparatePosterior
from polymodal.random import seeded
from polymodal.recipes import RECIPES


def experts(n: int = 3, rows: int = 5, dim: int = 1) -> Experts:
    generator = torch.Generator().manual_seed(1)
    shape = (n, rows, dim)
    on = torch.rand(n, rows, generator=generator) < 0.7
    on[:, 0], on[:, 1] = True, torch.arange(n) == 1
    return Experts(
        torch.randn(shape, generator=generator).double(),
        torch.rand(shape, generator=generator).double() + 0.3,
        on,
    )


def posterior(n: int = 3, dim: int = 1) -> SeparatePosterior:
    names = [str(i) for i in range(n)]
    layout = LatentLayout(dim, dict.fromkeys(names, 0))
    empty = [torch.nn.Identity() for _ in names]
    return SeparatePosterior(names, empty, empty, MixtureOfExperts(), layout)


def components(given: Experts) -> list[list[Independent]]:
    """Row -> the normals of the modalities that it has."""
    return [
        [
            Independent(Normal(given.loc[m, b], given.scale[m, b]), 1)
            for m in range(len(given.on))
            if given.on[m, b]
        ]
        for b in range(given.on.shape[1])
    ]


def test_the_convex_bound_is_the_sum_of_closed_forms() -> None:
    given = experts(dim=2)
    expected = [
        sum((kl_divergence(p, q) for p in some for q in some), torch.zeros(()).double())
        / max(1, len(some))
        for some in components(given)
    ]
    torch.testing.assert_close(pairwise_kl(given), torch.stack(expected))


def test_the_mixture_is_the_jensen_shannon_divergence() -> None:
    """The estimate's expectation under every q_m, by quadrature, and the definition's."""
    given, grid = experts(), torch.linspace(-12, 12, 4001, dtype=torch.float64)
    width, points = float(grid[1] - grid[0]), len(grid)
    loc, scale = (part.repeat_interleave(points, 1) for part in (given.loc, given.scale))
    spread = Experts(loc, scale, given.on.repeat_interleave(points, 1))
    # The estimate is a sum of functions of one draw each: move one draw, leave the others at 0.
    at_zero = mixture_kl(posterior(), given, torch.zeros_like(given.loc))
    found = -(given.on.sum(0) - 1) * at_zero
    for m in range(len(given.on)):
        own = torch.zeros_like(spread.loc)
        own[m, :, 0] = grid.repeat(given.on.shape[1])
        moved = mixture_kl(posterior(), spread, own).reshape(-1, points)
        density = Normal(given.loc[m], given.scale[m]).log_prob(grid).exp()
        found = found + torch.where(given.on[m], (density * moved).sum(1) * width, 0.0)
    for b, some in enumerate(components(given)):
        each = torch.stack([p.log_prob(grid[:, None]).exp() for p in some])
        ratio = torch.where(each > 0, each * (each / each.mean(0)).log(), 0.0)
        torch.testing.assert_close(found[b], ratio.sum() * width, rtol=1e-6, atol=1e-8)
    assert bool((found <= pairwise_kl(given) + 1e-9).all())


def test_equal_experts_are_no_distance_apart() -> None:
    given = experts()
    same = Experts(given.loc[:1].expand(3, -1, -1), given.scale[:1].expand(3, -1, -1), given.on)
    zero = torch.zeros(given.on.shape[1], dtype=torch.float64)
    torch.testing.assert_close(pairwise_kl(same), zero)
    own = torch.randn(3, 5, 1, dtype=torch.float64)
    torch.testing.assert_close(mixture_kl(posterior(), same, own), zero)


@pytest.mark.parametrize("divergence", ["convex", "mixture"])
@pytest.mark.parametrize(("step", "share"), [(0, 1.0), (4, 0.6), (10, 0.0), (25, 0.0)])
def test_the_loss_is_the_papers_term_by_term(divergence: str, step: int, share: float) -> None:
    """Of every row: its reconstructions, and both divergences by the definition."""
    x, present = real_batch()
    with seeded(0):
        model = (
            RECIPES["mmvm"]
            .build(
                real_modalities(), latent_dim=2, beta=0.7, divergence=divergence, anneal_steps=10
            )
            .eval()
        )
    eps = torch.randn(4, 6, 2, generator=torch.Generator().manual_seed(1))
    with noise(lambda shape: eps), torch.no_grad():
        loss = model.loss(x, present, step).loss
        given = model.posterior.encode(x, present).experts
        z = given.loc + given.scale * eps
        log_p = {
            name: row_log_prob(model.likelihood(name)(decoder(z[m])), x[name], present[name])
            for m, (name, decoder) in enumerate(zip(model.names, model.decoders, strict=True))
        }
    standard = Independent(Normal(torch.zeros(2), torch.ones(2)), 1)
    for b, some in enumerate(components(given)):
        values = [z[m, b] for m in range(4) if given.on[m, b]]
        wanted = -sum(float(model.weights[name] * one[b]) for name, one in log_p.items())
        for p, value in zip(some, values, strict=True):
            mixed = torch.stack([q.log_prob(value) for q in some]).exp().mean().log()
            pairwise = torch.stack([kl_divergence(p, q) for q in some]).mean()
            apart = pairwise if divergence == "convex" else p.log_prob(value) - mixed
            to_standard = kl_divergence(p, standard)
            wanted += 0.7 * float((1 - share) * apart + share * to_standard)
        assert float(loss[b]) == pytest.approx(wanted, rel=1e-5, abs=1e-5)


def test_those_who_are_there_speak_for_themselves_and_for_the_absent() -> None:
    given = experts(dim=2)
    encoded = Encoded(given, given.loc[0, :, :0], given.scale[0, :, :0], Answers(()))
    q = posterior(dim=2).fuse(encoded)
    z = q.loc.unflatten(-1, (3, 2))  # (S, B, M, D)
    for s in range(3):
        for b in range(5):
            if not given.on[s, b]:
                assert q.log_weights[s, b] == -torch.inf or not given.on[:, b].any()
                continue
            for m in range(3):
                speaker = m if given.on[m, b] else s
                assert torch.equal(z[s, b, m], given.loc[speaker, b])


@pytest.mark.parametrize("verb", ["generate", "score"])
def test_there_is_no_prior_without_data(verb: str) -> None:
    with seeded(0):
        model = RECIPES["mmvm"].build(real_modalities(), latent_dim=2)
    with pytest.raises(ValueError, match="without data"):
        model.check_offers(verb)
    with pytest.raises(NotImplementedError, match="without data"):
        model.prior()
    x, present = real_batch()
    assert model.posterior(x, present).event_shape == (8,)
