from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn import metrics as sk

from polymodal.metrics import brier, error_rate, mae, r2, rmse
from polymodal.metrics.errors import brier_of_draws

CONTINUOUS = [
    (rmse, sk.root_mean_squared_error),
    (mae, sk.mean_absolute_error),
    (r2, sk.r2_score),
]


@pytest.mark.parametrize(("ours", "truth"), CONTINUOUS)
def test_errors_equal_scikit_learns(ours, truth) -> None:
    y, p = torch.randn(30, 4).double() + 100, torch.randn(30, 4).double() + 100
    expected = truth(y.numpy(), p.numpy(), multioutput="raw_values")
    np.testing.assert_allclose(ours(p, y).numpy(), expected, rtol=1e-10)


@pytest.mark.parametrize(("ours", "truth"), CONTINUOUS)
def test_weights_are_scikit_learns_sample_weights(ours, truth) -> None:
    y, p = torch.randn(30, 4).double(), torch.randn(30, 4).double()
    weights = torch.randint(0, 4, (5, 30))
    result = ours(p, y, weights=weights)
    assert result.shape == (5, 4)
    for w, row in zip(weights, result, strict=True):
        expected = truth(y.numpy(), p.numpy(), sample_weight=w.numpy(), multioutput="raw_values")
        np.testing.assert_allclose(row.numpy(), expected, rtol=1e-9)


@pytest.mark.parametrize("ours", [rmse, mae, r2])
def test_absent_values_do_not_count(ours) -> None:
    y, p = torch.randn(30, 3), torch.randn(30, 3)
    present = torch.rand(30, 3) < 0.6
    holes = torch.where(present, y, torch.nan)
    result = ours(p, holes, present)
    for j in range(3):
        here = present[:, j]
        torch.testing.assert_close(result[j], ours(p[here, j], y[here, j]))


def test_r2_of_a_constant_column_is_one_or_zero() -> None:
    y = torch.full((5, 2), 3.7)
    p = y.clone()
    p[0, 1] = 0.0
    assert r2(p, y).tolist() == [1.0, 0.0]
    one_value = torch.zeros(1, 5)
    one_value[0, 2] = 5
    result = r2(torch.arange(5.0), torch.arange(5.0).flip(0) * 1e4 / 3, weights=one_value)
    assert result.tolist() == [0.0]


def test_nothing_present_is_nan() -> None:
    assert rmse(torch.ones(3), torch.ones(3), torch.zeros(3, dtype=torch.bool)).isnan()
    assert r2(torch.ones(3), torch.ones(3), torch.zeros(3, dtype=torch.bool)).isnan()


def test_error_rate_is_one_minus_accuracy() -> None:
    y, p = torch.randint(3, (40,)), torch.randint(3, (40,))
    assert error_rate(p, y).item() == pytest.approx(1 - sk.accuracy_score(y, p))


def test_brier_equals_scikit_learns() -> None:
    probabilities = torch.rand(40, 3).double()
    probabilities /= probabilities.sum(1, keepdim=True)
    y = torch.randint(3, (40,))
    y[:3] = torch.arange(3)
    expected = sk.brier_score_loss(y, probabilities.numpy(), scale_by_half=False)
    assert brier(probabilities, y).item() == pytest.approx(expected)


def test_shapes_that_differ_are_refused() -> None:
    with pytest.raises(ValueError, match="same"):
        rmse(torch.ones(3), torch.ones(3, 1))
    with pytest.raises(ValueError, match="expected"):
        brier(torch.ones(3, 2), torch.ones(2))


def test_brier_of_draws_is_unbiased() -> None:
    """The mean over every possible set of draws, weighted by its chance, is the Brier score."""
    p = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)
    for n in (2, 3, 4):
        sets = torch.cartesian_prod(*[torch.arange(3)] * n).T  # (n, 3^n)
        chance = p[sets].prod(0)
        for truth in range(3):
            scores = brier_of_draws(sets, torch.full((sets.shape[1],), truth))
            expected = brier(p.unsqueeze(0), torch.tensor([truth]))
            torch.testing.assert_close((scores * chance).sum(), expected)
            assert scores.min() >= 0
            assert scores.max() <= 2


def test_brier_of_draws_is_the_mean_over_pairs() -> None:
    draws, y = torch.randint(4, (6, 10)), torch.randint(4, (10,))
    onehot = torch.nn.functional.one_hot(draws, 4) - torch.nn.functional.one_hot(y, 4)
    pairs = torch.einsum("inl,jnl->ijn", onehot, onehot).double()
    pairs = pairs.sum((0, 1)) - pairs.diagonal().sum(-1)
    torch.testing.assert_close(brier_of_draws(draws, y), pairs / 30)
    with pytest.raises(ValueError, match="at least 2"):
        brier_of_draws(draws[:1], y)
