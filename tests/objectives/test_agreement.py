"""The two parts of a row: their private scales and their agreement, term by term."""

from __future__ import annotations

import math

import pytest
import torch
from tests.helpers import linear, noise, small_modalities
from torch import Tensor
from torch.distributions import Normal, kl_divergence

from polymodal.model import MultimodalVAE
from polymodal.objectives import SplitELBO
from polymodal.objectives.contrast import info_nce
from polymodal.objectives.split import _size, alike, split_rows
from polymodal.random import seeded
from polymodal.recipes import RECIPES

TRUTH = linear(2)
ROWS = 12
X, PRESENT = TRUTH.sample(ROWS), TRUTH.present(ROWS)
ON = torch.stack([PRESENT[name] for name in TRUTH.names])
SHARED, PRIVATE = 3, 2
WEIGHTS = {"a": 1.0, "b": 0.5, "c": 2.0}


def build(agreement: float, beta: float) -> MultimodalVAE:
    with seeded(4):
        modalities = small_modalities(TRUTH, WEIGHTS)
        model = RECIPES["polymodal"].build(
            modalities, latent_dim=SHARED, private_dim=PRIVATE, agreement=agreement, beta=beta
        )
    return model.double()


def standard(dim: int) -> Normal:
    return Normal(torch.zeros(dim).double(), torch.ones(dim).double())


def among(paired: Tensor) -> Tensor:
    return paired & paired.unsqueeze(1)


def test_info_nce_is_its_definition() -> None:
    with seeded(1):
        one, other = torch.randn(2, 7, 4).double()
    paired = torch.tensor([True, True, False, True, True, False, True])
    found = info_nce(one, other, among(paired), temperature=0.3)
    for i in range(7):
        if not paired[i]:
            assert found[i] == 0
            continue
        cosine = [
            [
                float(torch.cosine_similarity(a[i], b[j], dim=0)) / 0.3
                for j in range(7)
                if paired[j]
            ]
            for a, b in ((one, other), (other, one))
        ]
        own = float(torch.cosine_similarity(one[i], other[i], dim=0)) / 0.3
        expected = [math.log(sum(math.exp(s) for s in row)) - own for row in cosine]
        assert float(found[i]) == pytest.approx(sum(expected) / 2, rel=1e-12)
    everyone = torch.ones(5, 5, dtype=torch.bool)
    assert float(info_nce(torch.eye(5), torch.eye(5), everyone, 0.01).max()) < 1e-12
    blind = info_nce(torch.ones(5, 3), torch.ones(5, 3), everyone)
    torch.testing.assert_close(blind, torch.full((5,), math.log(5)))


@pytest.mark.parametrize("correlation", [0.5, 0.9, 0.99])
def test_it_bounds_the_information_of_gaussian_views(correlation: float) -> None:
    """Two dimensions of known mutual information; the mean over batches is below it."""
    n, rows = 400, 16
    with seeded(2):
        one, noise_of = torch.randn(2, n, rows, 2).double()
    other = correlation * one + (1 - correlation**2) ** 0.5 * noise_of
    everyone = torch.ones(rows, rows, dtype=torch.bool)
    found = torch.stack(
        [math.log(rows) - info_nce(a, b, everyone).mean() for a, b in zip(one, other, strict=True)]
    )
    information = -math.log(1 - correlation**2)
    assert float(found.mean() - 4 * found.std() / n**0.5) < min(information, math.log(rows))


def test_half_precision_does_not_round_the_cosines() -> None:
    with seeded(3):
        one, other = torch.randn(2, 64, 8)
    everyone = torch.ones(64, 64, dtype=torch.bool)
    with torch.autocast("cpu", torch.bfloat16):
        found = info_nce(one, other, everyone)
    torch.testing.assert_close(found, info_nce(one, other, everyone), rtol=0, atol=0)


