"""DMVAE: private and shared latents, reconstructed from every source of the shared one."""

from __future__ import annotations

from collections.abc import Sequence

from polymodal.fusion.poe import ProductOfExperts
from polymodal.model import Modality, MultimodalVAE
from polymodal.objectives.private_shared import PrivateShared
from polymodal.objectives.schedules import Schedule
from polymodal.posteriors.fused import FusedPosterior
from polymodal.priors.standard import StandardPrior
from polymodal.recipes.build import fused_vae
from polymodal.recipes.registry import recipe


@recipe(
    paper="Private-Shared Disentangled Multimodal VAE for Learning of Hybrid Latent "
    "Representations",
    authors="Mihee Lee and Vladimir Pavlovic",
    year=2021,
    url="https://arxiv.org/abs/2012.13024",
    equation="sum_m sum_c E log p(x_m|w_m, z_c) - beta KL_tc(q(w_m|x_m) q_c(z) || p),  "
    "c = all, m, each other modality,  q(z|x_S) = N(0, I) prod_m q(z|x_m)",
    parts=(ProductOfExperts, PrivateShared, FusedPosterior, StandardPrior),
    differs=(
        "The released code overwrites the reconstructions from the product with zero and keeps "
        "their divergence; here they are kept.",
        "As in the paper, a modality is decoded with its own private block in training, wherever "
        "the shared one comes from; at test that of an absent modality is drawn from p(w).",
        "tc weighs the total correlation of the divergence; at 1, the default, the divergence is "
        "the plain closed-form one, otherwise rows of a batch depend on each other.",
        "private_dim is 1 for every modality (the paper: 1 for MNIST and 4 for SVHN, shared 10): "
        "on small data larger private blocks take over what is shared.",
        "Rows with absent modalities are trained on: sums are over what is present. A row that "
        "has one modality counts it as all and as itself.",
    ),
)
def dmvae_private(
    modalities: Sequence[Modality],
    *,
    latent_dim: int = 32,
    private_dim: int = 1,
    beta: float | Schedule = 1.0,
    tc: float = 1.0,
) -> MultimodalVAE:
    """Product of experts and private latents; every modality from every source of the shared."""
    return fused_vae(
        modalities,
        ProductOfExperts(anchor="always"),
        PrivateShared(beta, tc),
        latent_dim=latent_dim,
        private_dim=private_dim,
    )
