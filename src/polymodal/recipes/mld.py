"""MLD: a diffusion over the codes of the modalities' own autoencoders."""

from __future__ import annotations

from collections.abc import Sequence

from polymodal.model import Modality
from polymodal.models.latent_diffusion import LatentDiffusion
from polymodal.networks.score import ScoreNetwork
from polymodal.priors.vp_sde import VPSDE, Sampler
from polymodal.recipes.registry import recipe


@recipe(
    paper="Multi-Modal Latent Diffusion",
    authors="Mustapha Bounoua and Giulio Franzese and Pietro Michiardi",
    year=2024,
    url="https://arxiv.org/abs/2306.04445",
    equation="1/2 E_{t, A} ||e_R - e_theta(z_R^t, z_A, t, A)||^2,  z_m = (f_m(x_m) - mean) / std",
    parts=(LatentDiffusion, ScoreNetwork, VPSDE),
    differs=(
        "The released code draws the clean subset once a batch; here each row has its own.",
        "Half the steps of a row are conditional (conditional=0.5; the released script: 0.2).",
        "Rows with absent modalities are trained on: what is absent is neither read nor scored, "
        "and the network is told.",
        "Autoencoders learn with noise on their codes, a light penalty on the codes' size and "
        "some cells hidden; noise=0, penalty=0, hidden_cells=0 is the paper's.",
        "The codes' moments run along with the autoencoders' training; the released code measures "
        "them afterwards.",
        "Chains follow the probability flow by a second-order solver in 25 steps; the release "
        "takes 250 of the reverse SDE.",
        "A table with some of its cells counts as present: its missing cells come from its own "
        "autoencoder alone.",
    ),
)
def mld(
    modalities: Sequence[Modality],
    *,
    latent_dim: int = 32,
    width: int = 256,
    layers: int = 3,
    dropout: float = 0.1,
    conditional: float = 0.5,
    steps: int = 25,
    sampler: Sampler = "ode",
    beta_min: float = 0.1,
    beta_max: float = 20.0,
    noise: float = 0.1,
    penalty: float = 0.01,
    hidden_cells: float = 0.1,
) -> LatentDiffusion:
    """Autoencoders first; then one diffusion over all codes knows every conditional."""
    if latent_dim < 1:
        raise ValueError(f"latent_dim must be at least 1, got {latent_dim}.")
    if not modalities:
        raise ValueError("mld: modalities must be at least one, got none.")
    network = ScoreNetwork([latent_dim] * len(modalities), width, layers, dropout)
    return LatentDiffusion(
        modalities,
        latent_dim,
        network,
        VPSDE(beta_min, beta_max),
        conditional=conditional,
        steps=steps,
        sampler=sampler,
        noise=noise,
        penalty=penalty,
        hidden_cells=hidden_cells,
    )
