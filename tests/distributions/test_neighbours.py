"""Private latents by nearest neighbours, against mixtures written out and quadrature."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch
from torch import Tensor
from torch.distributions import Categorical, Independent, MixtureSameFamily, Normal

from polymodal.distributions.neighbours import BROAD, NEIGHBOURS, VARIETY, Neighbours
from polymodal.random import seeded

N_ROWS, SHARED = 12, 2


def neighbours(size: int = 1, counts: tuple[int, ...] = (N_ROWS, 3, 0)) -> Neighbours:
    """Blocks of many rows, of fewer than are asked for, and of none."""
    with seeded(0):
        n = len(counts)
        anchors = torch.randn(n, N_ROWS, SHARED).double()
        loc = 2 * torch.randn(n, N_ROWS, size).double()
        scale = 0.3 + torch.rand(n, N_ROWS, size).double()
        root = torch.randn(n, size, size).double().tril(-1) + 2 * torch.eye(size).double()
        centre = torch.randn(n, size).double()
    return Neighbours(anchors, loc, scale, torch.tensor(counts), centre, root)


def written_out(known: Neighbours, w: Tensor, z: Tensor) -> Tensor:
    """The formula for one row, ``(M,)``."""
    found = []
    for m, count in enumerate(known.count.tolist()):
        own = w[m * known.loc.shape[-1] : (m + 1) * known.loc.shape[-1]]
        broad = torch.distributions.MultivariateNormal(
            known.centre[m], scale_tril=known.tril[m]
        ).log_prob(own)
        if not count:
            found.append(broad)
            continue
        far = (known.anchors[m, :count] - z).square().sum(1)
        near = far.argsort()[:NEIGHBOURS]
        mean = known.loc[m, near].mean(0)
        at = mean + VARIETY * (known.loc[m, near] - mean)
        pieces = MixtureSameFamily(
            Categorical(torch.ones(len(near)).double()),
            Independent(Normal(at, known.scale[m, near]), 1),
        )
        told = pieces.log_prob(own).exp()
        found.append(((1 - BROAD) * told + BROAD * broad.exp()).log())
    return torch.stack(found)


@pytest.mark.parametrize("size", [1, 3])
def test_the_density_is_the_formula(size: int) -> None:
    known = neighbours(size)
    with seeded(1):
        z = torch.randn(5, 4, SHARED).double()
        w = torch.randn(5, 4, 3 * size).double()
    found = known.log_prob(w, z)
    assert found.shape == (5, 4, 3)
    for i in range(5):
        for j in range(4):
            torch.testing.assert_close(found[i, j], written_out(known, w[i, j], z[i, j]))


def test_blocks_of_the_same_rows_are_searched_once_and_say_the_same() -> None:
    own = neighbours(2, (9, 9, 9))
    known = dataclasses.replace(own, anchors=own.anchors[:1].repeat(3, 1, 1))
    with seeded(6):
        z, w = torch.randn(4, SHARED).double(), torch.randn(4, 6).double()
    assert len(known._searched) == 1 < len(own._searched)
    for found, *row in zip(known.log_prob(w, z), w, z, strict=True):
        torch.testing.assert_close(found, written_out(known, *row))


def test_some_blocks_are_those_blocks() -> None:
    known, some = neighbours(2), torch.tensor([True, False, True])
    with seeded(7):
        z, w = torch.randn(4, SHARED).double(), torch.randn(4, 6).double()
    found = known.only(some).log_prob(w[:, some.repeat_interleave(2)], z)
    torch.testing.assert_close(found, known.log_prob(w, z)[:, some])


def test_each_block_integrates_to_one_at_every_z() -> None:
    known, line = neighbours(), torch.linspace(-30, 30, 6001, dtype=torch.float64)
    with seeded(2):
        z = 2 * torch.randn(3, SHARED).double()
    w = line[:, None, None].expand(-1, 3, 3)
    mass = known.log_prob(w, z.expand(len(line), -1, -1)).exp().sum(0) * (line[1] - line[0])
    torch.testing.assert_close(mass, torch.ones(3, 3).double())


def test_draws_follow_the_density() -> None:
    """E_p[f / p] = 1 for a density f inside p's, block by block, at two z."""
    known, n = neighbours(2), 40_000
    with seeded(3):
        z = torch.randn(2, SHARED).double().expand(n, -1, -1)
        w = known.sample(z)
    assert w.shape == (n, 2, 6)
    each = w.unflatten(-1, (3, 2))
    inside = Normal(each.mean(0), 0.7 * each.std(0)).log_prob(each).sum(-1)
    ratio = (inside - known.log_prob(w, z)).exp()
    error = ratio.std(0) / math.sqrt(n)
    assert bool(((ratio.mean(0) - 1).abs() < 5 * error).all())


def test_a_row_far_from_all_others_is_not_drawn_from() -> None:
    known = neighbours(counts=(N_ROWS,))
    known.anchors[0, 7] = 1e3
    known.loc[0, 7] = 1e4
    with seeded(4):
        w = known.sample(torch.randn(5000, SHARED).double())
    assert float(w.max()) < 100


def test_the_gradient_reaches_private_numbers_and_is_that_of_the_density() -> None:
    known = neighbours(2)
    with seeded(5):
        z, w = torch.randn(6, SHARED).double(), torch.randn(6, 6).double().requires_grad_()
    assert torch.autograd.gradcheck(lambda one: known.log_prob(one, z), (w,))
