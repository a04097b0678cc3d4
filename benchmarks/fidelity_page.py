"""The page of ``fidelity.py``: every number from the files of its runs."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path

from fidelity_goal import goal, lacking

from polymodal.recipes import RECIPES

PAPERS = {
    "cmvae": {"1": 0.897, "joint": 0.781},
    "mmvaeplus": {"1": 0.869, "joint": 0.344},
    "mvtcae": {"1": 0.69, "2": 0.77, "3": 0.83, "4": 0.86, "joint": 0.003},
    "mopoe": {"1": 0.66, "2": 0.77, "3": 0.81, "4": 0.83, "joint": 0.141},
}
"""Published for the full protocol: 60,000 rows, ResNets, 150 to 300 epochs, other backgrounds."""

NOTES = {
    "jmvae": "MultiVae's joint network has trunks of its own and answers a set between one and "
    "all by the product of the unimodal posteriors; polymodal's shares theirs and learns to "
    "answer such sets itself. The alignment weighs 0.1 in both, and no weight grows over epochs.",
    "telbo": "MultiVae's joint network has trunks of its own and learns for 8 epochs, then the "
    "unimodal encoders for 7, with the joint posterior's variance in their divergence where their "
    "own belongs; polymodal trains all for 15. MultiVae answers no set between one and all.",
    "nexus": "A message is withheld from a fifth of the rows, and what the nexus says of the "
    "modalities' vectors weighs 10, in both.",
    "mhvae": "MultiVae decodes from the lower of two levels and averages over all sets of "
    "modalities; polymodal decodes from both and sums over all and each one alone. MultiVae's new "
    "rows are drawn down its levels here: its own code draws the lower one from N(0, I).",
    "dmvae_private": "The private latents have 32 numbers in both, many more than in its paper. "
    "MultiVae leaves the prior out of what one modality says in training, and has it in answers.",
}
"""What else differs, of recipes that MultiVae ran."""

SIDE_NAMES = {"ours": "polymodal", "peer": "multivae", "defaults": "defaults"}
CODES = {
    "ours": "polymodal",
    "peer": "MultiVae",
    "defaults": "polymodal, defaults",
}
Run = dict
Cell = Callable[[Run], float]


def run_key(side: str, recipe: str) -> str:
    """A run's name without its set and seed."""
    return recipe if side == "ours" else f"{recipe}-{SIDE_NAMES[side]}"


def page(results: Path, both: Sequence[str]) -> str:
    """The text of docs/fidelity.md.

    Arguments:
        results: The folder of the runs' files.
        both: The recipes that MultiVae has too.
    """
    runs = [json.loads(path.read_text()) for path in sorted(results.glob("*.json"))]
    parts = [
        "# Fidelity",
        "Beside [MultiVae](https://github.com/AgatheSenellart/MultiVae): the "
        "same pictures, networks, batch, epochs, learning rate and estimators, by `python "
        "benchmarks/fidelity.py --data DIR --peer PYTHON`. 10,000 training rows, 2,000 test rows, "
        "two strided convolutions a picture (1.6 M parameters for five modalities), 64 latent "
        "numbers (32 shared and 32 for each modality where a recipe has private ones), 15 epochs "
        "of batches of 128 with Adam at 3e-3 for all, on one CPU thread. "
        "*MultiVae* and *polymodal* have the papers' settings on these data (Laplace "
        "likelihoods of scale 0.75, divergences "
        "weighted 2.5); *polymodal, defaults* has the recipes' own, but for these sizes, a "
        "Laplace likelihood that learns its scale, and decoders whose ReLUs leak (.01), as the "
        "library's do unless told. The recipe `polymodal` is the library's own.",
        "**These are small runs.** Published models had 60,000 rows, deep residual networks and "
        "150 to 300 epochs, which no CPU does in a sitting: the values below say which code gets "
        "further on one budget, not what a method can reach. Classifiers trained on the real "
        "pictures judge, all trained alike, but once on each machine that made runs: how often "
        "they are right stands below each table. A single class for all would get about .11.",
        "*coherence, k*: share of decoded pictures with the row's class, given k other modalities "
        "(mean over subsets, then targets that were not given). *joint*: all modalities of a new "
        "row show one class; *by chance*, what the same class shares would give with nothing in "
        "common; *one class*, the share of the most frequent class of new rows in the modality "
        "where it is largest (a collapsed decoder has 1; the files of the runs hold all shares; "
        "runs before they were kept have none). What is given is read as each code answers "
        "questions: `mopoe` from the product of all that is given. *log p(x)*: nats a row, 100 "
        "importance samples from every "
        "component in turn over the whole mixture, 300 rows, the same estimator for all; each "
        "under its own "
        "likelihood, so a learned scale is not to be compared with a fixed one. *Fréchet*: "
        "distance in the judges' features (less is better) of pictures made from one other "
        "modality, and from the prior. Mean over seeds ± their standard deviation.",
    ]
    for name in dict.fromkeys(run["set"] for run in runs):
        mine = [run for run in runs if run["set"] == name]
        parts += [f"## {name}", table(mine), verdict(mine)]
        parts += filter(None, [likelihoods(mine), notes(mine), goal(mine)])
    polydigits = [run for run in runs if run["set"] == "polydigits"]
    parts += ["## What the papers report", papers(polydigits, both)]
    return "\n\n".join(parts) + "\n"


