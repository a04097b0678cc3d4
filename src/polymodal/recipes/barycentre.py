"""WB-VAE and MWB-VAE: Wasserstein barycentres of experts."""

from __future__ import annotations

from collections.abc import Sequence

from polymodal.fusion.barycentre import MixtureOfBarycentres, WassersteinBarycentre
from polymodal.model import Modality, MultimodalVAE
from polymodal.objectives.elbo import ELBO
from polymodal.objectives.schedules import Schedule
from polymodal.posteriors.fused import FusedPosterior
from polymodal.priors.standard import StandardPrior
from polymodal.recipes.build import fused_vae
from polymodal.recipes.registry import recipe

MAX_STRATA = 1023


@recipe(
    paper="Multimodal Variational Autoencoder: a Barycentric View",
    authors="Peijie Qiu and Wenhui Zhu and Sayantan Kumar and Xiwen Chen and Jin Yang and "
    "Xiaotong Sun and Abolfazl Razi and Yalin Wang and Aristeidis Sotiras",
    year=2025,
    url="https://arxiv.org/abs/2412.20487",
    equation="E_q sum_m log p(x_m|z) - beta/(2^M-1) sum_S KL(q_S || p),  "
    "q = 1/(2^M-1) sum_S q_S,  q_S = argmin sum_{m in S} W2^2(q_S, q_m)",
    parts=(MixtureOfBarycentres, WassersteinBarycentre, ELBO, FusedPosterior, StandardPrior),
    differs=(
        "The default is the mixture over subsets (MWB-VAE); subsets=False gives the one "
        "barycentre of what is present (WB-VAE).",
        "A modality that is absent removes the subsets that hold it, row by row.",
        "With private_dim, a modality is decoded with its own private block in training, also "
        "where z comes from a subset without it, so that its style can leak; at test that of an "
        "absent modality is drawn from p(w).",
    ),
)
def barycentre(
    modalities: Sequence[Modality],
    *,
    latent_dim: int = 32,
    private_dim: int = 0,
    subsets: bool = True,
    beta: float | Schedule = 1.0,
    max_strata: int = MAX_STRATA,
) -> MultimodalVAE:
    """Barycentres of experts, which average locations and scales; mixed over all subsets."""
    mixture = MixtureOfBarycentres(max_strata)
    if not subsets and max_strata != MAX_STRATA:
        raise ValueError(
            f"barycentre: max_strata={max_strata} plays no part with subsets=False, where there "
            "is one stratum; leave one of the two out."
        )
    return fused_vae(
        modalities,
        mixture if subsets else WassersteinBarycentre(),
        ELBO(beta, strata="one", divergence="convex"),
        latent_dim=latent_dim,
        private_dim=private_dim,
    )
