"""The ELBOs of the parts of a row, against exact ELBOs of the linear-Gaussian model."""

from __future__ import annotations

from itertools import combinations

import pytest
import torch
from tests.helpers import cubature, linear, noise
from torch import Tensor

from polymodal.fusion import MixtureOfExperts, ProductOfExperts
from polymodal.objectives import ELBO, SplitELBO
from polymodal.random import seeded

TRUTH = linear(2)
X = TRUTH.sample(1)
PRESENT = {name: torch.ones(1, dtype=torch.bool) for name in TRUTH.names}
SUBSETS = [s for k in (1, 2, 3) for s in combinations(range(3), k)]


def bound_of(subset: tuple[int, ...]) -> Tensor:
    """The bound on log p of the whole row when z comes from a subset's posterior, exactly."""
    model = TRUTH.build(ProductOfExperts(), ELBO(), inflate=1.4)
    seen = {name: torch.tensor([m in subset]) for m, name in enumerate(TRUTH.names)}
    q = model.posterior(X, seen)
    return TRUTH.elbo(X, PRESENT, q.loc[0], q.scale[0]).detach()


def repeated(n: int) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    x = {name: value.expand(n, -1) for name, value in X.items()}
    return x, {name: mask.expand(n) for name, mask in PRESENT.items()}


def test_the_mean_loss_is_the_mean_of_exact_bounds() -> None:
    model = TRUTH.build(ProductOfExperts(), SplitELBO(), inflate=1.4)
    points = cubature(torch.Size((1, 4, 2)))[:, 0].reshape(-1, 2)
    n = 6000

    def all_points(shape: torch.Size) -> Tensor:  # every row n times, at every point in turn
        return points.repeat(n, 1).expand(2, -1, -1).reshape(shape)

    with noise(all_points), seeded(0), torch.no_grad():
        loss = model.loss(*repeated(len(points) * n), 0).loss
    bounds = {subset: bound_of(subset) for subset in SUBSETS}
    expected = 0.0
    for subset in SUBSETS:
        rest = tuple(m for m in range(3) if m not in subset) or subset
        chance = 1 / (3 * {1: 3, 2: 3, 3: 1}[len(subset)])
        expected -= chance * 0.5 * float(bounds[subset] + bounds[rest])
    error = float(loss.std()) / len(loss) ** 0.5
    assert abs(float(loss.mean()) - expected) < 4 * error
    exact = torch.cat(list(bounds.values()))
    assert float(-exact.max()) < float(loss.mean()) < float(-exact.min())


def test_every_subsets_bound_is_below_the_evidence() -> None:
    evidence = float(TRUTH.log_evidence(X, PRESENT))
    assert all(float(bound_of(subset)) <= evidence for subset in SUBSETS)


def test_one_modality_is_a_plain_elbo() -> None:
    seen = {name: torch.tensor([m == 1]) for m, name in enumerate(TRUTH.names)}
    with noise(torch.zeros), torch.no_grad():
        losses = [
            TRUTH.build(ProductOfExperts(), objective, inflate=1.4).loss(X, seen, 0).loss
            for objective in (SplitELBO(), ELBO())
        ]
    torch.testing.assert_close(*losses)


def test_what_is_wrong_is_said() -> None:
    with pytest.raises(ValueError, match="beta must be"):
        SplitELBO(beta=float("nan"))
    with pytest.raises(ValueError, match="one stratum"):
        TRUTH.build(MixtureOfExperts(), SplitELBO()).loss(X, PRESENT, 0)
