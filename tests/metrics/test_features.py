"""Distances, manifolds and correlations of features against scipy, scikit-learn and loops."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm
from sklearn.cross_decomposition import CCA

from polymodal.metrics import (
    canonical_correlation,
    canonical_cosine,
    fit_canonical_axes,
    frechet_distance,
    gaussian_frechet,
    manifold_precision,
    manifold_recall,
)


def draws(n: int, size: int, seed: int) -> torch.Tensor:
    """Correlated rows around a mean of their own, float64."""
    generator = torch.Generator().manual_seed(seed)
    kind = {"dtype": torch.float64, "generator": generator}
    return torch.randn(n, size, **kind) @ torch.randn(size, size, **kind) + torch.randn(
        size, **kind
    )


def by_scipy(a: torch.Tensor, b: torch.Tensor) -> float:
    one, other = np.cov(a.T), np.cov(b.T)
    root = np.trace(np.real(sqrtm(one @ other)))
    shift = ((a.mean(0) - b.mean(0)) ** 2).sum().item()
    return shift + np.trace(one) + np.trace(other) - 2 * root


def test_frechet_is_that_of_scipys_root() -> None:
    a, b = draws(60, 5, 0), draws(40, 5, 1)
    truth = by_scipy(a, b)
    assert frechet_distance(a, b).item() == pytest.approx(truth, rel=1e-9)
    from_moments = gaussian_frechet(a.mean(0), a.T.cov(), b.mean(0), b.T.cov())
    assert from_moments.item() == pytest.approx(truth, rel=1e-9)
    assert frechet_distance(b, a).item() == pytest.approx(truth, rel=1e-9)


def test_frechet_of_one_and_of_independent_dimensions() -> None:
    a, b = draws(50, 1, 2), draws(70, 1, 3)
    closed = (a.mean() - b.mean()) ** 2 + (a.std() - b.std()) ** 2
    assert frechet_distance(a, b).item() == pytest.approx(closed.item())
    mean, other = torch.tensor([0.0, 1.0]), torch.tensor([2.0, 1.0])
    one, two = torch.tensor([1.0, 4.0]), torch.tensor([9.0, 0.25])
    closed = 4 + ((one.sqrt() - two.sqrt()) ** 2).sum()
    said = gaussian_frechet(mean, one.diag(), other, two.diag())
    assert said.item() == pytest.approx(closed.item())


def test_frechet_where_features_outnumber_rows() -> None:
    a, b = draws(6, 30, 4), draws(9, 30, 5)
    # The root by eigenvalues of a product of two singular matrices is only good to about 1e-6.
    truth = gaussian_frechet(a.mean(0), a.T.cov(), b.mean(0), b.T.cov()).item()
    assert frechet_distance(a, b).item() == pytest.approx(truth, rel=1e-6)
    assert frechet_distance(a, a).item() == pytest.approx(0, abs=1e-9)
    constant = torch.ones(5, 30, dtype=torch.float64)
    closed = (a.mean(0) - 1).square().sum() + a.var(0).sum()
    assert frechet_distance(a, constant).item() == pytest.approx(closed.item())


def test_frechet_of_float_features_far_from_zero_is_not_negative() -> None:
    a = (draws(500, 8, 6) * 1e-3 + 1e3).float()
    assert 0 <= frechet_distance(a, a.flip(0)).item() < 1e-9


def brute_force(rows: torch.Tensor, others: torch.Tensor, k: int) -> float:
    """Share of rows in any ball, by loops."""
    inside = 0
    for x in rows:
        hit = False
        for i, y in enumerate(others):
            near = sorted(
                (y - z).norm().item() for j, z in enumerate(others) if j != i
            )[k - 1]  # fmt: skip
            hit = hit or (x - y).norm().item() <= near
        inside += hit
    return inside / len(rows)


@pytest.mark.parametrize("k", [1, 3])
def test_precision_and_recall_are_those_of_loops(k: int) -> None:
    generator = torch.Generator().manual_seed(7)
    made = torch.randn(25, 2, generator=generator, dtype=torch.float64)
    real = 1 + torch.randn(20, 2, generator=generator, dtype=torch.float64)
    precision = manifold_precision(made, real, k).item()
    assert 0 < precision < 1
    assert precision == pytest.approx(brute_force(made, real, k))
    assert manifold_recall(made, real, k).item() == pytest.approx(brute_force(real, made, k))


def test_precision_and_recall_at_their_ends() -> None:
    real = draws(40, 3, 8)
    assert manifold_precision(real, real) == manifold_recall(real, real) == 1
    far = real + 1e4
    assert manifold_precision(far, real) == manifold_recall(far, real) == 0
    one = real[:1].expand(40, 3)  # one real row made over and over
    assert manifold_precision(one, real) == 1
    assert manifold_recall(one, real).item() == pytest.approx(1 / 40)


def test_canonical_correlations_are_those_of_scikit_learn() -> None:
    a = draws(80, 4, 9)
    b = a[:, :3] + draws(80, 3, 10)
    axes = fit_canonical_axes(a[:50], b[:50])
    peer = CCA(n_components=3, max_iter=5000, tol=1e-12).fit(a[:50], b[:50])
    one, other = peer.transform(a[:50], b[:50])
    truth = [np.corrcoef(one[:, i], other[:, i])[0, 1] for i in range(3)]
    assert axes.correlations.numpy() == pytest.approx(truth, abs=1e-5)
    one, other = peer.transform(a[50:], b[50:])
    truth = np.mean([np.corrcoef(one[:, i], other[:, i])[0, 1] for i in range(3)])
    assert canonical_correlation(a[50:], b[50:], axes).item() == pytest.approx(truth, abs=1e-5)
    on_train = canonical_correlation(a[:50], b[:50], axes)
    assert on_train.item() == pytest.approx(axes.correlations.mean().item())


def test_what_is_the_same_correlates_and_what_was_shuffled_does_not() -> None:
    a = draws(4000, 3, 11)
    b = a @ draws(3, 3, 12)  # an invertible map
    axes = fit_canonical_axes(a[:2000], b[:2000])
    assert canonical_correlation(a[2000:], b[2000:], axes).item() == pytest.approx(1)
    assert canonical_cosine(a[2000:], b[2000:], axes).item() == pytest.approx(1)
    order = torch.randperm(2000, generator=torch.Generator().manual_seed(0))
    assert abs(canonical_correlation(a[2000:], b[2000:][order], axes).item()) < 0.05
    assert abs(canonical_cosine(a[2000:], b[2000:][order], axes).item()) < 0.05


def test_variates_have_unit_variance_and_singular_features_will_do() -> None:
    a = draws(100, 3, 13)
    b = torch.cat([a[:, :2], a[:, :1] + a[:, 1:2], torch.ones(100, 1)], 1)  # rank 2
    axes = fit_canonical_axes(a, b)
    assert len(axes.correlations) == 2
    for variates in axes.project(a, b):
        assert torch.allclose(variates.T.cov(), torch.eye(2, dtype=torch.float64), atol=1e-8)
    shrunk = fit_canonical_axes(a, b, components=1, ridge=10.0)
    assert shrunk.correlations.item() < 0.5
    constant = torch.ones(9, 3)
    assert canonical_correlation(constant, torch.ones(9, 4), axes).item() == 0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: frechet_distance(torch.ones(3, 2), torch.ones(3, 4)), r"\(3, 2\) and \(3, 4\)"),
        (lambda: frechet_distance(torch.ones(1, 2), torch.ones(3, 2)), "at least 2 rows"),
        (
            lambda: frechet_distance(torch.tensor([[0.0], [float("nan")]]), torch.ones(3, 1)),
            "row 1 is not",
        ),
        (lambda: manifold_precision(torch.ones(3, 2), torch.ones(9, 2)), "at least 4 rows"),
        (lambda: fit_canonical_axes(torch.ones(5, 2), torch.ones(4, 2)), "at least two rows"),
        (lambda: fit_canonical_axes(torch.ones(5, 2), torch.eye(5)), "do not vary"),
    ],
)
def test_errors_say_what_was_expected(call, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
