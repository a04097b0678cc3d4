"""MHVAE: latents in levels, a product of experts at each."""

from __future__ import annotations

from collections.abc import Sequence

from polymodal.model import Modality, MultimodalVAE
from polymodal.objectives.levelwise import LevelwiseELBO
from polymodal.objectives.schedules import Schedule
from polymodal.posteriors.hierarchical import HierarchicalPosterior
from polymodal.priors.hierarchical import HierarchicalPrior
from polymodal.recipes.build import layout_of
from polymodal.recipes.registry import recipe


@recipe(
    paper="Unified Brain MR-Ultrasound Synthesis using Multi-Modal Hierarchical Representations",
    authors="Reuben Dorent and Nazim Haouchine and Fryderyk Kogl and Samuel Joutard and Parikshit "
    "Juvekar and Erickson Torio and Alexandra Golby and Sebastien Ourselin and Sarah Frisken and "
    "Tom Vercauteren and Tina Kapur and William Wells",
    year=2023,
    url="https://arxiv.org/abs/2309.08747",
    equation="sum_{S in {all, {1}..{M}}} ELBO_S,  "
    "q(z_l|x_S, z_>l) ~ p(z_l|z_>l) prod_{m in S} q_m(z_l|x_m, z_>l)",
    parts=(HierarchicalPosterior, HierarchicalPrior, LevelwiseELBO),
    differs=(
        "Levels are vectors and not feature maps, so that every kind of data has them.",
        "The product multiplies normal densities; the released code adds means over standard "
        "deviations where variances belong.",
        "No adversary: likelihoods with learned scales stand in for SmoothL1 and LSGAN.",
        "The divergence of a level is in closed form given the levels above; the code estimates "
        "it from one draw.",
        "Rows may lack modalities.",
        "Another model of the same name (Vasco, Melo and Paiva 2020, https://arxiv.org/abs/"
        "2006.02991: a core latent over a latent a modality) is not this one; its "
        "model of that shape is the recipe nexus.",
    ),
)
def mhvae(
    modalities: Sequence[Modality],
    *,
    latent_dim: int = 32,
    levels: int = 2,
    beta: float | Schedule = 1.0,
) -> MultimodalVAE:
    """Latents in levels; experts and prior are multiplied level by level, from the top down."""
    layout = layout_of(modalities, latent_dim, 0)
    if not 1 <= levels <= latent_dim:
        raise ValueError(
            f"mhvae: levels must be at least 1 and at most latent_dim={latent_dim}, got {levels}."
        )
    top = latent_dim - (levels - 1) * (latent_dim // levels)
    prior = HierarchicalPrior([top] + [latent_dim // levels] * (levels - 1))
    posterior = HierarchicalPosterior(
        [modality.name for modality in modalities],
        [modality.encoder for modality in modalities],
        prior,
    )
    return MultimodalVAE(modalities, layout, posterior, prior, LevelwiseELBO(beta))
