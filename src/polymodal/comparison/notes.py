"""What the reader should know of a recipe's fits: how they ended, and how many seeds there are."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from polymodal.comparison.folder import Finished
from polymodal.comparison.result import Row

_SAID = {"log_likelihood": "log-likelihood"}
_NUMBER = re.compile(r"\d+")
_WORTH = (
    "the chance in training is unknown and in no rank: another seed may give another order; 3 "
    "seeds or more show it.",
    "the part of chance in training is hardly known, so intervals are wide and many ranks shared; "
    "3 seeds or more tell methods apart far better.",
)
"""What one seed is worth, and what two."""


@dataclass(frozen=True)
class Failure:
    """A recipe that came to nothing with a seed.

    Arguments:
        seed: The seed.
        reason: Why, in a sentence.
    """

    seed: int
    reason: str


_Ended = TypeVar("_Ended", Failure, Finished)


def why_nothing(failures: Sequence[Failure]) -> str | None:
    """Why a recipe has no numbers at all; None where nothing failed."""
    groups = _alike(failures)
    if len(groups) < 2:
        return groups[0][0].reason if groups else None
    return " ".join(f"It failed {_with(some)}: {some[0].reason}" for some in groups)


def notes_of(
    name: str,
    fits: Sequence[Finished],
    failures: Sequence[Failure],
    lost: Sequence[int],
    lacks: Mapping[str, str],
) -> list[str]:
    """What there is to say of a recipe that has numbers.

    Arguments:
        name: The recipe.
        fits: Its fits that are done.
        failures: Its fits that failed.
        lost: Seeds that were asked for and have no numbers.
        lacks: Measure -> why the recipe does not have it.
    """
    notes = [_lost(name, len(fits), failures, lost)] if lost else []
    for some in _alike([one for one in fits if one.status == "diverged"]):
        notes.append(f"{name} diverged {_with(some)}: {some[0].reason}")
    early = [one for one in fits if one.status == "early_stopped"]
    for some in _alike(early, lambda reason: _NUMBER.sub("0", reason)):
        said = _with_ranges([one.reason for one in some])
        notes.append(f"{name} stopped early {_with(some)}: {said}")
    for what, why in lacks.items():
        notes.append(f"{name} has no {_SAID.get(what, what)}: {why}")
    return notes


def few_seeds(rows: Sequence[Row]) -> list[str]:
    """What one seed and two are worth, where there are no more."""
    fitted = [row for row in rows if row.seeds]
    notes = []
    for n, worth in enumerate(_WORTH, 1):
        some = [row.method for row in fitted if len(row.seeds) == n]
        whose = f" ({', '.join(some)})" if len(some) < len(fitted) else ""
        if some:
            notes.append(f"With {n} seed{'s' if n > 1 else ''}{whose} {worth}")
    return notes


def _lost(name: str, n_fits: int, failures: Sequence[Failure], lost: Sequence[int]) -> str:
    """Which seeds came to nothing and why."""
    said = [f"{name} rests on {n_fits} of {n_fits + len(lost)} seeds."]
    said += [f"It failed {_with(some)}: {some[0].reason}" for some in _alike(failures)]
    failed = {one.seed for one in failures}
    untried = [Failure(seed, "") for seed in lost if seed not in failed]
    if untried:
        said.append(f"It was not tried {_with(untried)}, as seeds before had failed alike.")
    return " ".join(said)


def _alike(some: Sequence[_Ended], key: Callable[[str], str] = str) -> list[list[_Ended]]:
    """Those with the same reason together, in the order of the first."""
    groups: dict[str, list[_Ended]] = {}
    for one in some:
        groups.setdefault(key(one.reason), []).append(one)
    return list(groups.values())


def _with(some: Sequence[Failure | Finished]) -> str:
    """``with seeds 0, 2``."""
    seeds = ", ".join(str(one.seed) for one in some)
    return f"with seed{'s' if len(some) > 1 else ''} {seeds}"


def _with_ranges(reasons: Sequence[str]) -> str:
    """Sentences that differ in whole numbers as one: ``after epoch 20 to 35``."""
    columns = zip(*(map(int, _NUMBER.findall(reason)) for reason in reasons), strict=True)
    spans = iter([sorted({min(column), max(column)}) for column in columns])
    return _NUMBER.sub(lambda _: " to ".join(map(str, next(spans))), reasons[0])
