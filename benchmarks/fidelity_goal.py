"""What the page of ``fidelity.py`` says of the recipe of the library's own, and of what lacks."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from fidelity_runs import (
    CODES,
    Cell,
    Run,
    collapsed,
    grouped,
    joint,
    mean,
    noise,
)

OWN = "polymodal"


def conditional(run: Run) -> float:
    """Coherence over all numbers of inputs and all directions."""
    found = list(run["coherence"].values())
    return sum(found) / len(found)


def same_inputs(a: Run, b: Run) -> bool:
    """Whether two runs answered the same numbers of inputs."""
    return a["coherence"].keys() == b["coherence"].keys()


MEASURES: dict[str, tuple[Cell, bool]] = {
    "conditional coherence": (conditional, True),
    "joint coherence": (joint, True),
    "Fréchet from one modality": (lambda run: run["frechet"], False),
    "Fréchet from the prior": (lambda run: run["frechet_prior"], False),
}
"""Name -> cell, and whether more is better."""
RIVALS = ("mmvae", "mmvaeplus", "cmvae", "mopoe", "mvtcae")
"""The best of the others, which are to be run with the library's defaults too."""
WHOSE = {"peer": ", MultiVae's", "plain": ", plain", "defaults": " with defaults", "ours": ""}


def goal(runs: Sequence[Run]) -> str:
    """Where the own recipe stands to the best of all others on a set, whoever wrote them."""
    mine = [run for run in runs if run["recipe"] == OWN]
    groups = {key: rows for key, rows in grouped(runs).items() if key[0] != OWN}
    if not mine or not groups:
        return ""
    said = []
    for name, (cell, more) in MEASURES.items():
        found = {
            key: mean(cell, others)
            for key, others in groups.items()
            # A mean over fewer numbers of inputs is another measure, and one class is no joint.
            if (cell is not conditional or same_inputs(others[0], mine[0]))
            and (cell is not joint or not collapsed(others))
        }
        if found:
            best = (max if more else min)(found, key=found.__getitem__)
            said.append(f"{name} {place(cell, more, mine, best, groups[best])}")
    empty = [f"`{key[0]}`{WHOSE[key[1]]}" for key, rows in groups.items() if collapsed(rows)]
    left_out = (
        f" Joint coherence is left out where a decoder shows one class: {', '.join(empty)}."
        if empty
        else ""
    )
    alike = [f"`{recipe}`" for recipe, side in groups if side == "defaults"]
    worth = (
        f"so do those of {', '.join(alike)} in their rows with defaults, which have the recipes' "
        "own weights and families too; the others' do not."
        if alike
        else "the others' do not: what that alone is worth is not told apart here."
    )
    return (
        f"`{OWN}` was made to beat all others in both kinds of coherence with no worse Fréchet "
        f"distance: {'; '.join(said)}; level is within two standard errors over seeds (a single "
        f"seed is taken to vary as this recipe does).{left_out} Its likelihood "
        f"learns its scale and its networks' units leak; {worth}"
    )


def place(
    cell: Cell, more: bool, mine: Sequence[Run], best: tuple[str, str], others: Sequence[Run]
) -> str:
    """A value of the own recipe's, and how it stands to the best of all others."""
    own, other = mean(cell, mine), mean(cell, others)
    gap, width = (own - other if more else other - own), noise(cell, mine, others)
    stands = "best of all" if gap > width else "level" if gap > -width else "not reached"
    seeds = ", one seed" if len(others) == 1 else ""
    return (
        f"{_shown(own)} ({stands}: the best other, `{best[0]}`{WHOSE[best[1]]}, has "
        f"{_shown(other)}{seeds})"
    )


def lacking(runs: Sequence[Run], both: Sequence[str], seeds: int) -> str:
    """Which recipes were not run on a set, by either code or with defaults, or with few seeds."""
    counts: dict[tuple[str, str], int] = defaultdict(int)
    for run in runs:
        counts[run["recipe"], run["side"]] += 1
    never = {
        CODES[side]: [name for name in both if not counts.get((name, side))]
        for side in ("ours", "peer")
    }
    fewer = [
        f"`{recipe}` ({CODES[side]}: {n})"
        for (recipe, side), n in counts.items()
        if n < seeds and side != "plain"
    ]
    usual = [name for name in RIVALS if not counts.get((name, "defaults"))]
    said = [
        f"Not run by {code}: {', '.join(f'`{name}`' for name in names)}."
        for code, names in never.items()
        if names
    ]
    if usual:
        said.append(f"Not run with defaults: {', '.join(f'`{name}`' for name in usual)}.")
    if fewer:
        said.append(f"Fewer than {seeds} seeds: {', '.join(fewer)}.")
    return " ".join(said)


def _shown(value: float) -> str:
    return f"{value:.0f}" if value >= 10 else f"{value:.3f}"
