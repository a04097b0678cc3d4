"""The energy of interacting latents against quadrature, closed forms and its own bound."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from polymodal.models.chains import PersistentChains
from polymodal.models.gibbs import gibbs, mean_field, posterior_draws
from polymodal.models.interaction import (
    BOUND,
    Interaction,
    moments,
    natural,
    statistics,
)
from polymodal.models.poise import EnergyDistribution
from polymodal.random import seeded


def strong(n_modalities: int, dim: int, size: float, seed: int = 0) -> Interaction:
    """Blocks whose raw numbers are as large as ``size``."""
    with seeded(seed):
        interaction = Interaction(n_modalities, dim).double()
        with torch.no_grad():
            for p in interaction.parameters():
                p.copy_(size * (2 * torch.rand_like(p) - 1))
    return interaction


def interact(matrix: Tensor, told: Tensor) -> Tensor:
    """The sum over pairs of ``T_m G_mn T_n``, ``(..., M, 2 d) -> (...)``."""
    return 0.5 * ((told.flatten(-2) @ matrix) * told.flatten(-2)).sum(-1)


def log_density(matrix: Tensor, evidence: Tensor, z: Tensor) -> Tensor:
    """Unnormalised, ``(..., M, d) -> (...)``."""
    told = statistics(z)
    single = (evidence * told).sum((-2, -1)) - 0.5 * z.square().sum((-2, -1))
    return single + interact(matrix, told)


def expectations(matrix: Tensor, evidence: Tensor) -> tuple[Tensor, Tensor]:
    """Means and variances of z_1, z_2, z_1 z_2, z_1^2, by quadrature in two dimensions."""
    line = torch.linspace(-14, 14, 701, dtype=torch.float64)
    z = torch.stack(torch.meshgrid(line, line, indexing="ij"), -1)[..., None]
    weights = log_density(matrix, evidence, z).flatten().softmax(0)
    assert weights.reshape(701, 701)[[0, -1]].sum() < 1e-12
    values = features(z).reshape(-1, 4)
    mean = weights @ values
    return mean, weights @ (values - mean).square()


def features(z: Tensor) -> Tensor:
    a, b = z[..., 0, 0], z[..., 1, 0]
    return torch.stack([a, b, a * b, a.square()], -1)


NOTHING = torch.zeros(2, 2, dtype=torch.float64)
SOME = torch.tensor([[1.2, -0.4], [0.0, 0.0]], dtype=torch.float64)
BOTH = torch.tensor([[0.8, -0.3], [-1.5, -0.9]], dtype=torch.float64)


@pytest.mark.parametrize("evidence", [NOTHING, SOME, BOTH], ids=["prior", "one", "both"])
@pytest.mark.parametrize("n_chains", [2_000, 50_000])
def test_chains_have_the_moments_of_quadrature(evidence: Tensor, n_chains: int) -> None:
    matrix = strong(2, 1, 0.25, seed=3)().detach()
    exact, variance = expectations(matrix, evidence)
    with seeded(1):
        z = EnergyDistribution(matrix, evidence, 30).sample((n_chains,))
    found = features(z.unflatten(-1, (2, 1))).mean(0)
    assert bool(((found - exact).abs() < 4 * (variance / n_chains).sqrt()).all())
    # The test could tell: without interaction the moments are far away.
    alone, _ = expectations(torch.zeros_like(matrix), evidence)
    assert bool(((alone - exact).abs() > 10 * (variance / n_chains).sqrt())[2])


def test_without_interaction_the_posterior_is_that_of_independent_vaes() -> None:
    """N(0, 1) times a Gaussian factor in z, exactly."""
    matrix = torch.zeros(4, 4, dtype=torch.float64)
    told = statistics(torch.randn(50, 2, 1, dtype=torch.float64))
    assert torch.equal(natural(matrix, BOTH, told), BOTH.expand(50, 2, 2))
    mean, precision = moments(natural(matrix, BOTH, told))
    assert torch.equal(precision, (1 - 2 * BOTH[:, 1:]).expand(50, 2, 1))
    assert torch.equal(mean, (BOTH[:, :1] / (1 - 2 * BOTH[:, 1:])).expand(50, 2, 1))
    exact = BOTH[:, 0] / (1 - 2 * BOTH[:, 1])
    q = EnergyDistribution(matrix, BOTH, 2)
    torch.testing.assert_close(q.mean, exact, rtol=0, atol=1e-15)
    with seeded(0):
        first = posterior_draws(matrix, BOTH, (1000,), 1, 0)
    assert bool(((first.mean(0)[:, 0] - exact).abs() < 4 / math.sqrt(1000)).all())


@pytest.mark.parametrize("n_modalities", [2, 3, 5])
@pytest.mark.parametrize("size", [0.5, 2.0])
def test_every_conditional_is_a_proper_gaussian_whatever_the_state(
    n_modalities: int, size: float
) -> None:
    matrix = strong(n_modalities, 3, size)().detach()
    with seeded(2):
        scale = 10 ** (8 * torch.rand(4000, 1, 1, dtype=torch.float64) - 3)
        told = statistics(scale * torch.randn(4000, n_modalities, 3, dtype=torch.float64))
    pull = (told.flatten(-2) @ matrix).reshape(told.shape)[..., 3:]
    rounding = 1e-12 * (told.flatten(-2).abs() @ matrix.abs()).reshape(told.shape)[..., 3:]
    assert bool((1 - 2 * pull >= 1 - BOUND**2 - rounding).all())


def test_the_worst_state_meets_the_bound_on_the_precision_exactly() -> None:
    """With blocks at their limits, all others at the minimum of their parabolas."""
    interaction = strong(3, 2, 1.0)
    with torch.no_grad():
        interaction.mixed.fill_(100.0)
    matrix = interaction().detach().reshape(3, 4, 3, 4)
    for m in range(3):
        # Squares of m times numbers of n, and times their squares.
        worst = -matrix[m, 2:, :, :2] / (2 * matrix[m, 2:, :, 2:])  # (d, M, d)
        worst[:, m] = 0
        for i in range(2):
            told = statistics(worst[i])
            gained = (matrix[m, 2 + i] * told).sum()
            torch.testing.assert_close(1 - 2 * gained.item(), 1 - BOUND**2)


@pytest.mark.parametrize("n_modalities", [2, 3, 4])
def test_the_energy_falls_in_every_direction(n_modalities: int) -> None:
    """Even along the worst curves: one number grows and the others stand where it gains most."""
    interaction = strong(n_modalities, 2, 1.0)
    with torch.no_grad():
        interaction.mixed.fill_(100.0)
        interaction.linear.mul_(10.0)
    matrix = interaction().detach()
    blocks = matrix.reshape(n_modalities, 4, n_modalities, 4)
    nothing = torch.zeros(n_modalities, 4, dtype=torch.float64)
    z = -blocks[0, 2, :, :2] / (2 * blocks[0, 2, :, 2:])
    z[0] = 0
    for far in (1e10, -1e10):
        z[0, 0] = far
        slope = log_density(matrix, nothing, z) / far**2
        torch.testing.assert_close(slope.item(), -(1 - BOUND**2) / 2, rtol=1e-4, atol=0)
    with seeded(4):
        wide = torch.randn(5000, n_modalities, 2, dtype=torch.float64) * 10 ** (
            6 * torch.rand(5000, n_modalities, 2, dtype=torch.float64)
        )
    wide = wide[wide.flatten(1).norm(dim=1) > 1e5]
    assert bool((log_density(matrix, nothing, wide) < 0).all())


def test_one_modality_alone_is_a_standard_normal() -> None:
    interaction = Interaction(1, 3)
    assert torch.equal(interaction(), torch.zeros(6, 6))
    z = gibbs(interaction(), torch.zeros(1, 6), torch.zeros(4, 1, 3), 2)
    assert z.shape == (4, 1, 3)


def test_a_step_that_is_computed_again_begins_from_the_same_chains() -> None:
    chains = PersistentChains(torch.zeros(3, 2))
    assert torch.equal(chains.advance(7, lambda z: z + 1), torch.ones(3, 2))
    assert torch.equal(chains.advance(7, lambda z: z + 1), torch.ones(3, 2))
    assert torch.equal(chains.advance(8, lambda z: z + 1), torch.full((3, 2), 2.0))
    chains.eval()
    chains.advance(9, lambda z: z + 1)
    copy = PersistentChains(torch.ones(3, 2))
    copy.load_state_dict(chains.state_dict())
    assert torch.equal(copy.advance(9, lambda z: z + 1), torch.full((3, 2), 3.0))


def lower_bound(matrix: Tensor, evidence: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
    """E[log of the unnormalised density] and the entropy of a product of Gaussians."""
    told = torch.cat([mean, mean.square() + variance], -1)
    spread = 0.5 * variance.log() - 0.5 * (mean.square() + variance)
    return (evidence * told).sum() + interact(matrix, told) + spread.sum()


def test_every_sweep_of_the_mean_field_raises_its_bound_to_a_fixed_point() -> None:
    matrix = strong(4, 3, 0.3, seed=6)().detach()
    with seeded(7):
        evidence = torch.randn(4, 6, dtype=torch.float64)
    evidence[:, 3:] = -evidence[:, 3:].abs()
    evidence[2] = 0  # a modality that is absent
    found = [mean_field(matrix, evidence, n) for n in (1, 2, 3, 6, 60)]
    bounds = torch.stack([lower_bound(matrix, evidence, *one) for one in found])
    assert bool((bounds.diff() > 0).all())
    mean, variance = (one.requires_grad_() for one in found[-1])
    lower_bound(matrix, evidence, mean, variance).backward()
    for one in (mean, variance):
        assert one.grad is not None
        assert float(one.grad.abs().max()) < 1e-8


def test_rows_have_their_own_evidence_whatever_the_number_of_draws() -> None:
    """Draws of many rows at once are those of each row alone, in the limit of sharp evidence."""
    matrix = strong(3, 2, 0.1)().detach()
    with seeded(1):
        where = 5 * torch.randn(6, 3, 2, dtype=torch.float64)
        evidence = torch.cat([1e8 * where, torch.full_like(where, -0.5e8)], -1)
        z = posterior_draws(matrix, evidence, (4, 2), 1, 2)
    assert z.shape == (4, 2, 6, 3, 2)
    torch.testing.assert_close(z, where.expand_as(z), atol=2e-3, rtol=0)


def test_the_mean_field_is_nearer_than_no_interaction() -> None:
    matrix = strong(2, 1, 0.6, seed=3)().detach()
    exact, _ = expectations(matrix, BOTH)
    mean, _ = mean_field(matrix, BOTH, 5)
    apart, _ = moments(BOTH)
    assert (mean.flatten() - exact[:2]).norm() < 0.5 * (apart.flatten() - exact[:2]).norm()