def test_a_row_alone_has_nothing_to_agree_with_and_no_broken_gradient() -> None:
    one = torch.randn(1, 3, requires_grad=True)
    for paired in (True, False):
        loss = info_nce(one, torch.randn(1, 3), torch.tensor([[paired]])).sum()
        (gradient,) = torch.autograd.grad(loss, one)
        assert loss == 0
        assert torch.isfinite(gradient).all()


def test_the_loss_is_the_formula() -> None:
    alpha, beta = 0.2, 0.7
    model = build(alpha, beta)
    objective = model.objective
    assert isinstance(objective, SplitELBO)
    assert objective.log_scale is not None
    with seeded(2), torch.no_grad():
        objective.log_scale.copy_(torch.randn(6).double())
    posterior = model.posterior
    encoded = posterior.encode(X, PRESENT)
    with seeded(3), noise(torch.zeros):
        terms = model.loss(X, PRESENT, 0)
    with seeded(3):
        parts, two = split_rows(ON)
    q = posterior.fuse(encoded, parts)
    numbers = sum(X[name].shape[1] * PRESENT[name] for name in TRUTH.names)
    away = info_nce(*q.loc[0, ..., :SHARED].unbind(0), alike(ON, two))
    assert terms.compared is not None
    torch.testing.assert_close(terms.compared, (alpha * numbers * away).detach())
    own = objective.log_scale.exp().reshape(3, PRIVATE)
    assert two.any()
    for row in range(ROWS):
        expected = alpha * numbers[row] * away[row]
        for part in range(2):
            z, scale = q.loc[0, part, row], q.scale[0, part, row]
            decoded = model.decode(z.unsqueeze(0), TRUTH.names)
            fit = sum(
                WEIGHTS[name] * decoded[name].log_prob(X[name][row : row + 1])[0]
                for name in TRUTH.names
                if PRESENT[name][row]
            )
            kl = kl_divergence(Normal(z[:SHARED], scale[:SHARED]), standard(SHARED)).sum()
            for m in range(3):
                at = slice(SHARED + m * PRIVATE, SHARED + (m + 1) * PRIVATE)
                if parts[m, part, row]:
                    prior = Normal(torch.zeros(PRIVATE).double(), own[m])
                    kl = kl + kl_divergence(Normal(z[at], scale[at]), prior).sum()
                else:
                    assert (z[at] == 0).all()
                    assert (scale[at] == 1).all()
            expected = expected + 0.5 * (beta * kl - fit)
        torch.testing.assert_close(terms.loss[row], expected)


def test_a_split_is_two_parts_of_what_is_there() -> None:
    with seeded(5):
        parts, two = split_rows(ON)
    one, other = parts.unbind(1)
    assert (one | other == ON).all()
    assert not (one & other & two).any()
    assert (one == other)[:, ~two].all()
    assert one.any(0)[ON.any(0)].all()


def test_agreement_that_is_no_weight_is_refused() -> None:
    for wrong in (-1.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="agreement must be at least 0"):
            SplitELBO(agreement=wrong)


def test_rows_are_compared_with_those_that_have_the_same() -> None:
    with seeded(6):
        _, two = split_rows(ON)
    found = alike(ON, two)
    for i in range(ROWS):
        for j in range(ROWS):
            same = bool((ON[:, i] == ON[:, j]).all())
            assert bool(found[i, j]) == (same and bool(two[i]) and bool(two[j]))


def test_the_weight_counts_numbers_of_pictures_cells_of_tables_and_the_length_of_texts() -> None:
    x = {"a": torch.zeros(2, 3, 4, 5), "b": torch.zeros(2, 6), "c": torch.zeros(2, 7).long()}
    cells = torch.tensor([[True] * 6, [True, False] * 3])
    present = {"a": torch.tensor([True, False]), "b": cells, "c": torch.tensor([False, True])}
    assert _size(x, present, x).tolist() == [60 + 6, 3 + 7]
