"""MoPoE: a mixture of products of experts."""

from __future__ import annotations

from collections.abc import Sequence

from polymodal.fusion.mopoe import MixtureOfProducts
from polymodal.fusion.poe import ProductOfExperts
from polymodal.model import Modality, MultimodalVAE
from polymodal.objectives.elbo import ELBO
from polymodal.objectives.schedules import Schedule
from polymodal.posteriors.fused import FusedPosterior
from polymodal.priors.standard import StandardPrior
from polymodal.recipes.build import fused_vae
from polymodal.recipes.registry import recipe


@recipe(
    paper="Generalized Multimodal ELBO",
    authors="Thomas Sutter and Imant Daunhawer and Julia Vogt",
    year=2021,
    url="https://arxiv.org/abs/2105.02470",
    equation="E_q sum_m log p(x_m|z) - beta/(2^M-1) sum_S KL(q_S || p),  "
    "q = 1/(2^M-1) sum_S prod_{m in S} q_m;  answers from prod_{m present} q_m",
    parts=(MixtureOfProducts, ProductOfExperts, ELBO, FusedPosterior, StandardPrior),
    differs=(
        "The product of all modalities has N(0, I) as one more factor, as in the released code, "
        "which the equation does not show; the products of smaller sets have none.",
        "The released code picks a row's component by its place in the batch; here it is drawn.",
        "Its likelihood estimate reduces the wrong axis and mixes rows; here it does not.",
        "As in the paper, questions are answered from the product of all that is given, not from "
        "the mixture over its subsets, which trains and is the proposal of likelihoods.",
        "A modality that is absent removes the subsets that hold it, row by row.",
        "With private_dim, a modality is decoded with its own private block in training, also "
        "where z comes from a subset without it, so that its style can leak; at test that of an "
        "absent modality is drawn from p(w).",
    ),
)
def mopoe(
    modalities: Sequence[Modality],
    *,
    latent_dim: int = 32,
    private_dim: int = 0,
    beta: float | Schedule = 1.0,
    max_strata: int = 1023,
    free_bits: float = 0.0,
) -> MultimodalVAE:
    """Mixture over the products of all subsets; one draw a row reconstructs every modality."""
    return fused_vae(
        modalities,
        MixtureOfProducts(anchor="full", max_strata=max_strata),
        ELBO(beta, strata="one", divergence="convex", free_bits=free_bits),
        latent_dim=latent_dim,
        private_dim=private_dim,
        answers=ProductOfExperts(anchor="full"),
    )
