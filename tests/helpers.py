"""Lists of instances, and noise that is chosen instead of drawn."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from unittest import mock

import torch
from torch import Tensor

from polymodal.fusion import (
    ConsensusOfExperts,
    GeometricMean,
    HellingerPool,
    HoelderPool,
    MixtureOfBarycentres,
    MixtureOfExperts,
    MixtureOfProducts,
    ProductOfExperts,
    WassersteinBarycentre,
)
from polymodal.likelihoods import (
    AutoregressiveTextLikelihood,
    BernoulliLikelihood,
    GaussianLikelihood,
    MixedLikelihood,
)
from polymodal.model import Modality
from polymodal.networks import (
    ConvDecoder,
    ConvEncoder,
    MLPDecoder,
    MLPEncoder,
    TableEncoder,
    TextContext,
    TextEncoder,
    TextStepDecoder,
    VectorEncoder,
)
from polymodal.testing.linear import LinearGaussian
from polymodal.typing import Column

FUSIONS = [
    ProductOfExperts("always"),
    ProductOfExperts("full"),
    ProductOfExperts("never"),
    MixtureOfExperts(),
    MixtureOfProducts("always"),
    MixtureOfProducts("full"),
    MixtureOfProducts("never"),
    ConsensusOfExperts(0.5),
    ConsensusOfExperts(-0.3),
    WassersteinBarycentre(),
    MixtureOfBarycentres(),
    HoelderPool(),
    HellingerPool(),
    GeometricMean(),
]
DRAWN_FUSION = MixtureOfProducts("full", max_strata=4)


def names_of(instances: Sequence[object]) -> list[str]:
    """Names for pytest: the class and what tells one instance from another."""
    told = ("anchor", "rho")
    return [
        " ".join([type(i).__name__, *(str(getattr(i, t)) for t in told if hasattr(i, t))])
        for i in instances
    ]


def linear(latent_dim: int = 2, *, orthogonal: bool = True) -> LinearGaussian:
    return LinearGaussian({"a": 3, "b": 4, "c": 2}, latent_dim, orthogonal=orthogonal)


def small_modalities(truth: LinearGaussian, weights: dict[str, float]) -> list[Modality]:
    """Small networks and a known scale for the modalities of a linear model."""
    return [
        Modality(
            n,
            MLPEncoder(m.weight.shape[0], (6,)),
            lambda dim, m=m: MLPDecoder(dim, (m.weight.shape[0],), (6,)),
            GaussianLikelihood(m.weight.shape[0], 0.8),
            weights[n],
        )
        for n, m in truth.modalities.items()
    ]


@contextmanager
def noise(make: Callable[[torch.Size], Tensor]) -> Iterator[None]:
    """Posteriors draw ``make(shape)``, shape ``(..., D)``, instead of standard noise."""

    def chosen(like: Tensor, family: str) -> Tensor:
        return make(like.shape).to(like).expand(like.shape)

    with (
        mock.patch("polymodal.distributions.strata.standard_draw", chosen),
        mock.patch("polymodal.distributions.diagonal.standard_draw", chosen),
    ):
        yield


def cubature(shape: torch.Size) -> Tensor:
    """``2 D`` points along the first axis: over them quadratics have their expectation as mean."""
    dim = shape[-1]
    points = math.sqrt(dim) * torch.cat([torch.eye(dim), -torch.eye(dim)]).double()
    return points.reshape(2 * dim, *(1,) * (len(shape) - 2), dim)


COLUMNS = (
    Column("weight", "number"),
    Column("colour", "category", 3),
    Column("visits", "count"),
    Column("grade", "ordinal", 4),
)
# The names are those that other libraries stumble over.
NUMBERS, TABLE, IMAGE, TEXT = "keys", "type", "a.b", "a_b"
LENGTH, VOCABULARY = 5, 9


def real_modalities() -> list[Modality]:
    """A vector with cells, a table with cells, an image and a text, with the library's parts."""
    table = MixedLikelihood(COLUMNS)
    step = TextStepDecoder(8, LENGTH, VOCABULARY, width=8, layers=1, heads=2)
    return [
        Modality(
            NUMBERS,
            VectorEncoder(3, (8,)),
            lambda dim: MLPDecoder(dim, (3,), (8,)),
            GaussianLikelihood(3, "feature"),
        ),
        Modality(
            TABLE,
            TableEncoder(COLUMNS, (8,)),
            lambda dim: MLPDecoder(dim, table.parameter_shape, (8,)),
            table,
            weight=2.0,
        ),
        Modality(
            IMAGE,
            ConvEncoder((1, 8, 8), (2,), (8,), activation="silu"),
            lambda dim: ConvDecoder(dim, (1, 8, 8), (2,), (8,), activation="silu"),
            BernoulliLikelihood((1, 8, 8)),
        ),
        Modality(
            TEXT,
            TextEncoder(LENGTH, VOCABULARY, width=8, layers=1, heads=2),
            lambda dim: TextContext(dim, 8, (8,)),
            AutoregressiveTextLikelihood(LENGTH, VOCABULARY, step),
        ),
    ]


def real_batch(n_rows: int = 6) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Values and presence for ``real_modalities``: row 0 has nothing, rows 1 and 2 everything."""
    generator = torch.Generator().manual_seed(3)

    def chance(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=generator)

    table = torch.stack([chance(n_rows), *((chance(n_rows) * n).floor() for n in (3, 6, 4))], 1)
    text = (chance(n_rows, LENGTH) * (VOCABULARY - 3)).long() + 3
    text[:, 3], text[:, 4] = 2, 0
    x = {NUMBERS: chance(n_rows, 3), TABLE: table, IMAGE: chance(n_rows, 1, 8, 8), TEXT: text}
    present = {
        NUMBERS: chance(n_rows, 3) < 0.6,
        TABLE: chance(n_rows, 4) < 0.6,
        IMAGE: chance(n_rows) < 0.6,
        TEXT: chance(n_rows) < 0.6,
    }
    for mask in present.values():
        mask[0], mask[1:3] = False, True
        mask[-1] = False
    present[IMAGE][-1] = True  # the last row has an image alone
    return x, present