def columns(runs: list[Run]) -> dict[str, Cell]:
    """The columns of a set's table."""
    inputs = sorted({k for run in runs for k in run["coherence"]})
    cells: dict[str, Cell] = {f"coherence, {k}": partial_cell(k) for k in inputs}
    if len(inputs) == 1:
        pairs = sorted({pair for run in runs for pair in run["pairs"]})
        cells = {pair: (lambda run, pair=pair: run["pairs"][pair]) for pair in pairs}
    return cells | {
        "joint": lambda run: run["joint"],
        "by chance": lambda run: run["joint_by_chance"],
        "one class": largest_class,
        "log p(x)": lambda run: run["log_likelihood"],
        "Fréchet": lambda run: run["frechet"],
        "Fréchet, prior": lambda run: run["frechet_prior"],
        "CPU s": lambda run: run["train_cpu_s"],
    }


def largest_class(run: Run) -> float:
    """The largest share of one class among new rows, of the modality where it is largest."""
    shares = run.get("joint_classes", {})
    return max((max(each) for each in shares.values()), default=math.nan)


def partial_cell(k: str) -> Cell:
    """Coherence given k modalities."""
    return lambda run: run["coherence"].get(k, math.nan)


def grouped(runs: list[Run]) -> dict[tuple[str, str], list[Run]]:
    """(recipe, side) -> its runs, in the order of the recipes' years."""
    found: dict[tuple[str, str], list[Run]] = defaultdict(list)
    for recipe in RECIPES:
        for side in CODES:
            for run in runs:
                if (run["recipe"], run["side"]) == (recipe, side):
                    found[recipe, side].append(run)
    return found


def table(runs: list[Run]) -> str:
    """A line a model."""
    cells = columns(runs)
    head = ["model", "code", "seeds", *cells]
    lines = [" | ".join(head), " | ".join(["---"] * len(head))]
    for (recipe, side), mine in grouped(runs).items():
        said = [spread([cell(run) for run in mine]) for cell in cells.values()]
        lines.append(" | ".join([f"`{recipe}`", CODES[side], str(len(mine)), *said]))
    caps = {name: [run["caps"][name] for run in runs] for name in runs[0]["caps"]}
    told = ", ".join(f"{name} {min(v):.3f} to {max(v):.3f}" for name, v in caps.items())
    table = "\n".join(f"| {line} |" for line in lines)
    return (
        f"{table}\n\nThe judges tell real test pictures so often, which caps coherence, from the "
        f"worst judges to the best: {told}."
    )


def spread(values: list[float]) -> str:
    """Mean ± standard deviation of the runs that tell, and their number where not all do."""
    telling = [value for value in values if not math.isnan(value)]
    if not telling:
        return ""
    mean = sum(telling) / len(telling)
    digits = ",.0f" if abs(mean) >= 10 else ".3f"
    shown = format(mean, digits)
    if len(telling) > 1:
        sd = math.sqrt(sum((v - mean) ** 2 for v in telling) / (len(telling) - 1))
        shown += f" ± {format(sd, digits)}"
    return shown if len(telling) == len(values) else f"{shown} ({len(telling)} of {len(values)})"


