#!/usr/bin/env python
"""Fidelity beside MultiVae: the same pictures, networks, budget, judges and estimators.

    python benchmarks/fidelity.py --data DIR --peer PYTHON             # all runs, then the page
    python benchmarks/fidelity.py --data DIR --only mvtcae --seeds 0   # some of ours alone
    python benchmarks/fidelity.py --page                     # the page from what is there

*polydigits*: five modalities by PolyMNIST's protocol. *handsign*: MNIST beside photographs of hand
signs. 10,000 training rows, 2,000 test rows, the small convolutional networks of ``speed.py``, 64
latent numbers (with private latents 32 are shared, 32 private), batch 128, 15 epochs of Adam with
one learning rate, constant, for all. Four sides: *peer*, MultiVae with the papers' settings on
these data (``peer_fidelity.py``); *ours*, the recipes with the same settings; *plain*, the same,
but weights start as torch starts them and no gradient is shortened, as the peer has it;
*defaults*, the recipes as they are, a Laplace likelihood that learns its scale and networks whose
ReLUs leak. ``--sides`` names some; *plain* is run where it is named.

Each run is a file under ``benchmarks/results/fidelity``; one that is there is not run again.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
# The same instructions on every machine, so that the same judges judge everywhere.
os.environ.setdefault("ATEN_CPU_CAPABILITY", "avx2")
os.environ.setdefault("ONEDNN_MAX_CPU_ISA", "AVX2")
os.environ.setdefault("MKL_CBWR", "AVX2")

import numpy as np
import torch
from fidelity_judged import judged
from fidelity_page import page
from fidelity_runs import run_key
from torch import Tensor, nn

import polymodal as pm
from polymodal.data.tensors import Tensors
from polymodal.evaluate import train_judges
from polymodal.evaluate.coherence import subsets_of
from polymodal.fitting import end_training
from polymodal.likelihoods import LaplaceLikelihood
from polymodal.model import LatentModel, Modality
from polymodal.networks import ConvDecoder, ConvEncoder
from polymodal.networks.mlp import ActivationName
from polymodal.random import seeded
from polymodal.recipes import get_recipe
from polymodal.tasks.asking import asking
from polymodal.tasks.generate import generate
from polymodal.tasks.log_likelihood import log_likelihood
from polymodal.training.fit import fit
from polymodal.training.settings import TrainSettings

PEER_NAMES = {
    "mvtcae": "MVTCAE",
    "mopoe": "MoPoE",
    "mvae": "MVAE",
    "mmvae": "MMVAE",
    "mmvaeplus": "MMVAEPlus",
    "cmvae": "CMVAE",
    "jmvae": "JMVAE",
    "telbo": "TELBO",
    "crmvae": "CRMVAE",
    "nexus": "Nexus",
    "mhvae": "MHVAE",
    "dmvae_private": "DMVAE",
}
SETS = {"polydigits": "polydigits.npz", "handsign": "mnist_handsign.npz"}
SIDES = ("ours", "peer", "defaults")
ALSO = "plain"
SCALE, BETA = 0.75, 2.5
PAPERS: dict[str, dict] = {
    "mvtcae": {"beta": BETA},
    "mopoe": {"beta": BETA},
    "mvae": {"subsets": 0},
    "mmvae": {"estimator": "iwae"},
    "mmvaeplus": {"beta": BETA, "family": "laplace", "estimator": "iwae"},
    "cmvae": {"beta": BETA, "family": "laplace", "estimator": "iwae", "prune": False},
    "jmvae": {"beta": BETA, "gamma": 0.1},
    "crmvae": {"beta": BETA},
    "nexus": {"beta": BETA, "nexus_beta": BETA, "dropout": 0.2},
    "mhvae": {"beta": BETA},
    "dmvae_private": {"beta": BETA},
}
"""The papers' settings where they are not the recipes' own; the peer prunes no clusters, weighs no
divergence of ``telbo``, and its gamma of ``jmvae`` is 0.1. Both sides have the plain gradient of
the mixtures' bounds, as the releases of ``mmvaeplus`` and ``cmvae`` have it, and ``mvae`` without
random subsets."""
OWN = "polymodal"
"""The recipe that the peer has not."""
PRIVATE = {
    "mmvaeplus": "private_dim",
    "cmvae": "private_dim",
    "dmvae_private": "private_dim",
    "nexus": "modality_dim",
    OWN: "private_dim",
}
"""Recipes with latents of each modality's own, and the setting that is their size."""
SHARED_DIM, PRIVATE_DIM = 32, 32
EPOCHS, BATCH, TRAIN, TEST, RATE = 15, 128, 10_000, 2_000, 3e-3
SAMPLES, SCORED = 100, 300
HERE = Path(__file__).parent
RESULTS = HERE / "results" / "fidelity"
PAGE = HERE.parent / "docs" / "fidelity.md"


