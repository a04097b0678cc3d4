#!/usr/bin/env python
"""Speed of every recipe against its floor, and against MultiVae when an interpreter has it.

    python benchmarks/speed.py                              # ours
    python benchmarks/speed.py --peer /path/to/bin/python   # and the peer, side by side
    python benchmarks/speed.py --write                      # and docs/performance.md

The peer is installed apart: ``pip install torch==2.13.0``, then ``pip install -c constraints.txt
multivae``. One thread, process CPU time (which other work on the machine disturbs least), the
smallest of several rounds that alternate between all that is compared.

The floor is one bare forward and backward of the networks that a step of the recipe runs, on as
many rows, with the same fused Adam: no sampling, no densities, no divergence (floors.py).
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import date
from functools import partial
from itertools import pairwise
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch
from floors import bare, batches, noted, products, watch
from torch import Tensor, nn

from polymodal.data.tensors import Tensors
from polymodal.fusion import Experts, MixtureOfProducts
from polymodal.likelihoods import GaussianLikelihood, LaplaceLikelihood
from polymodal.model import LatentModel, Modality, MultimodalVAE
from polymodal.networks import ConvDecoder, ConvEncoder, MLPDecoder, MLPEncoder
from polymodal.random import seeded
from polymodal.recipes import RECIPES, get_recipe
from polymodal.tasks.log_likelihood import batch_log_likelihood
from polymodal.training.fit import fit
from polymodal.training.memory import kept_memory
from polymodal.training.progress import SilentProgress
from polymodal.training.result import EpochRecord
from polymodal.training.settings import TrainSettings

IMAGE, N_MODALITIES, BATCH, LATENT = (3, 28, 28), 5, 128, 64
PEER_NAMES = {
    "mvtcae": "MVTCAE",
    "mopoe": "MoPoE",
    "jmvae": "JMVAE",
    "mvae": "MVAE",
    "mmvae": "MMVAE",
}
BESIDE_PEER = tuple(PEER_NAMES)
"""The recipes that the peer has too and its script measures."""

PEER = Path(__file__).with_name("peer_multivae.py")
PAGE = Path(__file__).parent.parent / "docs" / "performance.md"


def image_modalities() -> list[Modality]:
    """The networks of the comparison: 1.6 M parameters over five modalities."""
    return [
        Modality(
            f"m{i}",
            ConvEncoder(IMAGE, (16, 32), (), activation="relu"),
            partial(ConvDecoder, shape=IMAGE, channels=(16, 32), hidden=(), activation="relu"),
            LaplaceLikelihood(IMAGE, scale="scalar"),
        )
        for i in range(N_MODALITIES)
    ]


def image_batch() -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """One batch of noise, everything present."""
    generator = torch.Generator().manual_seed(0)
    names = [f"m{i}" for i in range(N_MODALITIES)]
    x = {name: torch.rand(BATCH, *IMAGE, generator=generator) for name in names}
    return x, {name: torch.ones(BATCH, dtype=torch.bool) for name in names}


def stepper(model: nn.Module, loss: Callable[[], Tensor]) -> Callable[[], None]:
    """One optimiser step on ``loss``."""
    optimiser = torch.optim.Adam(model.parameters(), 1e-4, fused=True)

    def step() -> None:
        optimiser.zero_grad()
        loss().backward()
        optimiser.step()

    return step


SETTINGS: dict[str, dict[str, object]] = {"mvae": {"subsets": 0}, "jmvae": {"subsets": 0}}
"""Where our defaults would do more work than the peer's."""

SIZES: dict[str, tuple[int, ...]] = {"poise": (32, LATENT)}
"""Other latent sizes: here a vector for each modality, by default of 32 numbers."""


def image_model(name: str, latent_dim: int = LATENT) -> tuple[LatentModel, list[nn.Module]]:
    """A recipe's model of the images, and its decoders."""
    with seeded(0):
        modalities, decoders = noted(image_modalities())
        model = get_recipe(name).build(modalities, latent_dim=latent_dim, **SETTINGS.get(name, {}))
    return model, decoders


def recipe_step(name: str, *, bf16: bool = False) -> Callable[[], None]:
    """A training step of a recipe on the images; as in training, only the loss is in bf16."""
    return model_step(image_model(name)[0], bf16=bf16)


def model_step(model: LatentModel, *, bf16: bool = False) -> Callable[[], None]:
    """A training step of a model of the images; every step draws the same.

    What is drawn may be how much a step has to do, as the tokens that a masked autoencoder shows.
    """
    x, present = image_batch()

    def loss() -> Tensor:
        with seeded(0), torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            return model.loss(x, present, 0).loss.mean()

    return stepper(model, loss)


