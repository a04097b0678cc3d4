"""Masked bounds with permutation-invariant encoders."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from polymodal.model import Modality, MultimodalVAE
from polymodal.objectives.masked import MaskedBound
from polymodal.objectives.schedules import Schedule
from polymodal.posteriors.set_encoder import Aggregation, SetPosterior
from polymodal.priors.blocks import BlockPrior
from polymodal.priors.mixture import MixturePrior
from polymodal.priors.standard import StandardPrior
from polymodal.recipes.build import layout_of
from polymodal.recipes.registry import recipe

COMPONENTS = 50


@recipe(
    paper="Learning multi-modal generative models with permutation-invariant encoders and "
    "tighter variational objectives",
    authors="Marcel Hirt and Domenico Campolo and Victoria Leong and Juan-Pablo Ortega",
    year=2024,
    url="https://arxiv.org/abs/2309.00380",
    equation="E_S [E_{q(z|x_S)} log p(x_S|z) - beta KL(q(z|x_S) || p) + "
    "E_{q(z|x)} log p(x_rest|z) - beta KL(q(z|x) || q(z|x_S))]",
    parts=(SetPosterior, MaskedBound, StandardPrior, MixturePrior, BlockPrior),
    differs=(
        "A modality's private posterior reads that modality alone, not the set.",
        "The sticking-the-landing gradient is left out: divergences are in closed form "
        "(from a mixture prior they are estimated).",
        "Rows with absent modalities are trained on: sets are drawn from what a row has.",
    ),
)
def hirt(
    modalities: Sequence[Modality],
    *,
    latent_dim: int = 32,
    private_dim: int = 0,
    aggregation: Aggregation = "attention",
    width: int = 64,
    prior: Literal["standard", "mixture"] = "standard",
    components: int = COMPONENTS,
    beta: float | Schedule = 1.0,
) -> MultimodalVAE:
    """Set encoder over what is there; learns a random part and the rest given that part."""
    if prior not in ("standard", "mixture"):
        raise ValueError(f"hirt: prior must be 'standard' or 'mixture', got {prior!r}.")
    if prior == "standard" and components != COMPONENTS:
        raise ValueError(
            f"hirt: components={components} plays no part with the standard prior; add "
            "prior='mixture'."
        )
    layout = layout_of(modalities, latent_dim, private_dim)
    posterior = SetPosterior(
        [modality.name for modality in modalities],
        [modality.encoder for modality in modalities],
        layout,
        aggregation,
        width,
    )
    of_latent = (
        StandardPrior(layout.dim)
        if prior == "standard"
        else BlockPrior(
            MixturePrior(latent_dim, components, learn_scales=True), layout.private_dim
        )
    )
    return MultimodalVAE(modalities, layout, posterior, of_latent, MaskedBound(beta))