def image_modality(name: str, shape: tuple[int, ...], side: str) -> Modality:
    """The peer's networks and the papers' scale of a likelihood, or what is usual here."""
    usual = side == "defaults"
    activation: ActivationName = "leaky_relu" if usual else "relu"
    return Modality(
        name,
        ConvEncoder(shape, (16, 32), (), activation=activation),
        partial(
            ConvDecoder,
            shape=shape,
            channels=(16, 32),
            hidden=(),
            activation=activation,
        ),
        LaplaceLikelihood(shape, scale="scalar" if usual else SCALE),
    )


def write_pictures(name: str, data: Path, folder: Path) -> None:
    """A set's pictures as bytes ``(N, C, H, W)``, one array a modality and split, and labels."""
    load = {"polydigits": pm.datasets.polydigits, "handsign": pm.datasets.mnist_handsign}[name]
    for split, n in (("train", TRAIN), ("test", TEST)):
        found = load(data / SETS[name], split, n=n)
        (folder / split).mkdir(parents=True)
        for modality in found.data.names:
            picture = np.asarray(found.data.values(modality))
            picture = picture[:, None] if picture.ndim == 3 else picture
            np.save(folder / split / f"{modality}.npy", picture)
        np.save(folder / f"{split}_labels.npy", found.labels)


def tensors(folder: Path, split: str) -> Tensors:
    """Pictures in [0, 1] of every modality, all present."""
    x = {
        path.stem: torch.from_numpy(np.load(path)).float() / 255
        for path in sorted((folder / split).glob("*.npy"))
    }
    rows = len(next(iter(x.values())))
    return Tensors(x, {name: torch.ones(rows, dtype=torch.bool) for name in x})


def trained(name: str, train: Tensors, side: str, seed: int) -> LatentModel:
    """A recipe with the papers' settings or its defaults, fitted."""
    settings = {} if side == "defaults" else dict(PAPERS.get(name, {}))
    settings["latent_dim"] = SHARED_DIM if name in PRIVATE else SHARED_DIM + PRIVATE_DIM
    if name in PRIVATE:
        settings[PRIVATE[name]] = PRIVATE_DIM
    with seeded(seed):
        modalities = [image_modality(m, tuple(v.shape[1:]), side) for m, v in train.x.items()]
        model = get_recipe(name).build(modalities, **settings)
        if side == ALSO:
            start_plainly(model)
    model.start_from(train.x, train.present)
    settings = TrainSettings(
        epochs=EPOCHS,
        batch_size=BATCH,
        learning_rate=RATE,
        final_learning_rate=1.0,
        device="cpu",
        patience=None,
        seed=seed,
        **({"clip_norm": None} if side == ALSO else {}),
    )
    end_training(model, train, fit(model, train, settings), seed)
    return model


def start_plainly(model: nn.Module) -> None:
    """Weights start as torch starts them."""
    for layer in model.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            layer.reset_parameters()


@torch.no_grad()
def answers(model: LatentModel, test: Tensors, subset: Sequence[str]) -> dict[str, np.ndarray]:
    """What one draw given a subset decodes to, for every modality, as 8-bit pictures."""
    found: dict[str, list[np.ndarray]] = {name: [] for name in model.names}
    for rows in torch.arange(len(test)).split(250):
        x, present = test.gather(rows)
        given = {n: x[n] for n in subset}, {n: present[n] for n in subset}
        q = model.answer_posterior(*given)
        for name, p in model.decode(q.sample(), model.names).items():
            found[name].append(to_bytes(model.likelihood(name).point(p.statistics)))
    return {name: np.concatenate(parts) for name, parts in found.items()}


def to_bytes(value: Tensor) -> np.ndarray:
    """Pictures in [0, 1] as bytes."""
    return (value.clamp(0, 1) * 255).round().to(torch.uint8).numpy()