def cpu_ms(steps: dict[str, Callable[[], None]], rounds: int) -> dict[str, float]:
    """Smallest CPU time of each, in ms, over rounds that alternate between them."""
    best = dict.fromkeys(steps, math.inf)
    for step in steps.values():
        step()
    for _ in range(rounds):
        for name, step in steps.items():
            start = time.process_time()
            step()
            best[name] = min(best[name], 1e3 * (time.process_time() - start))
    return best


def peer_lines(python: str, *arguments: str) -> list[dict]:
    """What the peer's script prints, one JSON object a line."""
    done = subprocess.run(
        [python, str(PEER), *arguments], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"the peer failed: {done.stderr.strip().splitlines()[-1:]}")
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def peer_steps(peer: str | None, rounds: int) -> dict[str, float]:
    """CPU ms of the peer's training step by recipe; nothing without a peer."""
    found = {}
    for name in BESIDE_PEER if peer else ():
        (line,) = peer_lines(str(peer), "step", PEER_NAMES[name], "--rounds", str(rounds))
        found[name] = line["cpu_ms"]
    return found


def measure_recipes(peer: str | None, rounds: int) -> list[dict]:
    """Every recipe, stage by stage, beside its floor; the peer before and after ours."""
    before = peer_steps(peer, rounds)
    rows = []
    for name in (*BESIDE_PEER, *(n for n in sorted(RECIPES) if n not in PEER_NAMES)):
        for latent_dim in SIZES.get(name, (LATENT,)):
            model, decoders = image_model(name, latent_dim)
            for stage in range(0 if model.closed_form else len(model.stages)):
                model.enter(stage)
                row = stage_row(model, decoders, rounds)
                rows.append({"recipe": name, "latent_dim": latent_dim, **row})
    after = peer_steps(peer, rounds)
    for row in rows if peer else ():
        theirs = [found.get(row["recipe"], math.nan) for found in (before, after)]
        row |= {"peer_ms": min(theirs), "peer_over_ours": min(theirs) / row["cpu_ms"]}
    return rows


def stage_row(model: LatentModel, decoders: list[nn.Module], rounds: int) -> dict[str, object]:
    """A training step of a model in its stage, beside the bare networks of that step."""
    step = model_step(model)
    calls = watch(model, step)
    steps = {"ours": step}
    energy = products(model, BATCH)
    if calls:
        steps["networks"] = stepper(model, lambda: bare(calls))
    if calls and energy is not None:
        steps["floor"] = stepper(model, lambda: bare(calls) + energy())
    start = time.process_time()
    step()
    few = min(rounds, max(3, round(6 / (time.process_time() - start))))
    with kept_memory(torch.device("cpu")):
        best = {"networks": math.nan, **cpu_ms(steps, few)}
    floor = best.get("floor", best["networks"])
    encoders = [m for m in model.modules() if isinstance(m, ConvEncoder)]
    return {
        "stage": model.stages[model.stage].name,
        "encodes": batches(calls, encoders, BATCH),
        "decodes": batches(calls, decoders, BATCH),
        "cpu_ms": best["ours"],
        "networks_ms": best["networks"],
        "floor_ms": floor,
        "over_networks": best["ours"] / best["networks"],
        "over_floor": best["ours"] / floor,
    }


def measure_bf16(peer: str | None, rounds: int) -> list[dict]:
    """Each recipe under bf16 autocast beside float32, and the peer, which has float32 only."""
    steps: dict[str, Callable[[], None]] = {}
    for name in BESIDE_PEER:
        steps[name], steps[f"{name} bf16"] = recipe_step(name), recipe_step(name, bf16=True)
    best, theirs = cpu_ms(steps, rounds), peer_steps(peer, rounds)
    rows = []
    for name in BESIDE_PEER:
        half = best[f"{name} bf16"]
        row = {
            "recipe": name,
            "float32_ms": best[name],
            "bf16_ms": half,
            "gain": best[name] / half,
        }
        if peer:
            row |= {"peer_ms": theirs[name], "peer_over_bf16": theirs[name] / half}
        rows.append(row)
    return rows


