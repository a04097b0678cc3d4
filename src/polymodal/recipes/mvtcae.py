"""MVTCAE: a product of experts trained on a total-correlation objective."""

from __future__ import annotations

from collections.abc import Sequence

from polymodal.fusion.poe import ProductOfExperts
from polymodal.model import Modality, MultimodalVAE
from polymodal.objectives.schedules import Schedule
from polymodal.objectives.total_correlation import TotalCorrelation
from polymodal.posteriors.fused import FusedPosterior
from polymodal.priors.standard import StandardPrior
from polymodal.recipes.build import fused_vae
from polymodal.recipes.registry import recipe


@recipe(
    paper="Multi-View Representation Learning via Total Correlation Objective",
    authors="HyeongJoo Hwang and Geon-Hyeong Kim and Seunghoon Hong and Kee-Eung Kim",
    year=2021,
    url="https://openreview.net/forum?id=Q_eu4uXTpa",
    equation="(M-a)/M sum_m log p(x_m|z) - beta [a/M sum_m KL(q || q_m) + (1-a) KL(q || p)],  "
    "q = prod_m q_m",
    parts=(ProductOfExperts, TotalCorrelation, FusedPosterior, StandardPrior),
    differs=(
        "The release trains on complete rows; here M is the number of modalities a row has.",
        "The likelihood estimate that its code has from MoPoE's reduces the wrong axis and mixes "
        "rows; here it does not.",
        "beta is 1 (the release: 2.5), because likelihoods here learn their scale.",
    ),
)
def mvtcae(
    modalities: Sequence[Modality],
    *,
    latent_dim: int = 32,
    private_dim: int = 0,
    alpha: float = 5 / 6,
    beta: float | Schedule = 1.0,
) -> MultimodalVAE:
    """Product of experts without prior expert; unimodal posteriors regularise the joint one."""
    return fused_vae(
        modalities,
        ProductOfExperts(anchor="never"),
        TotalCorrelation(alpha, beta),
        latent_dim=latent_dim,
        private_dim=private_dim,
    )
