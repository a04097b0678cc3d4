"""The library's own: both parts of a split row explain it and agree; ex-post priors."""

from __future__ import annotations

from collections.abc import Sequence

from polymodal.fusion.poe import ProductOfExperts
from polymodal.model import Modality, MultimodalVAE
from polymodal.models.ex_post import ExPostVAE
from polymodal.objectives.schedules import Schedule
from polymodal.objectives.split import SplitELBO
from polymodal.posteriors.fused import FusedPosterior
from polymodal.priors.ex_post import ExPostPrior
from polymodal.priors.exemplars import Exemplars
from polymodal.recipes.build import fused_vae
from polymodal.recipes.registry import recipe


@recipe(
    paper="No paper: this library's combination of known parts",
    authors="The polymodal developers, after Sutter et al. (2021), Palumbo et al. (2023), "
    "van den Oord et al. (2018), Ghosh et al. (2020) and Norouzi et al. (2020)",
    year=2026,
    url="https://arxiv.org/abs/1903.12436",
    equation="sum over P in {A, S-A} of E_{q_P} sum_m log p(x_m|z,w_m) - beta KL(q_P || p) "
    "- alpha InfoNCE(z_A, z_{S-A}),  q_P = prod_{m in P} q_m;  then  "
    "p(z) = argmax E_{q(z)} log sum_c pi_c N(z; mu_c, Sigma_c),  "
    "p(w_m|z) = mean over the rows n nearest to z of q(w_m|x_nm)",
    parts=(ProductOfExperts, SplitELBO, FusedPosterior, ExPostPrior, Exemplars, ExPostVAE),
    differs=(
        "From MoPoE: every row is split in two and both parts explain all of it. Asked about some "
        "modalities, the product of all of them answers, not a mixture over their subsets. "
        "Nothing grows with 2^M.",
        "From MMVAE+: a product instead of a mixture; what stands in for a private latent in "
        "training is N(0, I), what was told has a prior of learned scale. When training is over "
        "private latents are drawn from what was told of ten rows that are near in the shared "
        "ones, half way to their mean and, one time in 200, from a normal of all; "
        "exemplars=0 leaves N(0, I). Point estimates are read with N(0, I) as they were trained.",
        "agreement is a weight for each number of a row; 0 leaves the contrast out.",
        "The prior is N(0, I) while it trains and a mixture fitted to posterior draws afterwards "
        "(ex post); components=0 leaves N(0, I).",
    ),
)
def polymodal(
    modalities: Sequence[Modality],
    *,
    latent_dim: int = 32,
    private_dim: int = 16,
    beta: float | Schedule = 1.0,
    agreement: float = 0.02,
    components: int = 20,
    exemplars: int = 500,
) -> MultimodalVAE:
    """Product of experts; parts of a row explain all of it and agree; priors fitted to data."""
    n = len(modalities)
    return fused_vae(
        modalities,
        ProductOfExperts(anchor="never"),
        SplitELBO(beta, private_dim=n * private_dim, agreement=agreement),
        latent_dim=latent_dim,
        private_dim=private_dim,
        prior=ExPostPrior(latent_dim, n, private_dim, components=components, exemplars=exemplars),
        kind=ExPostVAE,
    )
