"""CMVAE: MMVAE+ with clusters in the shared latent space."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from polymodal.distributions.diagonal import Family
from polymodal.fusion.moe import MixtureOfExperts
from polymodal.model import LatentModel, Modality, MultimodalVAE
from polymodal.models.clustered import ClusteredVAE
from polymodal.models.diffused import DiffusedVAE
from polymodal.objectives.auxiliary import AuxiliaryBound
from polymodal.objectives.schedules import Schedule
from polymodal.posteriors.fused import FusedPosterior
from polymodal.priors.auxiliary import AuxiliaryPrior
from polymodal.priors.blocks import BlockPrior
from polymodal.priors.mixture import MixturePrior
from polymodal.recipes.build import fused_vae, layout_of
from polymodal.recipes.registry import recipe


@recipe(
    paper="Deep Generative Clustering with Multimodal Diffusion Variational Autoencoders",
    authors="Emanuele Palumbo and Laura Manduchi and Sonia Laguna and Daphne Chopard and "
    "Julia Vogt",
    year=2024,
    url="https://openreview.net/forum?id=k5THrhXDV3",
    equation="1/M sum_m E log 1/K sum_k p(x_m|z,w_m) prod_{n!=m} p(x_n|z,w~_n) "
    "[exp(sum_c q(c|z) log pi_c p(z|c)/q(c|z)) p(w_m) / q(z|x) q(w_m|x_m)]^beta,  "
    "q(c|z) = pi_c p(z|c) / p(z)",
    parts=(
        MixtureOfExperts,
        AuxiliaryBound,
        AuxiliaryPrior,
        FusedPosterior,
        BlockPrior,
        MixturePrior,
        ClusteredVAE,
        DiffusedVAE,
    ),
    differs=(
        "q(c|z) is the exact posterior of the cluster, with which the paper's sum over clusters "
        "is log p(z); it is computed as that.",
        "Diffusion decoders, for images and vectors, are trained where diffusion=True: then the "
        "second half of the epochs is theirs. They have 100 steps (DiffuseVAE: 1,000).",
        "Clusters that no row uses are pruned when training ends, as the paper does, for all that "
        "is asked afterwards; prune=False keeps them. Of several modalities' assignments the mean "
        "decides (the release: the mode).",
        "Components are normal by default (the release: Laplace).",
        "beta is 1 (the release: 2.5 on PolyMNIST), because likelihoods here learn their scale.",
        "What differs for mmvaeplus differs here as well: gradient, heads, absent modalities.",
    ),
)
def cmvae(
    modalities: Sequence[Modality],
    *,
    latent_dim: int = 32,
    private_dim: int = 16,
    clusters: int = 40,
    learn_scales: bool = False,
    learn_weights: bool = True,
    samples: int = 1,
    beta: float | Schedule = 1.0,
    estimator: Literal["dreg", "iwae"] = "dreg",
    family: Family = "normal",
    prune: bool = True,
    diffusion: bool = False,
) -> LatentModel:
    """MMVAE+ whose shared latent has a mixture prior, one component a cluster."""
    layout = layout_of(modalities, latent_dim, private_dim)
    auxiliary = AuxiliaryPrior(list(layout.private.values()), family)
    mixture = MixturePrior(
        latent_dim, clusters, family, learn_scales=learn_scales, learn_weights=learn_weights
    )
    vae = fused_vae(
        modalities,
        MixtureOfExperts(),
        AuxiliaryBound(auxiliary, samples, beta, estimator),
        latent_dim=latent_dim,
        private_dim=private_dim,
        family=family,
        scale_rule="softmax" if family == "laplace" else "softplus",
        prior=BlockPrior(mixture, layout.private_dim, family),
        kind=ClusteredVAE if prune else MultimodalVAE,
    )
    return DiffusedVAE(vae) if diffusion else vae
