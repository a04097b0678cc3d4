"""JMVAE-kl and JMVAE-zero: a joint encoder, with unimodal posteriors drawn to it or without."""

from __future__ import annotations

from collections.abc import Sequence

from polymodal.model import Modality, MultimodalVAE
from polymodal.objectives.aligned import JointToUnimodal
from polymodal.objectives.elbo import ELBO
from polymodal.objectives.schedules import Schedule
from polymodal.posteriors.joint import JointPosterior, Unimodal
from polymodal.priors.standard import StandardPrior
from polymodal.recipes.build import joint_vae
from polymodal.recipes.registry import recipe


@recipe(
    paper="Joint Multimodal Learning with Deep Generative Models",
    authors="Masahiro Suzuki and Kotaro Nakayama and Yutaka Matsuo",
    year=2016,
    url="https://arxiv.org/abs/1611.01891",
    equation="ELBO(x_1..x_M) - gamma sum_m KL(q(z|x_1..x_M) || q(z|x_m))",
    parts=(JointPosterior, JointToUnimodal, ELBO, StandardPrior),
    differs=(
        "Joint and unimodal posteriors share each modality's trunk, which so runs once a step.",
        "The paper needs complete rows; here absent features are zero and the joint network is "
        "told what is present.",
        "gamma weighs each modality's divergence; the authors' later code divides it by M.",
        "gamma is 3: with 1 a draw given one modality alone does not always show the right class.",
        "With more than two modalities a random set between one and all is aligned as well.",
        "unimodal='zero' is JMVAE-zero: the joint network answers whatever is present, gamma and "
        "subsets play no part.",
    ),
)
def jmvae(
    modalities: Sequence[Modality],
    *,
    latent_dim: int = 32,
    private_dim: int = 0,
    gamma: float = 3.0,
    beta: float | Schedule = 1.0,
    subsets: int = 1,
    unimodal: Unimodal = "kl",
) -> MultimodalVAE:
    """Joint encoder; unimodal posteriors are aligned with it by their divergence."""
    aligned = JointToUnimodal(gamma, beta, subsets)
    return joint_vae(
        modalities,
        ELBO(beta) if unimodal == "zero" else aligned,
        latent_dim=latent_dim,
        private_dim=private_dim,
        unimodal=unimodal,
    )
