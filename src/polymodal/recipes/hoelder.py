"""Hoelder+ and HELVAE: the symmetric Hoelder pool of experts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from polymodal.fusion.hoelder import HellingerPool, HoelderPool
from polymodal.model import Modality, MultimodalVAE
from polymodal.objectives.componentwise import ComponentELBO
from polymodal.objectives.elbo import ELBO
from polymodal.objectives.schedules import Schedule
from polymodal.posteriors.fused import FusedPosterior
from polymodal.priors.auxiliary import AuxiliaryPrior
from polymodal.priors.standard import StandardPrior
from polymodal.recipes.build import fused_vae, layout_of
from polymodal.recipes.registry import recipe


@recipe(
    paper="Hölder++: Improving the Quality-Coherence Trade-off in Multimodal VAEs",
    authors="Huyen Vo and María Martínez-García and Isabel Valera",
    year=2026,
    url="https://arxiv.org/abs/2606.13381",
    equation="sum_s w_s E_{q_s} [sum_m log p(x_m|z,w_m) - beta log q(z) / p(z) "
    "- beta sum_{m in s} log q(w_m|x_m) / p(w_m)],  "
    "q(z) = (sum_m sqrt q_m)^2 / norm = sum_s w_s q_s",
    parts=(
        HoelderPool,
        HellingerPool,
        ComponentELBO,
        ELBO,
        AuxiliaryPrior,
        FusedPosterior,
        StandardPrior,
    ),
    differs=(
        "This is the paper's Hölder+ (private latents that do not depend on z), and with "
        "private_dim=0 its pool alone; the hierarchical private posterior of Hölder++ is left "
        "out.",
        "moments=True is HELVAE (https://arxiv.org/abs/2601.06572): one Gaussian with the "
        "pool's moments, trained on the ELBO of what is present.",
        "Rows with absent modalities are trained on: the pool is over what is present.",
    ),
)
def hoelder(
    modalities: Sequence[Modality],
    *,
    latent_dim: int = 32,
    private_dim: int = 0,
    moments: bool = False,
    beta: float | Schedule = 1.0,
    divergence: Literal["mixture", "convex"] = "mixture",
) -> MultimodalVAE:
    """Exact Hölder pool of order 1/2: a mixture of experts and of their pairwise products."""
    if moments and divergence != "mixture":
        raise ValueError(
            f"hoelder: divergence={divergence!r} plays no part with moments=True, where the "
            "posterior is one Gaussian; leave one of the two out."
        )
    layout = layout_of(modalities, latent_dim, private_dim)
    auxiliary = AuxiliaryPrior(list(layout.private.values()))
    of_mixture = ComponentELBO(beta, divergence=divergence, auxiliary=auxiliary)
    return fused_vae(
        modalities,
        HellingerPool() if moments else HoelderPool(),
        ELBO(beta) if moments else of_mixture,
        latent_dim=latent_dim,
        private_dim=private_dim,
    )
