"""Walks through the latent space of linear models, whose decoders are known."""

from __future__ import annotations

import pytest
import torch
from tests.helpers import NUMBERS, real_batch, real_modalities

from polymodal.data.tensors import Tensors
from polymodal.fusion import ProductOfExperts
from polymodal.model import Lacking
from polymodal.objectives import ELBO
from polymodal.random import seeded
from polymodal.recipes import RECIPES
from polymodal.tasks.generate import embed
from polymodal.tasks.traverse import factorisation_grid, traverse
from polymodal.testing.linear import LinearGaussian


def linear(private_dim: int = 0):
    truth = LinearGaussian({"a": 4, "b": 5}, 2, private_dim=private_dim)
    model = truth.build(ProductOfExperts("always"), ELBO())
    x = truth.sample(6)
    there = {name: torch.ones(6, dtype=torch.bool) for name in x}
    return truth, model, Tensors(x, there)


def decoded(truth: LinearGaussian, name: str, z: torch.Tensor) -> torch.Tensor:
    m = truth.modalities[name]
    return z @ m.weight.T + m.offset


@pytest.mark.parametrize("relative", [False, True])
def test_a_walk_goes_along_one_column_of_the_decoder(relative: bool) -> None:
    truth, model, source = linear()
    values = (-1.0, 0.5, 2.0)
    said = traverse(model, source, 1, values, relative=relative)
    z = embed(model, source)
    for i, value in enumerate(values):
        walked = z.clone()
        walked[:, 1] = value + (z[:, 1] if relative else 0)
        for name in ("a", "b"):
            assert torch.allclose(said[name][i], decoded(truth, name, walked))
    assert set(traverse(model, source, 0, names=["b"])) == {"b"}
    steps = said["a"][1:] - said["a"][:-1]
    slope = 1.5 * truth.modalities["a"].weight[:, 1]
    assert torch.allclose(steps, slope.expand_as(steps))


def test_no_step_is_where_the_row_is() -> None:
    truth, model, source = linear()
    said = traverse(model, source, 0, (0.0,), relative=True)
    assert torch.allclose(said["a"][0], decoded(truth, "a", embed(model, source)))


def test_a_grid_pairs_every_shared_part_with_every_private_part() -> None:
    truth, model, source = linear(private_dim=1)
    grid = factorisation_grid(model, source.rows(slice(0, 4)), "b", source.rows(slice(4, 6)))
    assert grid.shape == (2, 4, 5)
    z = embed(model, source)
    for i in range(2):
        for j in range(4):
            pair = torch.cat([z[j, :2], z[4 + i, 2:]])
            assert torch.allclose(grid[i, j], decoded(truth, "b", pair))
    assert not torch.allclose(grid[0], grid[1])
    assert not torch.allclose(grid[:, 0], grid[:, 1])
    # Linear: what two private parts differ by is the same for every shared part.
    gap = grid[0] - grid[1]
    assert torch.allclose(gap, gap[:1].expand_as(gap))


def test_drawn_private_parts_are_those_of_the_prior_and_of_a_seed() -> None:
    truth, model, source = linear(private_dim=1)
    one = factorisation_grid(model, source, "a", 400, seed=3)
    assert torch.equal(one, factorisation_grid(model, source, "a", 400, seed=3))
    assert not torch.equal(one, factorisation_grid(model, source, "a", 400, seed=4))
    weight = truth.modalities["a"].weight[:, 2]  # the column of its own private number
    spread = one.std(0)[0] / weight.abs()
    assert torch.allclose(spread, torch.ones_like(spread), atol=0.15)


def test_with_diffusion_decoders_only_what_is_walked_along_moves() -> None:
    with seeded(0):
        model = RECIPES["cmvae"].build(
            real_modalities(), latent_dim=3, private_dim=2, diffusion=True
        )
    source = Tensors(*real_batch())
    before = torch.get_rng_state()
    walks = [traverse(model, source, 0, (1.0, -1.0, 1.0), [NUMBERS])[NUMBERS] for _ in range(2)]
    grids = [factorisation_grid(model, source, NUMBERS, source) for _ in range(2)]
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(*walks)
    assert torch.equal(*grids)
    assert torch.equal(walks[0][0], walks[0][2])
    assert not torch.equal(walks[0][0], walks[0][1])


def test_errors_say_what_to_do() -> None:
    _, model, source = linear()
    with pytest.raises(ValueError, match="dimension must be 0 to 1, got 2"):
        traverse(model, source, 2)
    with pytest.raises(ValueError, match="at least one value"):
        traverse(model, source, 0, ())
    with pytest.raises(Lacking, match="private_dim"):
        factorisation_grid(model, source, "a")
    with pytest.raises(ValueError, match="no modality 'c'"):
        factorisation_grid(model, source, "c")