def verdict(runs: list[Run]) -> str:
    """Where the peer is ahead by more than the noise of the seeds, and the mean difference."""
    found, cells = grouped(runs), columns(runs)
    cells = {name: cell for name, cell in cells.items() if "->" in name or "coherence" in name}
    cells["joint"] = lambda run: run["joint"]
    said, gaps = [], []
    for recipe in dict.fromkeys(recipe for recipe, _ in found):
        ours, peer = found.get((recipe, "ours"), []), found.get((recipe, "peer"), [])
        if not ours or not peer:
            continue
        for name, cell in cells.items():
            a, b = [cell(run) for run in ours], [cell(run) for run in peer]
            gap = sum(a) / len(a) - sum(b) / len(b)
            if math.isnan(gap):  # one of them does not answer so many inputs
                continue
            gaps.append(gap)
            noise = 2 * math.sqrt(deviation(a) ** 2 / len(a) + deviation(b) ** 2 / len(b))
            if len(a) > 1 and len(b) > 1 and gap < -noise:
                said.append(f"`{recipe}`, {name}: {gap:+.3f} (noise {noise:.3f})")
            elif (len(a) < 2 or len(b) < 2) and gap < 0:
                said.append(f"`{recipe}`, {name}: {gap:+.3f} (one seed, so no noise is known)")
    if not gaps:
        return "No model was run by both."
    mean = sum(gaps) / len(gaps)
    behind = "; ".join(said) if said else "none"
    return (
        f"Over the {len(gaps)} cells of coherence that both have, polymodal minus MultiVae is "
        f"{mean:+.3f} on the mean. Cells where polymodal is behind by more than two standard "
        f"errors over seeds: {behind}."
    )


def likelihoods(runs: list[Run]) -> str:
    """The same of the log-likelihood."""
    found = grouped(runs)
    told = []
    for recipe in dict.fromkeys(recipe for recipe, _ in found):
        a, b = (
            [run["log_likelihood"] for run in found.get((recipe, side), [])]
            for side in ("ours", "peer")
        )
        if a and b:
            noise = 2 * math.sqrt(deviation(a) ** 2 / len(a) + deviation(b) ** 2 / len(b))
            told.append(f"`{recipe}` {mean(a) - mean(b):+.0f} (noise {noise:.0f})")
    return f"log p(x), polymodal minus MultiVae, nats a row: {', '.join(told)}." if told else ""


def notes(runs: list[Run]) -> str:
    """What else differs between the codes, of the recipes that both ran."""
    there = {run["recipe"] for run in runs if run["side"] == "peer"}
    return "\n".join(f"- `{name}`: {note}" for name, note in NOTES.items() if name in there)


def deviation(values: list[float]) -> float:
    """Standard deviation over seeds; zero of one."""
    mean = sum(values) / len(values)
    return math.sqrt(sum((v - mean) ** 2 for v in values) / max(1, len(values) - 1))


def papers(runs: list[Run], both: Sequence[str]) -> str:
    """What is published for the full protocol, and how far below it these small runs end."""
    keys = ["1", "2", "3", "4", "joint"]
    head = ["model", "", *(f"coherence, {k}" if k != "joint" else k for k in keys)]
    lines = [" | ".join(head), " | ".join(["---"] * len(head))]
    found = grouped(runs)
    for recipe, values in PAPERS.items():
        told = [f"{values[k]:.3f}" if k in values else "" for k in keys]
        lines.append(" | ".join([f"`{recipe}`", "published", *told]))
        mine = found.get((recipe, "ours"), [])
        if mine:
            here = {k: mean([cell_of(k)(run) for run in mine]) for k in keys}
            gaps = [f"{here[k] - values[k]:+.3f}" if k in values else "" for k in keys]
            lines.append(" | ".join(["", "polymodal here, minus that", *gaps]))
    note = (
        "On PolyMNIST itself; the backgrounds here are others, so that values differ for that "
        "reason too. Joint coherence of `mvtcae`, `mopoe` and `mmvaeplus` as a later paper "
        "reports it. Not reached: the full protocol (60,000 rows, ResNets, 150 to 300 epochs), "
        "which wants an accelerator. " + lacking(runs, both, 3)
    )
    return "\n".join(f"| {line} |" for line in lines) + f"\n\n{note}"


def cell_of(key: str) -> Cell:
    """Joint coherence, or that given k modalities."""
    return (lambda run: run["joint"]) if key == "joint" else partial_cell(key)


def mean(values: list[float]) -> float:
    """The mean over seeds."""
    return sum(values) / len(values)
