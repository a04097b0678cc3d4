"""MultiVae's side of ``speed.py``; run by an interpreter that has MultiVae, prints JSON lines.

python peer_multivae.py step MoPoE     # CPU ms of a training step on the images
python peer_multivae.py small MoPoE    # its trainer's steps a CPU second on small vectors
"""

import argparse
import contextlib
import io
import json
import logging
import math
import os
import sys
import tempfile
import time
import types
import warnings
from unittest.mock import MagicMock

os.environ.setdefault("OMP_NUM_THREADS", "1")
warnings.filterwarnings("ignore")

import torch
from torch import nn


class _Missing(types.ModuleType):
    """Stands in for torchvision, which the peer imports for pictures only."""

    __path__ = ()

    def __getattr__(self, name: str) -> object:
        if name.startswith("__"):
            raise AttributeError(name)
        return MagicMock()


def without_torchvision() -> None:
    """Let the peer be imported beside a CPU build of torch, where torchvision does not load."""
    try:
        import torchvision  # noqa: F401
    except Exception:
        for name in [n for n in sys.modules if n.split(".")[0] == "torchvision"]:
            del sys.modules[name]
        for part in (
            "",
            ".transforms",
            ".transforms.functional",
            ".datasets",
            ".datasets.utils",
            ".utils",
            ".models",
            ".io",
        ):
            sys.modules[f"torchvision{part}"] = _Missing(f"torchvision{part}")


without_torchvision()
logging.disable(logging.INFO)
import multivae.models as peers
from multivae.data.datasets import DatasetOutput, MultimodalBaseDataset
from multivae.models.base import BaseDecoder, BaseEncoder, ModelOutput

IMAGE, N_MODALITIES, BATCH = (3, 28, 28), 5, 128


class ImageEncoder(BaseEncoder):
    def __init__(self, dim: int) -> None:
        super().__init__()
        self.latent_dim = dim
        self.trunk = nn.Sequential(
            nn.Conv2d(3, 16, 4, 2, 1),
            nn.ReLU(),
            nn.Conv2d(16, 32, 4, 2, 1),
            nn.ReLU(),
            nn.Flatten(),
        )
        self.loc, self.log_variance = nn.Linear(1568, dim), nn.Linear(1568, dim)

    def forward(self, x):
        h = self.trunk(x)
        return ModelOutput(embedding=self.loc(h), log_covariance=self.log_variance(h))


class ImageDecoder(BaseDecoder):
    def __init__(self, dim: int) -> None:
        super().__init__()
        self.first = nn.Linear(dim, 1568)
        self.rest = nn.Sequential(
            nn.ConvTranspose2d(32, 16, 4, 2, 1), nn.ReLU(), nn.ConvTranspose2d(16, 3, 4, 2, 1)
        )

    def forward(self, z):
        h = self.first(z).relu().view(-1, 32, 7, 7)
        return ModelOutput(reconstruction=self.rest(h))


class VectorEncoder(BaseEncoder):
    def __init__(self, dim: int) -> None:
        super().__init__()
        self.latent_dim = dim
        self.trunk = nn.Sequential(nn.Linear(20, 64), nn.SiLU())
        self.loc, self.log_variance = nn.Linear(64, dim), nn.Linear(64, dim)

    def forward(self, x):
        h = self.trunk(x)
        return ModelOutput(embedding=self.loc(h), log_covariance=self.log_variance(h))


class VectorDecoder(BaseDecoder):
    def __init__(self, dim: int) -> None:
        super().__init__()
        self.trunk = nn.Sequential(nn.Linear(dim, 64), nn.SiLU(), nn.Linear(64, 20))

    def forward(self, z):
        return ModelOutput(reconstruction=self.trunk(z))


def build(name: str, dim: int, shape: tuple, encoder: type, decoder: type, density: str):
    names = [f"m{i}" for i in range(N_MODALITIES)]
    torch.manual_seed(0)
    settings = dict(
        n_modalities=N_MODALITIES,
        latent_dim=dim,
        input_dims={n: shape for n in names},
        decoders_dist={n: density for n in names},
    )
    if name == "MMVAE":
        settings["K"] = 1
    config = getattr(peers, f"{name}Config")(**settings)
    return getattr(peers, name)(
        config,
        encoders={n: encoder(dim) for n in names},
        decoders={n: decoder(dim) for n in names},
    )


def step(name: str, rounds: int) -> dict:
    model = build(name, 64, IMAGE, ImageEncoder, ImageDecoder, "laplace")
    generator = torch.Generator().manual_seed(0)
    data = {f"m{i}": torch.rand(BATCH, *IMAGE, generator=generator) for i in range(N_MODALITIES)}
    batch = DatasetOutput(data=data)
    optimiser = torch.optim.Adam(model.parameters(), 1e-4)
    model.train()
    best = math.inf
    for _ in range(rounds + 1):
        start = time.process_time()
        optimiser.zero_grad()
        model(batch, epoch=20).loss.backward()
        optimiser.step()
        best = min(best, time.process_time() - start)
    return {"cpu_ms": 1e3 * best}


def small(name: str, rows: int = 8192, epochs: int = 4) -> dict:
    from multivae.trainers import BaseTrainer, BaseTrainerConfig

    generator = torch.Generator().manual_seed(0)
    data = MultimodalBaseDataset(
        {f"m{i}": torch.randn(rows, 20, generator=generator) for i in range(N_MODALITIES)},
        labels=torch.zeros(rows, dtype=torch.long),
    )
    model = build(name, 16, (20,), VectorEncoder, VectorDecoder, "normal")
    os.chdir(tempfile.mkdtemp())
    with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
        config = BaseTrainerConfig(
            num_epochs=epochs, per_device_train_batch_size=BATCH, learning_rate=1e-3, no_cuda=True
        )
        trainer = BaseTrainer(model, data, training_config=config)
        steps = len(trainer.train_loader)
        best = math.inf
        for epoch in range(1, epochs + 1):
            start = time.process_time()
            trainer.train_step(epoch)
            best = min(best, time.process_time() - start)
    return {"steps_per_cpu_s": steps / best}


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=("step", "small"))
    parser.add_argument("model")
    parser.add_argument("--rounds", type=int, default=12)
    given = parser.parse_args()
    torch.set_num_threads(1)
    result = step(given.model, given.rounds) if given.what == "step" else small(given.model)
    print(json.dumps({"model": given.model, **result}))
