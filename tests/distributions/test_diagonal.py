"""Diagonal densities against torch's own and against scipy."""

from __future__ import annotations

import pytest
import torch
from scipy import stats
from torch.distributions import Independent, Laplace, Normal, kl_divergence

from polymodal.distributions import Diagonal
from polymodal.distributions.diagonal import Family, diagonal_kl, standard_draw, standard_kl
from polymodal.random import seeded

TORCH = {"normal": Normal, "laplace": Laplace}


def parameters(n: int = 2) -> list[tuple[torch.Tensor, torch.Tensor]]:
    generator = torch.Generator().manual_seed(0)

    def draw() -> torch.Tensor:
        return torch.rand(7, 3, dtype=torch.float64, generator=generator)

    return [(4 * draw() - 2, 0.1 + draw()) for _ in range(n)]


@pytest.mark.parametrize("family", ["normal", "laplace"])
def test_density_and_moments_are_torchs(family: str) -> None:
    ((loc, scale),) = parameters(1)
    ours, theirs = Diagonal(loc, scale, family), Independent(TORCH[family](loc, scale), 1)
    z = torch.randn(5, 7, 3, dtype=torch.float64)
    torch.testing.assert_close(ours.log_prob(z), theirs.log_prob(z), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(ours.variance, theirs.variance)
    assert torch.equal(ours.mean, loc)
    assert torch.equal(ours.mode, loc)
    assert ours.batch_shape == (7,)
    assert ours.event_shape == (3,)


@pytest.mark.parametrize("family", ["normal", "laplace"])
def test_kl_is_torchs_and_zero_for_itself(family: str) -> None:
    one, other = (Diagonal(*pair, family) for pair in parameters())
    theirs = [TORCH[family](*pair) for pair in parameters()]
    each = diagonal_kl(one.loc, one.scale, other.loc, other.scale, family)
    torch.testing.assert_close(each, kl_divergence(*theirs), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(kl_divergence(one, other), each.sum(-1))
    assert float(kl_divergence(one, one).abs().max()) < 1e-14


def test_kl_between_families_is_refused() -> None:
    (one, other) = parameters()
    with pytest.raises(NotImplementedError, match="estimate it from draws"):
        kl_divergence(Diagonal(*one, "normal"), Diagonal(*other, "laplace"))
    with pytest.raises(ValueError, match="family must be one of"):
        Diagonal(*one, "cauchy")


@pytest.mark.parametrize("family", ["normal", "laplace"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_draws_follow_the_density(family: str, dtype: torch.dtype) -> None:
    with seeded(1):
        z = Diagonal(torch.tensor([0.5], dtype=dtype), torch.tensor([2.0], dtype=dtype), family)
        draws = z.rsample((20_000,))[:, 0]
    assert draws.dtype == dtype
    cdf = {"normal": stats.norm, "laplace": stats.laplace}[family](0.5, 2.0).cdf
    assert stats.kstest(draws.double().numpy(), cdf).pvalue > 1e-3


def test_laplace_draws_are_finite_at_the_ends_of_the_interval() -> None:
    ends = torch.tensor([0.0, 0.5, 1 - 2.0**-24])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch, "rand_like", lambda like: ends)
        draws = standard_draw(torch.zeros(3), "laplace")
    assert bool(draws.isfinite().all())
    assert draws[1] == 0


@pytest.mark.parametrize("family", ["normal", "laplace"])
def test_a_draw_moves_with_location_and_scale(family: str) -> None:
    ((loc, scale),) = parameters(1)
    loc.requires_grad_()
    scale.requires_grad_()
    z = Diagonal(loc, scale, family).rsample((4,))
    by_loc, by_scale = torch.autograd.grad(z.sum(), (loc, scale))
    torch.testing.assert_close(by_loc, torch.full_like(loc, 4.0))
    torch.testing.assert_close(by_scale, ((z - loc) / scale).sum(0))


def test_expand_repeats() -> None:
    ((loc, scale),) = parameters(1)
    wide = Diagonal(loc, scale).expand(torch.Size((5, 7)))
    z = torch.randn(5, 7, 3, dtype=torch.float64)
    torch.testing.assert_close(wide.log_prob(z), Diagonal(loc, scale).log_prob(z))


@pytest.mark.parametrize("family", ["normal", "laplace"])
def test_the_shorter_divergence_from_the_standard_is_the_same(family: Family) -> None:
    loc, scale = torch.randn(5, 3), torch.rand(5, 3) + 0.1
    zeros, ones = torch.zeros(3), torch.ones(3)
    assert torch.equal(
        standard_kl(loc, scale, family), diagonal_kl(loc, scale, zeros, ones, family)
    )
