"""MVAE: a product of experts with the sub-sampled ELBO."""

from __future__ import annotations

from collections.abc import Sequence

from polymodal.fusion.poe import ProductOfExperts
from polymodal.model import Modality, MultimodalVAE
from polymodal.objectives.schedules import Schedule
from polymodal.objectives.subsampled import SubsampledELBO
from polymodal.posteriors.fused import FusedPosterior
from polymodal.priors.standard import StandardPrior
from polymodal.recipes.build import fused_vae
from polymodal.recipes.registry import recipe


@recipe(
    paper="Multimodal Generative Models for Scalable Weakly-Supervised Learning",
    authors="Mike Wu and Noah Goodman",
    year=2018,
    url="https://arxiv.org/abs/1802.05335",
    equation="ELBO(S) + sum_m ELBO({m}) + sum_j ELBO(S_j),  q(z|x_S) = N(0, I) prod_m q(z|x_m)",
    parts=(ProductOfExperts, SubsampledELBO, FusedPosterior, StandardPrior),
    differs=(
        "The released code adds 1e-8 to variances twice; here scales have a floor instead.",
        "The released CelebA script drops the likelihood weights in its sub-sampled terms; "
        "here every term has them.",
        "Random subsets are drawn by default where there are more than two modalities.",
        "A row that has one modality counts its ELBO as that of the full set and of the modality.",
        "Each encoder runs once a step, whatever the number of subsets.",
    ),
)
def mvae(
    modalities: Sequence[Modality],
    *,
    latent_dim: int = 32,
    private_dim: int = 0,
    subsets: int | None = None,
    beta: float | Schedule = 1.0,
) -> MultimodalVAE:
    """Product of experts with a prior expert; ELBOs of the full set, singletons and subsets."""
    if subsets is None:
        subsets = 1 if len(modalities) > 2 else 0
    return fused_vae(
        modalities,
        ProductOfExperts(anchor="always"),
        SubsampledELBO(subsets, beta),
        latent_dim=latent_dim,
        private_dim=private_dim,
    )
