"""MultiVae's side of ``fidelity.py``: train one of its models, write what it says.

Run by an interpreter that has MultiVae. Settings are those of the papers on PolyMNIST: Laplace
likelihoods of scale 0.75, divergences weighted 2.5 where a model weighs them
(``peer_networks.py``). Reads pictures as arrays that ``fidelity.py`` wrote, writes for every
subset and target the means that it decodes, rows generated from its prior, and log-likelihoods
(``peer_likelihood.py``).
"""

from __future__ import annotations

import argparse
import json
import os
import random
import tempfile
import time
from itertools import combinations
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from peer_likelihood import log_likelihood
from peer_multivae import ModelOutput, MultimodalBaseDataset
from peer_networks import SETTINGS, build


def pictures(folder: Path, split: str) -> dict[str, torch.Tensor]:
    """Modality -> pictures in [0, 1], ``(N, C, H, W)``."""
    return {
        path.stem: torch.from_numpy(np.load(path)).float() / 255
        for path in sorted((folder / split).glob("*.npy"))
    }


def train(model, x: dict, epochs: int, batch_size: int, rate: float, seed: int):
    from multivae import trainers

    # Only TELBO is trained in stages.
    kind = "Multistage" if hasattr(model, "reset_optimizer_epochs") else "Base"
    rows = len(next(iter(x.values())))
    data = MultimodalBaseDataset(x, labels=torch.zeros(rows, dtype=torch.long))
    config = getattr(trainers, f"{kind}TrainerConfig")(
        num_epochs=epochs,
        per_device_train_batch_size=batch_size,
        learning_rate=rate,
        no_cuda=True,
        seed=seed,
        output_dir=tempfile.mkdtemp(),
    )
    trainer = getattr(trainers, f"{kind}Trainer")(model, data, training_config=config)
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
def generated(model, name: str, n: int, names: list[str]) -> dict[str, np.ndarray]:
    z = down_the_levels(model, n) if name == "MHVAE" else model.generate_from_prior(n)
    said = model.decode(z)
    return {m: to_bytes(said[m]) for m in names}


def down_the_levels(model, n: int) -> ModelOutput:
    """New latents of MHVAE: its ``generate_from_prior`` draws the lowest level from N(0, I)."""
    z = torch.randn(n, model.prior_blocks[-1].body[0].in_features)
    for down, block in zip(
        reversed(model.top_down_blocks), reversed(model.prior_blocks), strict=True
    ):
        p = block(down(z))
        z = torch.distributions.Normal(p.embedding, (0.5 * p.log_covariance).exp()).sample()
    return ModelOutput(z=z, one_latent_space=True)


def answered(name: str, names: list[str]) -> list[tuple[str, ...]]:
    """The subsets that a model answers: TELBO only what is alone or complete."""
    sizes = (1, len(names)) if name == "TELBO" else range(1, len(names) + 1)
    return [subset for size in sizes for subset in combinations(names, size)]


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
    model = build(given.model, shapes, given.shared, given.private, given.epochs)
    start = time.process_time()
    model = train(model, x, given.epochs, given.batch_size, given.rate, given.seed)
    seconds = time.process_time() - start
    model.eval()
    names = list(x)
    given.out.mkdir(parents=True, exist_ok=True)
    for subset in answered(given.model, names):
        np.savez(given.out / ("+".join(subset) + ".npz"), **answers(model, test, subset))
    n = len(next(iter(test.values())))
    np.savez(given.out / "prior.npz", **generated(model, given.model, n, names))
    scored = {m: v[: given.scored] for m, v in test.items()}
    log_p = log_likelihood(model, given.model, scored, given.samples)
    facts = {"train_cpu_s": seconds, "log_likelihood": log_p.tolist()}
    (given.out / "facts.json").write_text(json.dumps(facts))


if __name__ == "__main__":
    main()
