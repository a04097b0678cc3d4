"""MultiVae's side of ``fidelity.py``: train one of its models, write what it says.

Run by an interpreter that has MultiVae. Settings are those of the papers on PolyMNIST: Laplace
likelihoods of scale 0.75, divergences weighted 2.5. Reads pictures as arrays that ``fidelity.py``
wrote, writes for every subset and target the means that it decodes, rows generated from its prior,
and log-likelihoods. These last are by one estimator for all models: equally many draws of every
component, divided by the whole mixture (its own ``compute_joint_nll`` draws one component and
divides by all of them, which is biased).
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import tempfile
import time
from itertools import combinations
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from peer_multivae import BaseDecoder, BaseEncoder, ModelOutput, MultimodalBaseDataset, peers
from torch import nn

SCALE, BETA = 0.75, 2.5
PRIVATE = ("MMVAEPlus", "CMVAE")
SETTINGS: dict[str, dict] = {
    "MVTCAE": {"alpha": 5 / 6, "beta": BETA},
    "MoPoE": {"beta": BETA},
    "MVAE": {},
    "MMVAE": {"K": 1, "loss": "iwae_looser"},
    "MMVAEPlus": {"K": 1, "loss": "iwae_looser", "beta": BETA},
    "CMVAE": {"K": 1, "loss": "iwae_looser", "beta": BETA, "number_of_clusters": 40},
}


class ImageEncoder(BaseEncoder):
    """Two strided convolutions and heads, for the shared latent and, if any, the private one."""

    def __init__(self, shape: tuple, dim: int, private: int = 0) -> None:
        super().__init__()
        self.latent_dim, self.style_dim = dim, private
        self.trunk = nn.Sequential(
            nn.Conv2d(shape[0], 16, 4, 2, 1),
            nn.ReLU(),
            nn.Conv2d(16, 32, 4, 2, 1),
            nn.ReLU(),
            nn.Flatten(),
        )
        features = 32 * (shape[1] // 4) * (shape[2] // 4)
        self.heads = nn.ModuleList(
            nn.Linear(features, size) for size in (dim, dim, private, private) if size
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


def pictures(folder: Path, split: str) -> dict[str, torch.Tensor]:
    """Modality -> pictures in [0, 1], ``(N, C, H, W)``."""
    return {
        path.stem: torch.from_numpy(np.load(path)).float() / 255
        for path in sorted((folder / split).glob("*.npy"))
    }


def build(name: str, shapes: dict[str, tuple], shared: int, private: int):
    settings = dict(
        n_modalities=len(shapes),
        latent_dim=shared if name in PRIVATE else shared + private,
        input_dims=shapes,
        decoders_dist=dict.fromkeys(shapes, "laplace"),
        decoder_dist_params={m: {"scale": SCALE} for m in shapes},
        **SETTINGS[name],
    )
    if name in PRIVATE:
        settings["modalities_specific_dim"] = private
    config = getattr(peers, f"{name}Config")(**settings)
    encoders = {
        m: ImageEncoder(shape, shared, private)
        if name in PRIVATE
        else ImageEncoder(shape, shared + private)
        for m, shape in shapes.items()
    }
    decoders = {m: ImageDecoder(shape, shared + private) for m, shape in shapes.items()}
    return getattr(peers, name)(config, encoders=encoders, decoders=decoders)


def train(model, x: dict, epochs: int, batch_size: int, rate: float, seed: int):
    from multivae.trainers import BaseTrainer, BaseTrainerConfig

    rows = len(next(iter(x.values())))
    data = MultimodalBaseDataset(x, labels=torch.zeros(rows, dtype=torch.long))
    config = BaseTrainerConfig(
        num_epochs=epochs,
        per_device_train_batch_size=batch_size,
        learning_rate=rate,
        no_cuda=True,
        seed=seed,
        output_dir=tempfile.mkdtemp(),
    )
    trainer = BaseTrainer(model, data, training_config=config)
    trainer.train()
    # Without rows for evaluation its "best" model is one of the first epochs.
    return trainer.model


@torch.no_grad()
def answers(model, x: dict, subset: tuple[str, ...], batch: int = 250) -> dict[str, np.ndarray]:
    """What one draw given a subset decodes to, for every modality, as 8-bit pictures."""
    found: dict[str, list] = {m: [] for m in x}
    for start in range(0, len(next(iter(x.values()))), batch):
        part = MultimodalBaseDataset({m: v[start : start + batch] for m, v in x.items()})
        said = model.decode(model.encode(part, cond_mod=list(subset)))
        for m in x:
            found[m].append(to_bytes(said[m]))
    return {m: np.concatenate(v) for m, v in found.items()}


def to_bytes(value: torch.Tensor) -> np.ndarray:
    return (value.clamp(0, 1) * 255).round().to(torch.uint8).numpy()


@torch.no_grad()
def generated(model, n: int, names: list[str]) -> dict[str, np.ndarray]:
    said = model.decode(model.generate_from_prior(n))
    return {m: to_bytes(said[m]) for m in names}


def components(model, name: str, part) -> tuple[torch.Tensor, torch.Tensor, type]:
    """Locations and scales of the posterior's components, ``(S, B, D)``, and their family."""
    if name == "MVTCAE":
        loc, log_variance = model._inference(part)["joint"]
        return loc[None], (0.5 * log_variance).exp()[None], torch.distributions.Normal
    if name == "MoPoE":
        found = model.inference(part)
        return found["mus"], (0.5 * found["logvars"]).exp(), torch.distributions.Normal
    if name == "MVAE":
        loc, log_variance = model.compute_mu_log_var_subset(part, list(part.data))
        return loc[None], (0.5 * log_variance).exp()[None], torch.distributions.Normal
    to_scale = model.log_var_to_std if name == "MMVAE" else model._log_var_to_std
    outs = [model.encoders[m](part.data[m]) for m in part.data]
    loc = torch.stack([o.embedding for o in outs])
    scale = torch.stack([to_scale(o.log_covariance) for o in outs])
    return loc, scale, torch.distributions.Laplace


