"""MultiVae's models of ``peer_fidelity.py``: the networks and settings of the library's recipes.

Every model reads and decodes a picture by the same convolutions. What stands between them is as
large as in the library's recipe of that model, so that the codes differ and not the networks. One
thing cannot be had: the library's joint network reads the trunks of the unimodal encoders, and the
peer's has trunks of its own, because its TELBO freezes them apart.
"""

from __future__ import annotations

import math

import torch
from peer_multivae import BaseDecoder, BaseEncoder, ModelOutput, peers
from torch import nn

SCALE, BETA = 0.75, 2.5
PRIVATE = ("MMVAEPlus", "CMVAE", "DMVAE")
SETTINGS: dict[str, dict] = {
    "MVTCAE": {"alpha": 5 / 6, "beta": BETA},
    "MoPoE": {"beta": BETA},
    # The weight of its divergence grows over 10 epochs unless told: no growth in the library.
    "MVAE": {"warmup": 1},
    "MMVAE": {"K": 1, "loss": "iwae_looser"},
    "MMVAEPlus": {"K": 1, "loss": "iwae_looser", "beta": BETA},
    "CMVAE": {"K": 1, "loss": "iwae_looser", "beta": BETA, "number_of_clusters": 40},
    # The same.
    "JMVAE": {"alpha": 0.1, "beta": BETA, "warmup": 1},
    "TELBO": {},
    "CRMVAE": {"beta": BETA},
    "DMVAE": {},
    # The same with 20 epochs.
    "Nexus": {"dropout_rate": 0.2, "msg_dim": 64, "top_beta": BETA, "warmup": 1},
    "MHVAE": {"beta": BETA, "n_latent": 2},
}


def by_modality(name: str, names: list[str], private: int, epochs: int) -> dict:
    """Settings that follow from the modalities or from the length of the training."""
    if name in ("MMVAEPlus", "CMVAE"):
        return {"modalities_specific_dim": private}
    if name == "DMVAE":
        # By the paper's sum over modalities, which the library keeps, the shared divergence counts
        # once for each of them; the peer counts it once.
        return {
            "modalities_specific_dim": dict.fromkeys(names, private),
            "modalities_specific_betas": dict.fromkeys(names, BETA),
            "beta": BETA * len(names),
        }
    if name == "Nexus":
        # Both halve the squared distance that gamma weighs: 10, as in the library's recipe.
        return {
            "modalities_specific_dim": dict.fromkeys(names, private),
            "bottom_betas": dict.fromkeys(names, BETA),
            "gammas": dict.fromkeys(names, 10.0),
        }
    # It says to train the joint half of the time, the unimodal encoders the other half.
    return {"warmup": math.ceil(epochs / 2)} if name == "TELBO" else {}


def trunk(shape: tuple) -> nn.Sequential:
    """Two strided convolutions, flattened."""
    return nn.Sequential(
        nn.Conv2d(shape[0], 16, 4, 2, 1),
        nn.ReLU(),
        nn.Conv2d(16, 32, 4, 2, 1),
        nn.ReLU(),
        nn.Flatten(),
    )


