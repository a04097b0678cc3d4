from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.metrics import label_ranking_average_precision_score
from sklearn.metrics.pairwise import cosine_similarity

from polymodal.metrics import average_precision_error, cosine_error


def test_average_precision_is_that_of_scikit_learn() -> None:
    chance = np.random.default_rng(0)
    truth = (chance.random((200, 7)) < 0.3).astype(float)
    said = np.round(chance.random((200, 7)), 1)  # with ties
    found = average_precision_error(torch.tensor(said), torch.tensor(truth))
    for i in range(200):
        wanted = label_ranking_average_precision_score(truth[i : i + 1], said[i : i + 1])
        assert found[i].item() == pytest.approx(1 - wanted, abs=1e-12)


def test_average_precision_at_its_ends() -> None:
    truth = torch.tensor([[1.0, 1, 0, 0], [0, 0, 0, 0], [1, 1, 1, 1]])
    best = torch.tensor([[0.9, 0.8, 0.1, 0.2]]).expand(3, 4)
    assert average_precision_error(best, truth).tolist() == [0, 0, 0]
    worst = average_precision_error(-best[:1], truth[:1])
    assert worst.item() == pytest.approx(1 - (1 / 3 + 2 / 4) / 2)
    assert average_precision_error(truth[:0], truth[:0]).shape == (0,)


def test_cosine_error_is_that_of_scikit_learn() -> None:
    a, b = torch.randn(2, 50, 6, generator=torch.Generator().manual_seed(0)).double()
    wanted = 1 - np.diag(cosine_similarity(a.numpy(), b.numpy()))
    np.testing.assert_allclose(cosine_error(a, b).numpy(), wanted, atol=1e-12)
    assert cosine_error(torch.zeros(1, 3), torch.ones(1, 3)).item() == 1
