"""What the page of ``fidelity.py`` says of the recipe of the library's own, and of what lacks."""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from collections.abc import Callable, Sequence

OWN = "polymodal"
Run = dict
Cell = Callable[[Run], float]


def conditional(run: Run) -> float:
    """Coherence over all numbers of inputs and all directions."""
    found = list(run["coherence"].values())
    return sum(found) / len(found)


def same_inputs(a: Run, b: Run) -> bool:
    """Whether two runs answered the same numbers of inputs."""
    return a["coherence"].keys() == b["coherence"].keys()


MEASURES: dict[str, tuple[Cell, bool]] = {
    "conditional coherence": (conditional, True),
    "joint coherence": (lambda run: run["joint"], True),
    "Fréchet from one modality": (lambda run: run["frechet"], False),
    "Fréchet from the prior": (lambda run: run["frechet_prior"], False),
}
"""Name -> cell, and whether more is better."""
WHOSE = {"peer": ", MultiVae's", "defaults": " with defaults", "ours": ""}
CODES = {"peer": "MultiVae", "defaults": "defaults", "ours": "polymodal"}


def goal(runs: Sequence[Run]) -> str:
    """Where the own recipe stands to the best of all others on a set, whoever wrote them."""
    mine = [run for run in runs if run["recipe"] == OWN]
    groups: dict[tuple[str, str], list[Run]] = defaultdict(list)
    for run in runs:
        if run["recipe"] != OWN:
            groups[run["recipe"], run["side"]].append(run)
    if not mine or not groups:
        return ""
    said = []
    for name, (cell, more) in MEASURES.items():
        own = _mean(cell, mine)
        found = {
            key: _mean(cell, others)
            for key, others in groups.items()
            # A mean over fewer numbers of inputs is another measure.
            if cell is not conditional or same_inputs(others[0], mine[0])
        }
        if not found:
            continue
        best = (max if more else min)(found, key=found.__getitem__)
        gap = own - found[best] if more else found[best] - own
        noise = 2 * math.hypot(*(_error(cell, part) for part in (mine, groups[best])))
        place = "best of all" if gap > noise else "level" if gap > -noise else "not reached"
        said.append(
            f"{name} {_shown(own)} ({place}: the best other, `{best[0]}`{WHOSE[best[1]]}, has "
            f"{_shown(found[best])})"
        )
    alike = [f"`{recipe}`" for recipe, side in groups if side == "defaults"]
    worth = (
        f"so do those of {', '.join(alike)} in their rows with defaults, which have the recipes' "
        "own weights and families too."
        if alike
        else "the others' do not: what that alone is worth is not told apart here."
    )
    return (
        f"`{OWN}` was made to beat all others in both kinds of coherence with no worse Fréchet "
        f"distance: {'; '.join(said)}; level is within two standard "
        "errors over seeds. Its likelihood learns its scale and its decoders' units "
        f"leak; {worth}"
    )


def lacking(runs: Sequence[Run], both: Sequence[str], seeds: int) -> str:
    """Which recipes that both codes have were not run, and which have fewer seeds."""
    groups: dict[tuple[str, str, str], int] = defaultdict(int)
    for run in runs:
        groups[run["set"], run["recipe"], run["side"]] += 1
    sets = list(dict.fromkeys(run["set"] for run in runs))
    never = [name for name in both if not any(key[1] == name for key in groups)]
    fewer = [
        f"`{recipe}` on {at} ({CODES[side]}: {n})"
        for (at, recipe, side), n in groups.items()
        if n < seeds
    ]
    said = []
    if never:
        said.append(f"Not run on {' or '.join(sets)}: {', '.join(f'`{name}`' for name in never)}.")
    if fewer:
        said.append(f"Fewer than {seeds} seeds: {', '.join(fewer)}.")
    return " ".join(said)


def _error(cell: Cell, runs: Sequence[Run]) -> float:
    """Standard error of the mean over seeds; zero of one seed."""
    values = [cell(run) for run in runs]
    return statistics.stdev(values) / math.sqrt(len(values)) if len(values) > 1 else 0.0


def _mean(cell: Cell, runs: Sequence[Run]) -> float:
    return sum(map(cell, runs)) / len(runs)


def _shown(value: float) -> str:
    return f"{value:.0f}" if value >= 10 else f"{value:.3f}"
