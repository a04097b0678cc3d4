"""Runs of ``fidelity.py`` as its pages read them: groups over seeds, means and their errors."""

from __future__ import annotations

import json
import math
import statistics
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path

from polymodal.recipes import RECIPES

Run = dict
Cell = Callable[[Run], float]
Groups = dict[tuple[str, str], list[Run]]

SIDE_NAMES = {"peer": "multivae", "plain": "plain", "defaults": "defaults"}
CODES = {
    "ours": "polymodal",
    "plain": "polymodal, plain",
    "peer": "MultiVae",
    "defaults": "polymodal, defaults",
}
COLLAPSED = 0.95
"""From this share of one class in a modality's new rows on its decoder has collapsed."""


def run_key(side: str, recipe: str) -> str:
    """A run's name without its set and seed."""
    return recipe if side == "ours" else f"{recipe}-{SIDE_NAMES[side]}"


def read_runs(folder: Path) -> list[Run]:
    """All runs of a folder."""
    return [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))]


def grouped(runs: Sequence[Run]) -> Groups:
    """(recipe, side) -> its runs, in the order of the recipes' years."""
    found: Groups = defaultdict(list)
    for recipe in RECIPES:
        for side in CODES:
            for run in runs:
                if (run["recipe"], run["side"]) == (recipe, side):
                    found[recipe, side].append(run)
    return found


def judges_of(run: Run) -> tuple[float, ...]:
    """Which judges judged: how often they are right tells one machine's from another's."""
    return tuple(run["caps"].values())


def mean(cell: Cell, runs: Sequence[Run]) -> float:
    """The mean over seeds."""
    return sum(map(cell, runs)) / len(runs)


def deviation(cell: Cell, runs: Sequence[Run]) -> float:
    """The standard deviation over seeds; NaN of one."""
    values = [cell(run) for run in runs]
    return statistics.stdev(values) if len(values) > 1 else math.nan


def noise(cell: Cell, a: Sequence[Run], b: Sequence[Run]) -> float:
    """Two standard errors of a difference of means; NaN where neither has two seeds.

    One seed alone tells no deviation: it is taken to have that of what it is compared with.
    """
    known = [deviation(cell, a), deviation(cell, b)]
    stood_in = [value for value in known if not math.isnan(value)]
    if not stood_in:
        return math.nan
    each = [stood_in[0] if math.isnan(value) else value for value in known]
    return 2 * math.hypot(each[0] / math.sqrt(len(a)), each[1] / math.sqrt(len(b)))


def partial_cell(k: str) -> Cell:
    """Coherence given k modalities."""
    return lambda run: run["coherence"].get(k, math.nan)


def joint(run: Run) -> float:
    """Joint coherence."""
    return run["joint"]


def log_likelihood(run: Run) -> float:
    """Nats a row."""
    return run["log_likelihood"]


def largest_class(run: Run) -> float:
    """The largest share of one class among new rows, of the modality where it is largest."""
    shares = run.get("joint_classes", {})
    return max((max(each) for each in shares.values()), default=math.nan)


def collapsed(runs: Sequence[Run]) -> bool:
    """Whether a decoder shows one class, by the runs that tell: their joint coherence is empty."""
    telling = [share for run in runs if not math.isnan(share := largest_class(run))]
    return bool(telling) and sum(telling) / len(telling) >= COLLAPSED