def run_ours(name: str, side: str, pictures: Path, out: Path, seed: int) -> None:
    """Train a recipe and write what it says, in the same files as the peer's script."""
    train, test = tensors(pictures, "train"), tensors(pictures, "test")
    start = time.process_time()
    model = trained(name, train, side, seed)
    seconds = time.process_time() - start
    with asking(model, seed):
        for subset in subsets_of(model.names):
            np.savez(out / ("+".join(subset) + ".npz"), **answers(model, test, subset))
    made = generate(model, len(test), seed=seed, values="mean")
    np.savez(out / "prior.npz", **{n: to_bytes(v) for n, v in made.items()})
    scored = Tensors(*test.gather(torch.arange(SCORED)))
    log_p = log_likelihood(model, scored, samples=SAMPLES, seed=seed).log_p
    facts = {"train_cpu_s": seconds, "log_likelihood": log_p.tolist()}
    (out / "facts.json").write_text(json.dumps(facts))


def run_peer(python: str, name: str, pictures: Path, out: Path, seed: int) -> None:
    """The same by the peer."""
    given = {
        "pictures": pictures,
        "out": out,
        "seed": seed,
        "epochs": EPOCHS,
        "batch-size": BATCH,
        "rate": RATE,
        "shared": SHARED_DIM,
        "private": PRIVATE_DIM,
        "samples": SAMPLES,
        "scored": SCORED,
    }
    options = [part for key, value in given.items() for part in (f"--{key}", str(value))]
    done = subprocess.run(
        [python, str(HERE / "peer_fidelity.py"), PEER_NAMES[name], *options],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"the peer failed: {done.stderr.strip().splitlines()[-1:]}")


def run_set(given: argparse.Namespace, name: str) -> None:
    """All runs of a set that are asked for and not there yet."""
    wanted = [
        (side, recipe, seed)
        for seed in given.seeds
        for recipe in given.only or (*PEER_NAMES, OWN)
        for side in given.sides
        if (recipe in PEER_NAMES and (side != "peer" or given.peer)) or side == "defaults"
    ]
    left = [one for one in wanted if not result_file(name, *one).exists()]
    if not left:
        return
    with tempfile.TemporaryDirectory() as made:
        pictures = Path(made) / "pictures"
        write_pictures(name, given.data, pictures)
        train, test = tensors(pictures, "train"), tensors(pictures, "test")
        labels = {s: np.load(pictures / f"{s}_labels.npy") for s in ("train", "test")}
        judges = train_judges(train, labels["train"], cache=given.judges)
        del train
        caps = {
            n: float((judges[n].predict(test.x[n]).numpy() == labels["test"]).mean())
            for n in judges
        }
        for side, recipe, seed in left:
            path = result_file(name, side, recipe, seed)
            if path.exists():  # another process may have been quicker
                continue
            with tempfile.TemporaryDirectory() as out:
                if side == "peer":
                    run_peer(given.peer, recipe, pictures, Path(out), seed)
                else:
                    run_ours(recipe, side, pictures, Path(out), seed)
                found = judged(Path(out), judges, test, labels["test"])
            path.parent.mkdir(parents=True, exist_ok=True)
            row = {"set": name, "side": side, "recipe": recipe, "seed": seed, "caps": caps}
            path.write_text(json.dumps(row | found, indent=1) + "\n")
            print(path.stem, found["coherence"], round(found["joint"], 3), flush=True)


def result_file(name: str, side: str, recipe: str, seed: int) -> Path:
    """Where a run's result is kept."""
    return RESULTS / f"{name}-{run_key(side, recipe)}-{seed}.json"


def main() -> None:
    """Run what is asked for and not there, then write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="the folder of polydigits.npz")
    parser.add_argument("--peer", help="an interpreter that has MultiVae")
    parser.add_argument("--sets", nargs="*", default=list(SETS), choices=SETS)
    parser.add_argument("--only", nargs="*", help="recipes")
    parser.add_argument("--sides", nargs="*", default=SIDES, choices=(*SIDES, ALSO))
    parser.add_argument("--seeds", nargs="*", type=int, default=[0, 1, 2])
    parser.add_argument("--judges", type=Path, help="where judges are kept between runs")
    parser.add_argument("--page", action="store_true", help="write docs/fidelity.md and end")
    given = parser.parse_args()
    torch.set_num_threads(1)
    if not given.page:
        if given.data is None:
            sys.exit("--data DIR is needed: the folder of polydigits.npz and mnist_handsign.npz.")
        for name in given.sets:
            run_set(given, name)
    PAGE.write_text(page(RESULTS, tuple(PEER_NAMES)))


if __name__ == "__main__":
    main()