def measure_compile(rounds: int) -> dict:
    """MoPoE's loss through ``torch.compile``: time to compile and time of a step."""
    with seeded(0):
        model = get_recipe("mopoe").build(image_modalities(), latent_dim=LATENT)
    x, present = image_batch()
    compiled = torch.compile(model.loss)
    step = stepper(model, lambda: compiled(x, present, 0).loss.mean())
    start = time.perf_counter()
    try:
        step()
    except Exception as error:
        return {"compiles": False, "why": f"{type(error).__name__}: {error}".splitlines()[0]}
    first = time.perf_counter() - start
    best = cpu_ms({"compiled": step, "plain": recipe_step("mopoe")}, rounds)
    return {"compiles": True, "first_step_s": first, **{f"{k}_ms": v for k, v in best.items()}}


class EpochClock(SilentProgress):
    """Takes each epoch's process CPU time, as ``peer_multivae.py`` takes the peer's."""

    def __init__(self) -> None:
        self.at: list[float] = []

    def start(self, epochs: int, steps_per_epoch: int, step: int) -> None:
        """The first epoch begins."""
        self.at.append(time.process_time())

    def epoch(self, record: EpochRecord) -> None:
        """One has ended."""
        self.at.append(time.process_time())

    def quickest(self) -> float:
        """Seconds of the quickest epoch."""
        return min(after - before for before, after in pairwise(self.at))


def small_steps_per_second(name: str, rows: int = 8192, epochs: int = 4) -> float:
    """Steps a second of our loop on 5 modalities of 20 numbers, loader included."""
    generator = torch.Generator().manual_seed(0)
    names = [f"m{i}" for i in range(N_MODALITIES)]
    source = Tensors(
        {n: torch.randn(rows, 20, generator=generator) for n in names},
        {n: torch.ones(rows, dtype=torch.bool) for n in names},
    )
    with seeded(0):
        modalities = [
            Modality(
                n,
                MLPEncoder(20, (64,)),
                partial(MLPDecoder, output_shape=(20,), hidden=(64,)),
                GaussianLikelihood((20,), scale=1.0),
            )
            for n in names
        ]
        model = get_recipe(name).build(modalities, latent_dim=16, **SETTINGS.get(name, {}))
    settings = TrainSettings(epochs=epochs, batch_size=BATCH, device="cpu", patience=None)
    clock = EpochClock()
    fit(model, source, settings, progress=clock)
    return math.ceil(rows / BATCH) / clock.quickest()


def measure_small(peer: str | None) -> list[dict]:
    """Small networks, where overhead shows: steps a CPU second in each trainer's best epoch."""
    rows = []
    for name in BESIDE_PEER:
        ours, theirs = [], []
        for _ in range(3):
            ours.append(small_steps_per_second(name))
            if peer:
                said = peer_lines(peer, "small", PEER_NAMES[name])
                theirs.append(said[0]["steps_per_cpu_s"])
        row = {"recipe": name, "steps_per_cpu_s": max(ours)}
        if peer:
            row |= {
                "peer_steps_per_cpu_s": max(theirs),
                "ours_over_peer": max(ours) / max(theirs),
            }
        rows.append(row)
    return rows


def fusion_once(n_modalities: int, batch: int, max_strata: int) -> Callable[[], None]:
    """MoPoE's fusion, forward and backward."""
    generator = torch.Generator().manual_seed(0)
    shape = (n_modalities, batch, LATENT)
    loc = torch.randn(shape, generator=generator).requires_grad_()
    raw = torch.randn(shape, generator=generator).requires_grad_()
    on = torch.ones(shape[:2], dtype=torch.bool)
    rule = MixtureOfProducts(max_strata=max_strata)

    def step() -> None:
        loc.grad = raw.grad = None
        q = rule(Experts(loc, raw.exp(), on))
        (q.loc.sum() + q.scale.sum()).backward()

    return step


def measure_fusion(rounds: int) -> list[dict]:
    """Fusion by the number of modalities; each in a process of its own for its peak memory."""
    rows = []
    for n_modalities, max_strata in ((2, 1023), (5, 1023), (8, 1023), (10, 1023), (20, 1023)):
        command = [sys.executable, __file__, "--fusion", str(n_modalities), str(max_strata)]
        done = subprocess.run(
            [*command, "--rounds", str(rounds)], capture_output=True, text=True, check=True
        )
        rows.append(json.loads(done.stdout))
    return rows


