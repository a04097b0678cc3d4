"""The page of ``fidelity.py``: every number from the files of its runs."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from fidelity_beside import likelihoods, notes, papers, verdict
from fidelity_goal import goal, lacking
from fidelity_runs import (
    CODES,
    Cell,
    Run,
    grouped,
    joint,
    judges_of,
    largest_class,
    log_likelihood,
    partial_cell,
    read_runs,
)


def page(results: Path, both: Sequence[str]) -> str:
    """The text of docs/fidelity.md.

    Arguments:
        results: The folder of the runs' files.
        both: The recipes that MultiVae has too.
    """
    runs = read_runs(results)
    parts = [
        "# Fidelity",
        "Beside [MultiVae](https://github.com/AgatheSenellart/MultiVae): the same pictures, "
        "networks, batch, epochs, learning rate and estimators, by `python "
        "benchmarks/fidelity.py --data DIR --peer PYTHON`. 10,000 training rows, 2,000 test rows, "
        "two strided convolutions a picture (1.6 M parameters for five modalities; `jmvae` and "
        "`telbo`, with a network for the joint posterior, 2.2 M by polymodal and 2.3 M by "
        "MultiVae, `mhvae` 2.7 M and 2.5 M, `nexus` 1.0 M), decoders of "
        "64 latent numbers (all shared, or 32 shared and 32 of the modality's own: then a row has "
        "96 in all on handsign and 192 on polydigits; those of `nexus` have 32), "
        "15 epochs of batches of 128 with Adam at "
        "3e-3 for all, on one CPU thread. *MultiVae* and *polymodal* have the papers' settings on "
        "these data (Laplace likelihoods of scale 0.75, divergences weighted 2.5). Each code "
        "starts its weights in its own manner, and polymodal shortens gradients of a norm above "
        "100, MultiVae none; *polymodal, plain* has torch's start and no such limit, as MultiVae "
        "has them. *polymodal, defaults* has the recipes' own, but for these sizes, a Laplace "
        "likelihood that learns its scale, and networks whose ReLUs leak (.01), as the library's "
        "do unless told. The recipe `polymodal` is the library's own.",
        "**These are small runs.** Published models had 60,000 rows, deep residual networks and "
        "150 to 300 epochs, which no CPU does in a sitting: the values below say which code gets "
        "further on one budget, not what a method can reach. Handsign pairs few photographs many "
        "times: 1,658 in the training rows, 395 others in the test rows. "
        "Classifiers trained on the real "
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
        parts += [f"## {name}", table(mine), verdict(mine, conditional_cells(mine) | JOINT)]
        parts += filter(None, [likelihoods(mine), notes(mine), goal(mine)])
        parts += filter(None, [lacking(mine, both, 3)])
    polydigits = [run for run in runs if run["set"] == "polydigits"]
    parts += ["## What the papers report", papers(polydigits)]
    return "\n\n".join(parts) + "\n"


JOINT: dict[str, Cell] = {"joint": joint}


def conditional_cells(runs: list[Run]) -> dict[str, Cell]:
    """Coherence by number of inputs, or by direction where there are two modalities."""
    inputs = sorted({k for run in runs for k in run["coherence"]})
    if len(inputs) > 1:
        return {f"coherence, {k}": partial_cell(k) for k in inputs}
    pairs = sorted({pair for run in runs for pair in run["pairs"]})
    return {pair: (lambda run, pair=pair: run["pairs"][pair]) for pair in pairs}


def columns(runs: list[Run]) -> dict[str, Cell]:
    """The columns of a set's table."""
    return (
        conditional_cells(runs)
        | JOINT
        | {
            "by chance": lambda run: run["joint_by_chance"],
            "one class": largest_class,
            "log p(x)": log_likelihood,
            "Fréchet": lambda run: run["frechet"],
            "Fréchet, prior": lambda run: run["frechet_prior"],
            "CPU s": lambda run: run["train_cpu_s"],
        }
    )


def table(runs: list[Run]) -> str:
    """A line a model."""
    cells = columns(runs)
    head = ["model", "code", "seeds", *cells]
    lines = [" | ".join(head), " | ".join(["---"] * len(head))]
    usual = Counter(map(judges_of, runs)).most_common(1)[0][0]
    marked = False
    for (recipe, side), mine in grouped(runs).items():
        said = [spread([cell(run) for run in mine]) for cell in cells.values()]
        others = sum(judges_of(run) != usual for run in mine)
        marked |= others > 0
        seeds = f"{len(mine)}{f' ({others} †)' if others else ''}"
        lines.append(" | ".join([f"`{recipe}`", CODES[side], seeds, *said]))
    caps = {name: [run["caps"][name] for run in runs] for name in runs[0]["caps"]}
    told = ", ".join(f"{name} {min(v):.3f} to {max(v):.3f}" for name, v in caps.items())
    table = "\n".join(f"| {line} |" for line in lines)
    text = (
        f"{table}\n\nThe judges tell real test pictures so often, which caps coherence, from the "
        f"worst judges to the best: {told}."
    )
    return text + (
        " † So many of the runs had the judges of another machine: their Fréchet distances lie in "
        "other features, and stand beside the others roughly."
        if marked
        else ""
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
