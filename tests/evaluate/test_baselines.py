from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor

from polymodal.evaluate.baselines import nearest_rows, predict


def linear_data(n: int = 80) -> tuple[np.ndarray, torch.Tensor]:
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(n, 4))
    target = inputs @ rng.normal(size=(4, 3)) + 2 + 0.1 * rng.normal(size=(n, 3))
    return inputs, torch.from_numpy(target)


def test_numbers_equal_scikit_learns() -> None:
    inputs, target = linear_data()
    known = torch.ones(60, dtype=torch.bool)
    found = predict("vector", inputs[:60], target[:60], known, inputs[60:])
    assert found is not None
    mean, y = target[:60].mean(0), target[:60].numpy()
    torch.testing.assert_close(found.mean, mean.expand(20, 3))
    ridge = RidgeCV(np.logspace(-2, 5, 15), alpha_per_target=True).fit(inputs[:60], y)
    np.testing.assert_allclose(found.linear, ridge.predict(inputs[60:]))
    knn = KNeighborsRegressor(5).fit(inputs[:60], y)
    np.testing.assert_allclose(found.knn, knn.predict(inputs[60:]))


def test_categories_equal_scikit_learns() -> None:
    inputs, target = linear_data()
    codes = (target[:, 0] > 2).double() + 2 * (target[:, 1] > 3)
    known = torch.ones(60, dtype=torch.bool)
    found = predict("category", inputs[:60], codes[:60], known, inputs[60:])
    assert found is not None
    y = codes[:60].long().numpy()
    logistic = LogisticRegression(max_iter=200, tol=1e-3).fit(inputs[:60], y)
    np.testing.assert_array_equal(found.linear, logistic.predict(inputs[60:]))
    knn = KNeighborsClassifier(5).fit(inputs[:60], y)
    np.testing.assert_array_equal(found.knn, knn.predict(inputs[60:]))
    assert set(found.mean.tolist()) == {float(np.bincount(y).argmax())}


def test_only_rows_that_have_the_target_are_seen() -> None:
    inputs, target = linear_data()
    known = torch.arange(60) % 3 > 0
    holes = torch.where(known[:, None], target[:60], torch.nan)
    found = predict("vector", inputs[:60], holes, known, inputs[60:])
    kept = known.numpy()
    full = predict(
        "vector", inputs[:60][kept], target[:60][known], torch.ones(40).bool(), inputs[60:]
    )
    assert found is not None
    assert full is not None
    for name, values in found.named().items():
        assert torch.equal(values, full.named()[name])


def test_absent_cells_of_a_vector_get_the_mean() -> None:
    target = torch.tensor([[1.0, torch.nan], [3.0, 4.0], [5.0, 8.0]])
    found = predict("vector", np.zeros((3, 0)), target, ~target.isnan(), np.zeros((2, 0)))
    assert found is not None
    for values in found.named().values():
        torch.testing.assert_close(values, torch.tensor([[3.0, 6.0]] * 2).double())


def test_text_baselines_are_texts_of_training_rows() -> None:
    texts = torch.tensor([[5, 2, 0], [6, 7, 2], [6, 7, 2], [8, 2, 0]])
    inputs = np.array([[0.0], [1.0], [2.0], [3.0]])
    known = torch.tensor([True, True, True, False])
    found = predict("text", inputs, texts, known, np.array([[-1.0], [1.1], [9.0]]))
    assert found is not None
    assert found.linear is None
    assert found.mean.tolist() == [[6, 7, 2]] * 3
    assert found.knn.tolist() == [[5, 2, 0], [6, 7, 2], [6, 7, 2]]


def test_images_are_averages_of_pixels() -> None:
    images, inputs = torch.rand(12, 1, 3, 3), np.arange(12.0)[:, None]
    found = predict("image", inputs, images, torch.ones(12).bool(), inputs[:2])
    assert found is not None
    assert found.linear is not None
    assert found.knn.shape == found.linear.shape == (2, 1, 3, 3)
    torch.testing.assert_close(found.knn[0], images[:5].double().mean(0))
    assert found.linear.min() >= 0
    assert found.linear.max() <= 1


@pytest.mark.parametrize("kind", ["number", "count", "category", "vector", "text"])
@pytest.mark.parametrize("rows", [1, 2])
def test_one_or_two_training_rows_are_enough(kind: str, rows: int) -> None:
    target = torch.full((rows, 3), 2) if kind in ("text", "vector") else torch.full((rows,), 2.0)
    found = predict(kind, np.ones((rows, 2)), target, torch.ones(rows).bool(), np.zeros((4, 2)))
    assert found is not None
    for values in found.named().values():
        assert (values == 2).all()
        assert len(values) == 4


def test_no_training_row_with_the_target_is_no_baseline() -> None:
    target = torch.full((3,), torch.nan)
    assert (
        predict("number", np.zeros((3, 1)), target, torch.zeros(3).bool(), np.ones((1, 1))) is None
    )


def test_ties_go_to_the_first_rows() -> None:
    given = np.array([[1.0], [0.0], [1.0], [0.0]])
    assert nearest_rows(given, np.array([[0.0], [1.0]]), 3).tolist() == [[1, 3, 0], [0, 2, 1]]


def test_counts_are_never_negative() -> None:
    inputs = np.arange(10.0)[:, None]
    target = torch.tensor([0.0, 0, 0, 0, 0, 1, 2, 3, 4, 5])
    found = predict("count", inputs, target, torch.ones(10).bool(), np.array([[-50.0]]))
    assert found is not None
    assert found.linear is not None
    assert found.linear.item() == 0.0
