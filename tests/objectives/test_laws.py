"""Every objective obeys the laws, with every fusion that it can take."""

from __future__ import annotations

import pytest
import torch
from tests.helpers import DRAWN_FUSION, FUSIONS, linear, names_of, noise
from torch import nn

from polymodal.fusion import (
    ConsensusOfExperts,
    HoelderPool,
    MixtureOfExperts,
    MixtureOfProducts,
    ProductOfExperts,
)
from polymodal.fusion.experts import Fusion
from polymodal.objectives import (
    ELBO,
    IWAE,
    ComponentELBO,
    DReG,
    SplitELBO,
    SubsampledELBO,
    TotalCorrelation,
    WeightedSubsets,
)
from polymodal.testing import check_objective, check_posterior

TRUTH = linear(2)
X, PRESENT = TRUTH.sample(8), TRUTH.present(8)
for mask in PRESENT.values():
    mask[2] = True

CASES: list[tuple[Fusion, nn.Module]] = [
    *((fusion, ELBO()) for fusion in FUSIONS),
    *(
        (MixtureOfProducts("full"), ELBO(samples=2, strata=strata, divergence=divergence))
        for strata in ("all", "one")
        for divergence in ("mixture", "convex")
    ),
    (MixtureOfExperts(), IWAE(3)),
    (MixtureOfProducts(), IWAE(2, tight=True)),
    (MixtureOfExperts(), DReG(1)),
    (MixtureOfProducts("never"), DReG(3)),
    (ProductOfExperts("always"), SubsampledELBO(2)),
    (ProductOfExperts("never"), TotalCorrelation()),
    (ProductOfExperts("never"), SplitELBO()),
    (ConsensusOfExperts(0.5), WeightedSubsets(3, "learned")),
    (ConsensusOfExperts(0.5), WeightedSubsets(3, "closed", 2.0)),
    (HoelderPool(), ComponentELBO(samples=2)),
    (HoelderPool(), ComponentELBO(divergence="convex")),
]


@pytest.mark.parametrize(
    ("fusion", "objective"),
    CASES,
    ids=[" ".join(names_of(case)) + f" {i}" for i, case in enumerate(CASES)],
)
def test_every_objective_obeys_the_laws(fusion: Fusion, objective: nn.Module) -> None:
    model = TRUTH.build(fusion, objective, inflate=1.3)
    for _, law in check_objective(model, X, PRESENT):
        law()


@pytest.mark.parametrize("fusion", FUSIONS, ids=names_of(FUSIONS))
def test_every_fused_posterior_obeys_the_laws(fusion: Fusion) -> None:
    for _, law in check_posterior(TRUTH.build(fusion, ELBO()).posterior, X, PRESENT):
        law()


def test_drawn_strata_have_finite_losses_and_gradients() -> None:
    for objective in (ELBO(), IWAE(2), DReG(2)):
        for name, law in check_objective(TRUTH.build(DRAWN_FUSION, objective), X, PRESENT):
            if "rows_are_independent" not in name:
                law()


def test_loss_of_a_batch_is_the_losses_of_its_rows() -> None:
    for fusion, objective in CASES:
        drawn = getattr(objective, "strata", "all") == "one" or getattr(objective, "subsets", 0)
        if drawn or isinstance(objective, SplitELBO):
            continue  # their discrete draws depend on the place in the batch
        model = TRUTH.build(fusion, objective, inflate=1.3)
        with noise(lambda shape: torch.full(shape, 0.7)), torch.no_grad():
            together = model.loss(X, PRESENT, 0)
            alone = [
                model.loss(
                    {n: v[i : i + 1] for n, v in X.items()},
                    {n: v[i : i + 1] for n, v in PRESENT.items()},
                    0,
                )
                for i in range(8)
            ]
        torch.testing.assert_close(together.loss, torch.cat([terms.loss for terms in alone]))
        for name, value in together.parts.items():
            torch.testing.assert_close(value, torch.cat([terms.parts[name] for terms in alone]))
