"""Priors and posteriors whose private blocks depend on the shared one."""

from __future__ import annotations

import math

import pytest
import torch
from tests.distributions.test_neighbours import SHARED, neighbours
from torch import Tensor
from torch.distributions import MultivariateNormal

from polymodal.distributions.dependent import DependentBlocks, PartlyTold
from polymodal.distributions.strata import Strata
from polymodal.random import seeded

SIZE = 2
TOLD = torch.tensor(
    [[True, True, True], [True, False, False], [False, True, False], [False, False, False]]
)


def standard_where_untold(told: Tensor) -> Strata:
    """Two strata whose private blocks are alike, N(0, I) where nothing was told."""
    with seeded(0):
        loc = torch.randn(2, len(told), SHARED + 3 * SIZE).double()
        scale = 0.5 + torch.rand(2, len(told), SHARED + 3 * SIZE).double()
        weights = torch.randn(2, len(told)).double().log_softmax(0)
    loc[1, :, SHARED:], scale[1, :, SHARED:] = loc[0, :, SHARED:], scale[0, :, SHARED:]
    here = torch.cat(
        [torch.ones(len(told), SHARED, dtype=torch.bool), told.repeat_interleave(SIZE, 1)], 1
    )
    return Strata(
        torch.where(here, loc, torch.zeros_like(loc)),
        torch.where(here, scale, torch.ones_like(scale)),
        weights,
    )


def test_the_prior_is_the_product_of_its_two_parts() -> None:
    shared = MultivariateNormal(torch.ones(SHARED).double(), 2 * torch.eye(SHARED).double())
    private = neighbours(SIZE)
    p = DependentBlocks(shared, private)
    with seeded(1):
        z = p.sample((7,))
    assert z.shape == (7, *p.event_shape) == (7, SHARED + 3 * SIZE)
    wanted = shared.log_prob(z[:, :SHARED]) + private.log_prob(z[:, SHARED:], z[:, :SHARED]).sum(
        -1
    )
    torch.testing.assert_close(p.log_prob(z), wanted)


@pytest.mark.parametrize("told", [TOLD, TOLD[:2], TOLD[:1]], ids=["open", "one told", "all told"])
def test_told_blocks_are_the_posterior_s_and_others_the_prior_s(told: Tensor) -> None:
    q, private = standard_where_untold(told), neighbours(SIZE)
    p = PartlyTold(q, told, private)
    with seeded(2):
        value = torch.randn(5, len(told), SHARED + 3 * SIZE).double()
    z, w = value[..., :SHARED], value[..., SHARED:]
    given_z = private.log_prob(w, z)
    for row, here in enumerate(told):
        read = torch.cat([torch.ones(SHARED, dtype=torch.bool), here.repeat_interleave(SIZE)])
        part = Strata(q.loc[..., read], q.scale[..., read], q.log_weights)
        wanted = part.log_prob(value[..., read])[:, row] + given_z[:, row, ~here].sum(-1)
        torch.testing.assert_close(p.log_prob(value)[:, row], wanted)


@pytest.mark.parametrize("told", [TOLD, TOLD[:2]], ids=["open", "one told"])
def test_draws_follow_the_density(told: Tensor) -> None:
    q, n = standard_where_untold(told), 40_000
    p = PartlyTold(q, told, neighbours(SIZE))
    with seeded(3):
        value = p.sample((n,))
    inside = torch.distributions.Normal(value.mean(0), 0.6 * value.std(0)).log_prob(value)
    ratio = (inside.sum(-1) - p.log_prob(value)).exp()
    error = ratio.std(0) / math.sqrt(n)
    assert bool(((ratio.mean(0) - 1).abs() < 5 * error).all())


def test_forgetting_is_as_if_it_had_not_been_told() -> None:
    private, names = neighbours(SIZE), torch.tensor([False, True, False])
    left = PartlyTold(standard_where_untold(TOLD), TOLD, private).forget(names)
    told = TOLD & ~names
    wanted = PartlyTold(standard_where_untold(told), told, private)
    with seeded(4):
        value = torch.randn(5, len(TOLD), SHARED + 3 * SIZE).double()
    torch.testing.assert_close(left.log_prob(value), wanted.log_prob(value))
    torch.testing.assert_close(left.mean, wanted.mean)
