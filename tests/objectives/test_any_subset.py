"""The ELBO of a random subset, against exact ELBOs of the linear-Gaussian model."""

from __future__ import annotations

from itertools import combinations

import pytest
import torch
from tests.helpers import cubature, linear, noise
from torch import Tensor

from polymodal.fusion import MixtureOfExperts, MixtureOfProducts, ProductOfExperts
from polymodal.objectives import ELBO, AnySubsetELBO
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


@pytest.mark.parametrize("draw", ["subset", "size"])
def test_the_mean_loss_is_the_mean_of_exact_bounds(draw: str) -> None:
    model = TRUTH.build(ProductOfExperts(), AnySubsetELBO(draw=draw), inflate=1.4)
    points = cubature(torch.Size((1, 4, 1, 2)))[:, 0].reshape(-1, 2)
    n = 6000

    def all_points(shape: torch.Size) -> Tensor:  # every row n times, at every point in turn
        return points.repeat(n, 1).reshape(shape)

    with noise(all_points), seeded(0), torch.no_grad():
        loss = model.loss(*repeated(len(points) * n), 0).loss
    exact = torch.cat([bound_of(subset) for subset in SUBSETS])
    size = torch.tensor([len(subset) for subset in SUBSETS])
    weights = torch.full((7,), 1 / 7).double()
    if draw == "size":
        weights = 1 / (3 * torch.tensor([3.0, 3.0, 1.0]).double()[size - 1])
    expected = -(weights * exact).sum()
    error = float(loss.std()) / len(loss) ** 0.5
    assert abs(float(loss.mean() - expected)) < 4 * error
    assert float(-exact.max()) < float(loss.mean()) < float(-exact.min())


def test_every_subsets_bound_is_below_the_evidence() -> None:
    evidence = float(TRUTH.log_evidence(X, PRESENT))
    assert all(float(bound_of(subset)) <= evidence for subset in SUBSETS)


def test_it_is_mopoes_bound_in_expectation() -> None:
    """MoPoE without anchor, every stratum decoded: the mean over subsets, drawn by none."""
    mixture = TRUTH.build(
        MixtureOfProducts("never"), ELBO(strata="all", divergence="convex"), inflate=1.4
    )
    q = mixture.posterior(X, PRESENT)
    exact = torch.stack([TRUTH.elbo(X, PRESENT, q.loc[s], q.scale[s]) for s in range(q.n_strata)])
    product = TRUTH.build(ProductOfExperts("never"), ELBO(), inflate=1.4)
    ours = []
    for subset in SUBSETS:
        seen = {name: torch.tensor([m in subset]) for m, name in enumerate(TRUTH.names)}
        one = product.posterior(X, seen)
        ours.append(TRUTH.elbo(X, PRESENT, one.loc[0], one.scale[0]))
    torch.testing.assert_close(exact.mean(), torch.stack(ours).mean(), rtol=1e-10, atol=1e-10)


def test_one_modality_is_a_plain_elbo() -> None:
    seen = {name: torch.tensor([m == 1]) for m, name in enumerate(TRUTH.names)}
    with noise(torch.zeros), torch.no_grad():
        losses = [
            TRUTH.build(ProductOfExperts(), objective, inflate=1.4).loss(X, seen, 0).loss
            for objective in (AnySubsetELBO(), ELBO())
        ]
    torch.testing.assert_close(*losses)


def test_what_is_wrong_is_said() -> None:
    with pytest.raises(ValueError, match="draw must be one of"):
        AnySubsetELBO(draw="all")  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="beta must be"):
        AnySubsetELBO(beta=float("nan"))
    with pytest.raises(ValueError, match="one stratum"):
        TRUTH.build(MixtureOfExperts(), AnySubsetELBO()).loss(X, PRESENT, 0)
