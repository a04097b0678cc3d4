"""Shapley values against their definition, closed forms and exact conditional expectations."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from tests.helpers import linear
from torch import Tensor

import polymodal as pm
from polymodal.data.tensors import Tensors
from polymodal.fusion import ProductOfExperts
from polymodal.objectives import ELBO
from polymodal.random import seeded
from polymodal.tasks import attribute
from polymodal.tasks.shapley import _enumerated, shapley_values


def table_game(n_players: int) -> tuple[Tensor, object]:
    """A value of its own for every coalition, three at once."""
    with seeded(n_players):
        worth = torch.randn(2**n_players, 3, dtype=torch.float64)

    def game(coalitions: Tensor) -> Tensor:
        return worth[(coalitions.long() << torch.arange(n_players)).sum(1)]

    return worth, game


@pytest.mark.parametrize("n_players", [1, 2, 4])
def test_enumeration_is_the_average_over_all_orders(n_players: int) -> None:
    worth, game = table_game(n_players)
    expected = torch.zeros(n_players, 3, dtype=torch.float64)
    orders = list(itertools.permutations(range(n_players)))
    for order in orders:
        number = 0
        for player in order:
            expected[player] += worth[number | 1 << player] - worth[number]
            number |= 1 << player
    found = shapley_values(game, n_players)
    torch.testing.assert_close(found, expected / len(orders))
    torch.testing.assert_close(found.sum(0), worth[-1] - worth[0])


def test_orders_with_their_reverse_are_exact_for_pairs() -> None:
    """v = sum a_i + sum b_ij: a pair of players shares b_ij in halves, whatever the orders."""
    n = 13
    with seeded(0):
        a, b = torch.randn(n).double(), torch.randn(n, n).double().triu(1)

    def game(coalitions: Tensor) -> Tensor:
        s = coalitions.double()
        return s @ a + torch.einsum("ci,ij,cj->c", s, b, s)

    with seeded(1):
        found = shapley_values(game, n, orders=2)
    torch.testing.assert_close(found, a + 0.5 * (b + b.T).sum(1))


def test_drawn_orders_add_up_exactly_and_come_near_the_enumeration() -> None:
    worth, game = table_game(11)
    exact = _enumerated(game, 11)
    errors = []
    for orders in (20, 2000):
        with seeded(3):
            found = shapley_values(game, 11, orders)
        torch.testing.assert_close(found.sum(0), worth[-1] - worth[0])
        errors.append(float((found - exact).square().mean().sqrt()))
    assert errors[1] < 0.25 * errors[0]
    assert errors[1] < 0.06


def test_shares_of_a_linear_gaussian_are_those_of_its_conditional_expectations() -> None:
    truth = linear(2)
    x, present = truth.sample(9), truth.present(9)
    model = truth.build(ProductOfExperts(), ELBO())  # exact posteriors of every set

    def value(*names: str) -> Tensor:
        given = {name: present[name] for name in names}
        if not given:
            given = {"a": torch.zeros(9, dtype=torch.bool)}
        return truth.conditional("c", x, given).mean

    source = Tensors(x, present).select(["a", "b"])
    said = attribute(model, source, "c", {})
    first = 0.5 * (value("a") - value() + value("a", "b") - value("b"))
    second = 0.5 * (value("b") - value() + value("a", "b") - value("a"))
    torch.testing.assert_close(said.shares, torch.stack([first, second]))
    torch.testing.assert_close(said.nothing, value())
    torch.testing.assert_close(said.everything, value("a", "b"))
    assert said.features == (("a", None), ("b", None))
    assert not said.shares[0, ~present["a"]].abs().gt(1e-12).any()


@pytest.fixture(scope="module")
def penguins() -> tuple[pm.MultimodalModel, pm.MultimodalData]:
    data = pm.load_bundled("penguins")
    return pm.MultimodalModel(epochs=3, latent_dim=4, progress=False).fit(data[:120]), data[
        120:140
    ]


@pytest.mark.parametrize("to", ["species", "body_mass_g"])
def test_frames_add_up_and_absent_cells_add_nothing(penguins, to: str) -> None:
    model, data = penguins
    said = model.attribute(data, to=to)
    frame = data.native()
    features = [column for column in frame.columns if column != to]
    assert list(said.columns) == [*features, "(nothing)", "(everything)"]
    gap = said["(everything)"] - said["(nothing)"]
    # The networks are of float32, and a batch of another size rounds differently.
    np.testing.assert_allclose(said[features].sum(axis=1), gap, rtol=1e-5, atol=1e-5)
    absent = frame[features].isna().to_numpy()
    assert np.abs(said[features].to_numpy()[absent]).max(initial=0) < 1e-9
    assert said.index.equals(frame.index)
    if to == "species":
        assert said["(everything)"].between(1 / 3 - 1e-6, 1).all()
        one = model.attribute(data, to=to, level="Gentoo")["(everything)"]
        assert (one <= said["(everything)"] + 1e-9).all()
    else:  # in grams
        assert said["(everything)"].between(2000, 7000).all()


def test_what_cannot_be_attributed_is_refused(penguins) -> None:
    model, data = penguins
    with pytest.raises(ValueError, match="must be a column"):
        model.attribute(data, to="mass")
    with pytest.raises(ValueError, match="no level"):
        model.attribute(data, to="species", level="Emperor")
    with pytest.raises(ValueError, match="at least 1"):
        shapley_values(lambda coalitions: coalitions, 0)
