"""M3AE: a masked autoencoder over the tokens of all modalities."""

from __future__ import annotations

from collections.abc import Sequence

from polymodal.model import Modality
from polymodal.models.masked_autoencoder import MaskedAutoencoder
from polymodal.networks.attention import TransformerBlock
from polymodal.networks.columns import ColumnTokens
from polymodal.networks.patches import PatchTokens
from polymodal.recipes.registry import recipe


@recipe(
    paper="Multimodal Masked Autoencoders Learn Transferable Representations",
    authors="Xinyang Geng and Hao Liu and Lisa Lee and Dale Schuurmans and Sergey Levine and "
    "Pieter Abbeel",
    year=2022,
    url="https://arxiv.org/abs/2205.14204",
    equation="-sum_m lambda_m log p(x_m,masked | z),  z = f(tokens that are shown)",
    parts=(MaskedAutoencoder, TransformerBlock, PatchTokens, ColumnTokens),
    differs=(
        "The released code masks the same places in all rows of a batch; here each row has its "
        "own.",
        "The decoder reads a fixed number of summary tokens, so that a row has an embedding of "
        "one size; the paper's reads every token that was shown.",
        "Tables, vectors and lone categories are tokens too, and each modality has its own "
        "likelihood in place of squared errors; texts are told all words at once.",
        "Log-likelihoods are summed over what was masked, in nats; the release has means over "
        "patches and words.",
        "A text weighs half of what its nats would (text_weight); the release weighs the mean "
        "over its words by 0.1.",
        "Half the tokens are masked (the paper: 75 %), and in half the rows whole modalities.",
        "What was shown counts three tenths, so that it can be reconstructed and training starts "
        "sooner; shown_weight=0 is the "
        "paper's.",
        "Draws vary by the likelihood alone: the model itself is deterministic.",
    ),
)
def m3ae(
    modalities: Sequence[Modality],
    *,
    latent_dim: int = 32,
    summaries: int = 4,
    width: int = 64,
    layers: int = 2,
    decoder_width: int = 32,
    decoder_layers: int = 1,
    heads: int = 4,
    ratio: float = 0.5,
    whole: float = 0.5,
    shown_weight: float = 0.3,
    text_weight: float = 0.5,
    patch: int = 0,
    dropout: float = 0.0,
) -> MaskedAutoencoder:
    """One transformer sees a part of a row's tokens of all kinds and says the others."""
    return MaskedAutoencoder(
        modalities,
        latent_dim,
        summaries=summaries,
        width=width,
        layers=layers,
        decoder_width=decoder_width,
        decoder_layers=decoder_layers,
        heads=heads,
        ratio=ratio,
        whole=whole,
        shown_weight=shown_weight,
        text_weight=text_weight,
        patch=patch,
        dropout=dropout,
    )