def fusion_line(n_modalities: int, max_strata: int, rounds: int) -> dict:
    """One row of the fusion's table."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    step = fusion_once(n_modalities, BATCH, max_strata)
    best = cpu_ms({"fusion": step}, rounds)["fusion"]
    peak = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    strata = min(2**n_modalities - 1, max_strata)
    return {"modalities": n_modalities, "strata": strata, "cpu_ms": best, "peak_mb": peak}


@torch.no_grad()
def measure_likelihood(rows: int = 4, samples: int = 1000) -> list[dict]:
    """Joint log-likelihood with K = 1,000 against its decoder passes alone."""
    out = []
    x, present = image_batch()
    x = {name: value[:rows] for name, value in x.items()}
    present = {name: value[:rows] for name, value in present.items()}
    for name in ("mvtcae", "mopoe", "mmvae"):
        with seeded(0):
            model = get_recipe(name).build(image_modalities(), latent_dim=LATENT)
        assert isinstance(model, MultimodalVAE)
        strata = model.posterior(x, present).n_strata
        z = torch.randn(math.ceil(samples / strata) * strata * rows, LATENT)
        best = cpu_ms(
            {
                "all": lambda m=model: batch_log_likelihood(m, x, present, samples),
                "decoders": lambda m=model, z=z: [d(z) for d in m.decoders],
            },
            3,
        )
        out.append(
            {
                "recipe": name,
                "s_per_row": best["all"] / 1e3 / rows,
                "over_decoders": best["all"] / best["decoders"],
            }
        )
    return out


def table(rows: list[dict]) -> str:
    """A Markdown table of the rows."""
    names = list(rows[0])
    lines = ["| " + " | ".join(names) + " |", "|" + " --- |" * len(names)]
    for row in rows:
        cells = [
            ("" if math.isnan(v) else f"{v:.3g}") if isinstance(v, float) else str(v)
            for v in row.values()
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def page(results: dict, command: str) -> str:
    """The text of docs/performance.md."""
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    parts = [
        "# Performance",
        f"Measured on {date.today().isoformat()} ({machine}, torch {torch.__version__}), one "
        f"thread, process CPU time, the smallest of alternating rounds, by `{command}`.",
        "Five modalities of [3, 28, 28], batch 128, the same small convolutional networks "
        "(1.6 M parameters). *encodes*, *decodes*: how many batches each encoder and decoder "
        "reads in a step, in one call (two where some draws must not train a decoder). "
        "*networks*: one bare forward and backward of the networks of the step on as many rows, "
        "with fused Adam (a Boltzmann machine has no networks, closed forms no steps). *floor*: "
        "the same, and for `poise` the bare matrix products of its Gibbs sweeps, which no network "
        "does. All keep the memory that a step frees, as `fit` does. *peer*: MultiVae as it is, "
        "with the same networks. *latent_dim*: size of the latent vector, of which `poise` has "
        "one for each modality; so it stands here with its default of 32 too. "
        "`mvae` and `jmvae` are measured without the random subsets that they draw by default, "
        "as the peer's; `mmvae` with K = 1.",
        "## Training steps",
        table(results["recipes"]),
        "## bf16 autocast",
        table(results["bf16"]),
        "## torch.compile",
        table([results["compile"]]),
        "## Small networks: 5 modalities of 20 numbers, MLPs of 64, loader included",
        table(results["small"]),
        "## MoPoE's fusion, forward and backward, batch 128, 64 latent dimensions",
        "With more subsets than `max_strata`, that many are drawn a row without bias.",
        table(results["fusion"]),
        "## Joint log-likelihood, K = 1,000",
        table(results["likelihood"]),
    ]
    return "\n\n".join(parts) + "\n"


def main() -> None:
    """Measure everything and print it; with --write also docs/performance.md."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peer", help="an interpreter that has MultiVae")
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--write", action="store_true", help="write docs/performance.md")
    parser.add_argument("--only", nargs="*", help="recipes bf16 compile small fusion likelihood")
    parser.add_argument("--fusion", nargs=2, type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    torch.set_num_threads(1)
    if given.fusion:
        print(json.dumps(fusion_line(*given.fusion, given.rounds)))
        return
    measures: dict[str, Callable[[], object]] = {
        "recipes": lambda: measure_recipes(given.peer, given.rounds),
        "bf16": lambda: measure_bf16(given.peer, given.rounds),
        "compile": lambda: measure_compile(given.rounds),
        "small": lambda: measure_small(given.peer),
        "fusion": lambda: measure_fusion(given.rounds),
        "likelihood": measure_likelihood,
    }
    results = {}
    for name in given.only or measures:
        results[name] = measures[name]()
        rows = results[name] if isinstance(results[name], list) else [results[name]]
        print(f"\n{name}\n{table(rows)}", flush=True)
    if given.write:
        peer = " --peer PYTHON" if given.peer else ""
        PAGE.write_text(page(results, f"python benchmarks/speed.py{peer} --write"))


if __name__ == "__main__":
    main()