def features_of(shape: tuple) -> int:
    return 32 * (shape[1] // 4) * (shape[2] // 4)


class ImageEncoder(BaseEncoder):
    """A trunk and heads, for the shared latent and, if any, the private one."""

    def __init__(self, shape: tuple, dim: int, private: int = 0) -> None:
        super().__init__()
        self.latent_dim, self.style_dim = dim, private
        self.trunk = trunk(shape)
        self.heads = nn.ModuleList(
            nn.Linear(features_of(shape), size) for size in (dim, dim, private, private) if size
        )

    def forward(self, x):
        h = self.trunk(x)
        found = [head(h) for head in self.heads]
        out = ModelOutput(embedding=found[0], log_covariance=found[1])
        if self.style_dim:
            out["style_embedding"], out["style_log_covariance"] = found[2], found[3]
        return out


class ImageDecoder(BaseDecoder):
    """The encoder's convolutions in reverse."""

    def __init__(self, shape: tuple, dim: int) -> None:
        super().__init__()
        self.small = (32, shape[1] // 4, shape[2] // 4)
        self.first = nn.Linear(dim, math.prod(self.small))
        self.rest = nn.Sequential(
            nn.ConvTranspose2d(32, 16, 4, 2, 1),
            nn.ReLU(),
            nn.ConvTranspose2d(16, shape[0], 4, 2, 1),
        )

    def forward(self, z):
        h = self.first(z).relu().view(-1, *self.small)
        return ModelOutput(reconstruction=self.rest(h))


class ImageFeatures(BaseEncoder):
    """A trunk alone: what MHVAE's blocks read."""

    def __init__(self, shape: tuple) -> None:
        super().__init__()
        self.latent_dim, self.trunk = features_of(shape), trunk(shape)

    def forward(self, x):
        return ModelOutput(embedding=self.trunk(x))


class VectorEncoder(BaseEncoder):
    """A hidden layer and two heads."""

    def __init__(self, size: int, dim: int, hidden: int = 128) -> None:
        super().__init__()
        self.latent_dim = dim
        self.body = nn.Sequential(nn.Linear(size, hidden), nn.SiLU())
        self.loc, self.log_variance = nn.Linear(hidden, dim), nn.Linear(hidden, dim)

    def forward(self, x):
        h = self.body(x)
        return ModelOutput(embedding=self.loc(h), log_covariance=self.log_variance(h))


class VectorDecoder(BaseDecoder):
    """A hidden layer and a linear one."""

    def __init__(self, dim: int, size: int, hidden: int = 128) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(dim, hidden), nn.SiLU(), nn.Linear(hidden, size))

    def forward(self, z):
        return ModelOutput(reconstruction=self.body(z))


class JointEncoder(peers.nn.BaseJointEncoder):
    """A trunk a modality, what is read of each side by side, a hidden layer and two heads."""

    def __init__(self, shapes: dict[str, tuple], dim: int, width: int = 64, hidden: int = 256):
        super().__init__()
        self.latent_dim = dim
        self.readers = nn.ModuleDict(
            {
                m: nn.Sequential(trunk(shape), nn.Linear(features_of(shape), width), nn.SiLU())
                for m, shape in shapes.items()
            }
        )
        self.body = nn.Sequential(nn.Linear(width * len(shapes), hidden), nn.SiLU())
        self.loc, self.log_variance = nn.Linear(hidden, dim), nn.Linear(hidden, dim)

    def forward(self, x):
        h = self.body(torch.cat([reader(x[m]) for m, reader in self.readers.items()], -1))
        return ModelOutput(embedding=self.loc(h), log_covariance=self.log_variance(h))


def build(name: str, shapes: dict[str, tuple], shared: int, private: int, epochs: int):
    """A model with all its networks."""
    whole = shared + private
    config = getattr(peers, f"{name}Config")(
        n_modalities=len(shapes),
        latent_dim=shared if name in (*PRIVATE, "Nexus") else whole,
        input_dims=shapes,
        decoders_dist=dict.fromkeys(shapes, "laplace"),
        decoder_dist_params={m: {"scale": SCALE} for m in shapes},
        uses_likelihood_rescaling=False,
        **SETTINGS[name],
        **by_modality(name, list(shapes), private, epochs),
    )
    if name == "MHVAE":
        networks = levels(shapes, shared, private)
    elif name == "Nexus":
        networks = two_storeys(shapes, shared, private, config.msg_dim)
    else:
        sizes = (shared, private) if name in PRIVATE else (whole,)
        networks = {
            "encoders": {m: ImageEncoder(shape, *sizes) for m, shape in shapes.items()},
            "decoders": {m: ImageDecoder(shape, whole) for m, shape in shapes.items()},
        }
    if name in ("JMVAE", "TELBO"):
        networks["joint_encoder"] = JointEncoder(shapes, whole)
    return getattr(peers, name)(config, **networks)


def two_storeys(shapes: dict[str, tuple], nexus: int, own: int, message: int) -> dict:
    """Nexus: autoencoders of the modalities, above them the networks of the nexus."""
    return {
        "encoders": {m: ImageEncoder(shape, own) for m, shape in shapes.items()},
        "decoders": {m: ImageDecoder(shape, own) for m, shape in shapes.items()},
        "top_encoders": {m: VectorEncoder(own, message) for m in shapes},
        "joint_encoder": VectorEncoder(message, nexus),
        "top_decoders": {m: VectorDecoder(nexus, own) for m in shapes},
    }


def levels(shapes: dict[str, tuple], top: int, bottom: int) -> dict:
    """MHVAE: an expert a modality at each of two levels; the lower one also hears the upper."""
    return {
        "encoders": {m: ImageFeatures(shape) for m, shape in shapes.items()},
        "decoders": {m: ImageDecoder(shape, bottom) for m, shape in shapes.items()},
        "bottom_up_blocks": {m: [VectorEncoder(features_of(s), top)] for m, s in shapes.items()},
        "top_down_blocks": [nn.Identity()],
        "posterior_blocks": {
            m: [VectorEncoder(top + features_of(s), bottom)] for m, s in shapes.items()
        },
        "prior_blocks": [VectorEncoder(top, bottom)],
    }
