from __future__ import annotations

import math

import pytest
import torch
from sklearn.metrics import accuracy_score, balanced_accuracy_score

from polymodal.metrics import (
    accuracy,
    chance_agreement,
    class_entropy,
    class_shares,
    macro_accuracy,
    total_variation,
)


def codes(n: int, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.multinomial(torch.tensor([0.6, 0.3, 0.1]), n, True, generator=generator)


def test_accuracies_are_those_of_scikit_learn() -> None:
    said, truth = codes(200, 0), codes(200, 1)
    assert accuracy(said, truth).item() == pytest.approx(accuracy_score(truth, said))
    balanced = balanced_accuracy_score(truth, said)
    assert macro_accuracy(said, truth).item() == pytest.approx(balanced)
    kept = torch.arange(200) % 3 > 0
    part = macro_accuracy(said, truth, kept).item()
    assert part == pytest.approx(balanced_accuracy_score(truth[kept], said[kept]))


def test_weights_count_rows_several_times() -> None:
    said, truth = codes(30, 0), codes(30, 1)
    times = torch.randint(1, 4, (2, 30), generator=torch.Generator().manual_seed(2))
    for metric in (accuracy, macro_accuracy):
        weighted = metric(said, truth, None, times.double())
        for value, one in zip(weighted, times, strict=True):
            repeated = metric(said.repeat_interleave(one), truth.repeat_interleave(one))
            assert value.item() == pytest.approx(repeated.item())


def test_a_constant_has_a_macro_accuracy_of_one_over_the_classes() -> None:
    truth = torch.tensor([0, 0, 0, 0, 1, 2])
    said = torch.zeros_like(truth)
    assert accuracy(said, truth).item() == pytest.approx(4 / 6)
    assert macro_accuracy(said, truth).item() == pytest.approx(1 / 3)
    assert macro_accuracy(truth, truth).item() == 1
    assert math.isnan(macro_accuracy(said, truth, torch.zeros(6, dtype=torch.bool)).item())


def test_shares_entropy_and_distance_by_hand() -> None:
    shares = class_shares(torch.tensor([0, 0, 1, -1]), 3)
    assert shares.tolist() == pytest.approx([2 / 3, 1 / 3, 0])
    h = -(2 / 3 * math.log(2 / 3) + 1 / 3 * math.log(1 / 3))
    assert class_entropy(shares).item() == pytest.approx(h / math.log(3))
    even = torch.full((3,), 1 / 3, dtype=torch.float64)
    assert class_entropy(even).item() == pytest.approx(1)
    assert class_entropy(torch.tensor([0.0, 1.0, 0.0])).item() == 0
    assert total_variation(shares, even).item() == pytest.approx(1 / 3)
    assert total_variation(even, even).item() == 0
    assert class_shares(torch.tensor([-1]), 3).tolist() == [0, 0, 0]
    with pytest.raises(ValueError, match="at least two"):
        class_entropy(torch.ones(1))


def test_chance_agreement_is_the_sum_over_all_that_agree() -> None:
    a, b = torch.tensor([0.2, 0.8]), torch.tensor([0.5, 0.5])
    assert chance_agreement(torch.stack([a, b])).item() == pytest.approx(0.5)
    assert chance_agreement(torch.stack([a, a, b])).item() == pytest.approx(
        0.2 * 0.2 * 0.5 + 0.8 * 0.8 * 0.5
    )
    one = torch.tensor([0.0, 1.0])
    assert chance_agreement(torch.stack([one, one])).item() == 1
