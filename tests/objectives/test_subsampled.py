"""The sub-sampled ELBO is a sum of ELBOs, each with its own posterior."""

from __future__ import annotations

import pytest
import torch
from tests.helpers import cubature, linear, noise
from tests.objectives import by_hand
from torch import Tensor

from polymodal.fusion import MixtureOfExperts, ProductOfExperts
from polymodal.objectives import ELBO, SubsampledELBO
from polymodal.objectives.subsampled import draw_proper_subsets
from polymodal.random import seeded

TRUTH = linear(2)
X, PRESENT = TRUTH.sample(12), TRUTH.present(12)
ON = torch.stack(list(PRESENT.values()))


def masked(on: Tensor) -> dict[str, Tensor]:
    return dict(zip(TRUTH.names, on, strict=True))


def exact_elbo(on: Tensor, inflate: float) -> Tensor:
    """The ELBO of a set of modalities in closed form, zero where the set is empty."""
    model = TRUTH.build(ProductOfExperts(), ELBO(), inflate=inflate)
    q = model.posterior(X, masked(on))
    elbo = TRUTH.elbo(X, masked(on), q.loc[0], q.scale[0])
    return torch.where(on.any(0), elbo, 0.0).detach()


def rows(repeats: int) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    x = {n: v.repeat_interleave(repeats, 0) for n, v in X.items()}
    return x, {n: v.repeat_interleave(repeats, 0) for n, v in PRESENT.items()}


def test_loss_is_the_sum_of_exact_elbos() -> None:
    model = TRUTH.build(ProductOfExperts(), SubsampledELBO(), inflate=1.4)

    def points(shape: torch.Size) -> Tensor:  # every row four times, once a point
        return cubature(shape)[:, 0].reshape(-1, 2).repeat(12, 1).reshape(1, 1, 1, 48, 2)

    with noise(points), torch.no_grad():
        loss = model.loss(*rows(4), 0).loss.reshape(12, 4).mean(1)
    sets = [ON] + [ON & (torch.arange(3) == m).unsqueeze(1) for m in range(3)]
    expected = -sum(exact_elbo(on, 1.4) for on in sets)
    torch.testing.assert_close(loss, expected, rtol=1e-10, atol=1e-10)
    assert loss[0] == 0


def test_random_subsets_are_elbos_of_their_own() -> None:
    """With every draw at the posterior's mean the sum holds draw by draw."""
    full = TRUTH.build(ProductOfExperts(), SubsampledELBO(subsets=2), inflate=1.4)
    plain = TRUTH.build(ProductOfExperts(), ELBO(), inflate=1.4)
    with noise(torch.zeros), torch.no_grad():
        with seeded(3):
            loss = full.loss(X, PRESENT, 0).loss
        with seeded(3):
            chosen = draw_proper_subsets(ON, 2)  # (M, 2, B)
        sets = [ON] + [ON & (torch.arange(3) == m).unsqueeze(1) for m in range(3)]
        sets += [chosen[:, 0], chosen[:, 1]]
        expected = sum(plain.loss(X, masked(on), 0).loss for on in sets)
    torch.testing.assert_close(loss, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("subsets", [0, 2])
def test_beta_weighs_the_divergence_of_every_set(subsets: int) -> None:
    objective = SubsampledELBO(subsets, beta=2.0)
    model = by_hand.TRUTH.build(
        ProductOfExperts("always"), objective, inflate=1.4, weights=by_hand.WEIGHTS
    )
    with noise(by_hand.eps), torch.no_grad():
        with seeded(3):
            loss = model.loss(by_hand.X, by_hand.PRESENT, 0).loss
        with seeded(3):
            drawn = draw_proper_subsets(by_hand.ON, 2)[:, :subsets]
        said = by_hand.Normals(by_hand.heads(1.4))
        expected = torch.zeros_like(loss)
        for held in (by_hand.ON, *by_hand.ALONE, *drawn.unbind(1)):
            q = said.product(held, prior=True)
            expected += 2.0 * by_hand.to_prior(q) - by_hand.fit(by_hand.draw(q), held)
    torch.testing.assert_close(loss, expected, rtol=1e-11, atol=1e-9)


def test_weights_of_likelihoods_count_in_every_term() -> None:
    names = TRUTH.names
    with noise(torch.zeros), torch.no_grad():
        plain = TRUTH.build(ProductOfExperts(), SubsampledELBO()).loss(X, PRESENT, 0)
        model = TRUTH.build(
            ProductOfExperts(), SubsampledELBO(), weights=dict.fromkeys(names, 2.0)
        )
        double = model.loss(X, PRESENT, 0)
    kl = plain.parts["kl"] + plain.parts["kl of subsets"]
    torch.testing.assert_close(double.loss - kl, 2 * (plain.loss - kl))


def test_subsets_are_uniform_in_size_then_in_members() -> None:
    on = torch.tensor([True, True, False, True]).unsqueeze(1)
    with seeded(0):
        chosen = draw_proper_subsets(on, 18_000)[..., 0]  # (M, k)
    assert not chosen[2].any()
    size = torch.bincount(chosen.sum(0), minlength=4)
    assert size[0] == 0
    assert float((size[1:] - 6000).abs().max()) < 5 * 6000**0.5
    pairs = chosen[:, chosen.sum(0) == 2].double().mean(1)
    assert float((pairs[[0, 1, 3]] - 2 / 3).abs().max()) < 0.03
    with seeded(0):
        assert not draw_proper_subsets(torch.zeros(3, 5, dtype=torch.bool), 4).any()


def test_a_mixture_is_refused_not_cut_to_its_first_stratum() -> None:
    model = TRUTH.build(MixtureOfExperts(), SubsampledELBO())
    with pytest.raises(ValueError, match="one stratum"):
        model.loss(X, PRESENT, 0)
