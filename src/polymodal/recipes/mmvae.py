"""MMVAE: a mixture of experts with the importance-weighted bound."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from polymodal.distributions.diagonal import Family
from polymodal.fusion.moe import MixtureOfExperts
from polymodal.model import Modality, MultimodalVAE
from polymodal.objectives.dreg import DReG
from polymodal.objectives.iwae import IWAE
from polymodal.posteriors.fused import FusedPosterior
from polymodal.priors.standard import StandardPrior
from polymodal.recipes.build import fused_vae
from polymodal.recipes.registry import recipe


@recipe(
    paper="Variational Mixture-of-Experts Autoencoders for Multi-Modal Deep Generative Models",
    authors="Yuge Shi and N. Siddharth and Brooks Paige and Philip Torr",
    year=2019,
    url="https://arxiv.org/abs/1911.03393",
    equation="1/M sum_m E_{z_k ~ q_m} log 1/K sum_k p(x, z_k) / q(z_k|x),  q = 1/M sum_m q_m",
    parts=(MixtureOfExperts, DReG, IWAE, FusedPosterior, StandardPrior),
    differs=(
        "The released DReG hook stands on a copy and never fires, so its gradient is that of a "
        "biased sticking-the-landing IWAE; here the gradient is doubly reparameterised, and for "
        "K > 1 unbiased for the mixture's density as well.",
        "The release keeps its weights of modalities (llik_scaling) in what it calls the joint "
        "likelihood; here they play no part in one.",
        "Rows with absent modalities are trained on: the mixture is over what is present.",
        "The default is K = 1; the paper uses 30.",
        "The paper has no private latents, so this recipe takes none.",
    ),
)
def mmvae(
    modalities: Sequence[Modality],
    *,
    latent_dim: int = 32,
    samples: int = 1,
    estimator: Literal["dreg", "iwae"] = "dreg",
    family: Family = "laplace",
) -> MultimodalVAE:
    """Mixture of Laplace experts; every stratum decodes every modality."""
    if estimator not in ("dreg", "iwae"):
        raise ValueError(f"mmvae: estimator must be 'dreg' or 'iwae', got {estimator!r}.")
    return fused_vae(
        modalities,
        MixtureOfExperts(),
        DReG(samples) if estimator == "dreg" else IWAE(samples),
        latent_dim=latent_dim,
        family=family,
        scale_rule="softmax" if family == "laplace" else "softplus",
        learn_prior_scale=family == "laplace",
    )