def log_prior(model, name: str, z: torch.Tensor) -> torch.Tensor:
    if name in ("MVTCAE", "MoPoE", "MVAE"):
        return torch.distributions.Normal(0.0, 1.0).log_prob(z).sum(-1)
    if name == "MMVAE":
        return torch.distributions.Laplace(*model.pz_params).log_prob(z).sum(-1)
    if name == "MMVAEPlus":
        loc, scale = model.pz_params
        d = z.shape[-1]
        return torch.distributions.Laplace(loc[:, :d], scale[:, :d]).log_prob(z).sum(-1)
    loc = torch.cat([*model.mean_clusters]).reshape(-1, z.shape[-1])
    raw = torch.cat([*model.logvar_clusters]).reshape(-1, z.shape[-1])
    each = torch.distributions.Laplace(loc, model._log_var_to_std(raw))
    weights = model._pc_params.reshape(-1).log_softmax(-1)
    return torch.logsumexp(weights + each.log_prob(z.unsqueeze(-2)).sum(-1), -1)


@torch.no_grad()
def log_likelihood(model, name: str, x: dict, samples: int, batch: int = 20) -> np.ndarray:
    """log p(x) of each row in nats by stratified importance sampling."""
    found = []
    for start in range(0, len(next(iter(x.values()))), batch):
        rows = {m: v[start : start + batch] for m, v in x.items()}
        part = MultimodalBaseDataset(rows)
        loc, scale, family = components(model, name, part)
        each = math.ceil(samples / len(loc))
        q = family(loc, scale)
        z = q.sample((each,)).flatten(0, 1)  # (K, B, D)
        density = torch.stack(
            [family(a, b).log_prob(z).sum(-1) for a, b in zip(loc, scale, strict=True)]
        )
        log_w = log_prior(model, name, z) - density.logsumexp(0) + math.log(len(loc))
        for m, value in rows.items():
            read = z
            if name in PRIVATE:
                out = model.encoders[m](value)
                own = family(out.style_embedding, model._log_var_to_std(out.style_log_covariance))
                w = own.sample((len(z),))
                log_w = log_w + private_prior(model, name, family, w) - own.log_prob(w).sum(-1)
                read = torch.cat([z, w], -1)
            mean = model.decoders[m](read.flatten(0, 1)).reconstruction
            mean = mean.reshape(*z.shape[:2], *value.shape[1:])
            log_p = torch.distributions.Laplace(mean, SCALE).log_prob(value)
            log_w = log_w + log_p.flatten(2).sum(-1)
        found.append(log_w.logsumexp(0) - math.log(len(log_w)))
    return torch.cat(found).double().numpy()


def private_prior(model, name: str, family: type, w: torch.Tensor) -> torch.Tensor:
    if name == "MMVAEPlus":
        loc, scale = model.pz_params
        loc, scale = loc[:, -w.shape[-1] :], scale[:, -w.shape[-1] :]
    else:
        loc, scale = model.w_mean_prior, model._log_var_to_std(model.w_logvar_prior)
    return family(loc, scale).log_prob(w).sum(-1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", choices=SETTINGS)
    parser.add_argument("--pictures", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--shared", type=int, default=32)
    parser.add_argument("--private", type=int, default=32)
    parser.add_argument("--samples", type=int, default=100)
    parser.add_argument("--scored", type=int, default=300)
    given = parser.parse_args()
    torch.set_num_threads(1)
    random.seed(given.seed)
    np.random.seed(given.seed)  # noqa: NPY002 (the peer draws experts by it)
    torch.manual_seed(given.seed)
    x, test = pictures(given.pictures, "train"), pictures(given.pictures, "test")
    shapes = {m: tuple(v.shape[1:]) for m, v in x.items()}
    model = build(given.model, shapes, given.shared, given.private)
    start = time.process_time()
    model = train(model, x, given.epochs, given.batch_size, given.rate, given.seed)
    seconds = time.process_time() - start
    model.eval()
    names = list(x)
    given.out.mkdir(parents=True, exist_ok=True)
    for size in range(1, len(names) + 1):
        for subset in combinations(names, size):
            np.savez(given.out / ("+".join(subset) + ".npz"), **answers(model, test, subset))
    n = len(next(iter(test.values())))
    np.savez(given.out / "prior.npz", **generated(model, n, names))
    scored = {m: v[: given.scored] for m, v in test.items()}
    log_p = log_likelihood(model, given.model, scored, given.samples)
    facts = {"train_cpu_s": seconds, "log_likelihood": log_p.tolist()}
    (given.out / "facts.json").write_text(json.dumps(facts))


if __name__ == "__main__":
    main()
