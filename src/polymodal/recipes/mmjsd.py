"""mmJSD: a mixture of experts under a Jensen-Shannon divergence with a dynamic prior."""

from __future__ import annotations

from collections.abc import Sequence

from polymodal.fusion.geometric import GeometricMean
from polymodal.fusion.moe import MixtureOfExperts
from polymodal.model import Modality, MultimodalVAE
from polymodal.objectives.jsd import JensenShannon
from polymodal.objectives.schedules import Schedule
from polymodal.posteriors.fused import FusedPosterior
from polymodal.priors.standard import StandardPrior
from polymodal.recipes.build import fused_vae
from polymodal.recipes.registry import recipe


@recipe(
    paper="Multimodal Generative Learning Utilizing Jensen-Shannon-Divergence",
    authors="Thomas Sutter and Imant Daunhawer and Julia Vogt",
    year=2020,
    url="https://arxiv.org/abs/2006.08242",
    equation="E_q sum_m log p(x_m|z) - beta sum_k pi_k KL(q_k || f),  q_0 = p,  "
    "f = prod_k q_k^pi_k,  q = 1/M sum_m q_m",
    parts=(MixtureOfExperts, GeometricMean, JensenShannon, FusedPosterior, StandardPrior),
    differs=(
        "The released code picks a row's component by its place in the batch; here it is drawn.",
        "Later repositories of the authors also draw from the prior in training, so that a share "
        "of every batch decodes noise; here, as in the paper, draws are of modalities only.",
        "Log-likelihoods use p(z) = N(0, I); the released code also reports them under the "
        "dynamic prior, which is not the model's.",
        "The released code's likelihood estimate reduces the wrong axis and mixes rows; here it "
        "does not.",
        "A modality that is absent leaves mixture and dynamic prior, row by row.",
        "With private_dim, a modality is decoded with its own private block in training, also "
        "where z comes from another modality, so that its style can leak; at test that of an "
        "absent modality is drawn from p(w).",
        "beta and private_beta are 1 (the release: 2.5 and 2), because likelihoods here learn "
        "their scale.",
    ),
)
def mmjsd(
    modalities: Sequence[Modality],
    *,
    latent_dim: int = 32,
    private_dim: int = 0,
    beta: float | Schedule = 1.0,
    prior_weight: float | None = None,
    private_beta: float = 1.0,
) -> MultimodalVAE:
    """Mixture of experts; experts and prior are drawn to their geometric mean."""
    return fused_vae(
        modalities,
        MixtureOfExperts(),
        JensenShannon(beta, prior_weight, private_beta),
        latent_dim=latent_dim,
        private_dim=private_dim,
    )
