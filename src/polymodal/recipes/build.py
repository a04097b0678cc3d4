"""What the recipes share: putting encoders, heads, a fusion rule and a prior together."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from polymodal.distributions.diagonal import Family
from polymodal.fusion.experts import Fusion
from polymodal.latent import LatentLayout
from polymodal.model import Modality, MultimodalVAE
from polymodal.networks.attributes import AttributeEncoder
from polymodal.posteriors.fused import FusedPosterior
from polymodal.posteriors.heads import ExpertHead, NaturalHead, PrivateHead, ScaleRule
from polymodal.posteriors.joint import JointPosterior, Unimodal
from polymodal.priors.standard import StandardPrior


def layout_of(modalities: Sequence[Modality], latent_dim: int, private_dim: int) -> LatentLayout:
    """A shared block and a private block of one size for every modality.

    Raises:
        ValueError: If a size makes no sense.
    """
    if latent_dim < 1 or private_dim < 0:
        raise ValueError(
            f"latent_dim must be at least 1 and private_dim at least 0, got {latent_dim} and "
            f"{private_dim}."
        )
    return LatentLayout(latent_dim, {modality.name: private_dim for modality in modalities})


def heads_of(
    modalities: Sequence[Modality],
    layout: LatentLayout,
    family: Family = "normal",
    scale_rule: ScaleRule = "softplus",
) -> list[nn.Module]:
    """One head a modality, over ``[shared | private_m]``."""
    return [
        NaturalHead()
        if isinstance(modality.encoder, AttributeEncoder)
        else ExpertHead(
            int(modality.encoder.out_features),  # pyright: ignore[reportArgumentType]
            layout.dim_of(modality.name),
            family,
            scale_rule,
            layout.shared,
        )
        for modality in modalities
    ]


def private_heads(modalities: Sequence[Modality], layout: LatentLayout) -> list[nn.Module]:
    """Heads of the private blocks alone."""
    return [
        PrivateHead(
            int(modality.encoder.out_features),  # pyright: ignore[reportArgumentType]
            layout.shared,
            layout.private[modality.name],
        )
        for modality in modalities
    ]


def fused_vae(
    modalities: Sequence[Modality],
    fusion: Fusion,
    objective: nn.Module,
    *,
    latent_dim: int,
    private_dim: int = 0,
    family: Family = "normal",
    scale_rule: ScaleRule = "softplus",
    learn_prior_scale: bool = False,
    prior: nn.Module | None = None,
    answers: Fusion | None = None,
    kind: type[MultimodalVAE] = MultimodalVAE,
) -> MultimodalVAE:
    """A model whose posterior fuses unimodal experts; its prior is standard unless given."""
    layout = layout_of(modalities, latent_dim, private_dim)
    posterior = FusedPosterior(
        [modality.name for modality in modalities],
        [modality.encoder for modality in modalities],
        heads_of(modalities, layout, family, scale_rule),
        fusion,
        layout,
        answers,
    )
    if prior is None:
        prior = StandardPrior(layout.dim, family, learn_prior_scale)
    return kind(modalities, layout, posterior, prior, objective)


def joint_vae(
    modalities: Sequence[Modality],
    objective: nn.Module,
    *,
    latent_dim: int,
    private_dim: int = 0,
    unimodal: Unimodal = "kl",
) -> MultimodalVAE:
    """A model with a joint encoder beside the unimodal ones, or instead of them ("zero")."""
    layout = layout_of(modalities, latent_dim, private_dim)
    posterior = JointPosterior(
        [modality.name for modality in modalities],
        [modality.encoder for modality in modalities],
        heads_of(modalities, layout) if unimodal == "kl" else private_heads(modalities, layout),
        layout,
        unimodal=unimodal,
    )
    return MultimodalVAE(modalities, layout, posterior, StandardPrior(layout.dim), objective)
