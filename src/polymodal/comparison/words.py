"""The recommendation: what to use and why, for a reader who knows none of the papers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from polymodal.comparison.result import Row
from polymodal.evaluate.ranking import Ranking
from polymodal.evaluate.scores import FEWEST_ROWS

SIMPLE = {
    "mean": "the mean",
    "linear": "linear regression",
    "knn": "the average of the 5 nearest rows",
}
"""Simple method -> what one calls it in a sentence."""

_NEAR = 0.05
_MOST_NAMED = 6


def recommend(
    ranking: Ranking,
    rows: Sequence[Row],
    level: float,
    epochs: Mapping[str, tuple[int, int]],
) -> str:
    """What to use and why.

    Arguments:
        ranking: The methods that answered.
        rows: One a method.
        level: Level of the intervals whose coverage is given.
        epochs: Recipe -> epochs that it was allowed, and those that are usual for such data.
    """
    recipes = {row.method: row for row in rows if not row.simple and row.failure is None}
    if not recipes:
        return "No recipe could be compared; the reasons stand below the table."
    if not ranking.telling:
        return (
            f"With fewer than {FEWEST_ROWS} test rows nothing can be called better: all ranks are "
            "shared. Give more rows, or a larger share of them to the test."
        )
    skill = ranking.skill
    top = max(recipes, key=lambda name: (skill[name].value, name))
    equal = [name for name in recipes if not ranking.beats(top, name)]
    pick = min(equal, key=lambda name: (recipes[name].cpu_seconds or 0.0, name))
    simple = max(SIMPLE, key=lambda name: skill[name].value)
    said = [_choice(ranking, recipes, top, pick, equal, simple), _places(ranking, recipes, pick)]
    said += [_honesty(recipes[pick], level), _effort(recipes[pick], pick, epochs)]
    return " ".join(part for part in said if part)


def _choice(
    ranking: Ranking,
    recipes: Mapping[str, Row],
    top: str,
    pick: str,
    equal: Sequence[str],
    simple: str,
) -> str:
    """The recipe to take, or the simple method that makes it needless."""
    skill = ranking.skill
    if ranking.beats(simple, pick):
        return (
            f"Recommended: {SIMPLE[simple]}, a simple method, for single best guesses: overall it "
            f"beats every recipe that was tried (skill {skill[simple].value:+.2f}, best recipe "
            f"{top} {skill[top].value:+.2f}). A recipe is still what gives intervals, draws and "
            f"new rows: {_among(recipes, top, pick, equal)}"
        )
    if not ranking.beats(pick, simple):
        return (
            f"Recommended for single best guesses: {SIMPLE[simple]}, a simple method, as no "
            f"better-founded choice stands out: {pick} is as good within noise (skill "
            f"{skill[pick].value:+.2f} against {skill[simple].value:+.2f}). For intervals, draws "
            f"or new rows: {_among(recipes, top, pick, equal)}"
        )
    return (
        f"Recommended: {_among(recipes, top, pick, equal)} It beats every simple method overall "
        f"(skill {skill[pick].value:+.2f}; the best of them, {SIMPLE[simple]}, has "
        f"{skill[simple].value:+.2f})."
    )


def _among(recipes: Mapping[str, Row], top: str, pick: str, equal: Sequence[str]) -> str:
    """Which recipe, and how the others stand to it."""
    others = [name for name in equal if name not in (top, pick)]
    if pick != top:
        cheaper = _times(recipes[top].cpu_seconds, recipes[pick].cpu_seconds)
        also = f" So is {_list(others)}." if len(others) == 1 else ""
        also = f" So are {_list(others)}." if len(others) > 1 else also
        return f"{pick}. {top} has the highest skill, but {pick} is as good within noise{cheaper}.{also}"
    if len(recipes) == 1:
        return f"{pick}."
    if not others:
        return f"{pick}, which is better than every other recipe beyond noise."
    verb = "is" if len(others) == 1 else "are"
    return f"{pick}: {_list(others)} {verb} as good within noise, but cost more time."


def _times(dear: float | None, cheap: float | None) -> str:
    if not dear or not cheap:
        return ""
    share = cheap / dear
    if share > 0.9:
        return ""
    if share > 0.6:
        return " and fits in less time"
    if share > 0.4:
        return " and fits in half the time"
    return f" and fits in a {_FRACTIONS.get(round(1 / share), 'small part')} of the time"


_FRACTIONS = {3: "third", 4: "quarter", 5: "fifth", 6: "sixth", 7: "seventh", 8: "eighth",
              9: "ninth", 10: "tenth"}  # fmt: skip


def _places(ranking: Ranking, recipes: Mapping[str, Row], pick: str) -> str:
    """Modalities where a simple method beats all recipes, or only the recipes beat the simple."""
    lost: dict[str, list[str]] = {}
    won: list[str] = []
    overall = any(ranking.beats(simple, pick) for simple in SIMPLE)
    for modality in ranking.modalities if len(ranking.modalities) > 1 else ():
        skill = ranking.skill_at[modality]
        best = max(SIMPLE, key=lambda name: skill[name].value)
        if all(ranking.beats(best, name, modality) for name in recipes):
            lost.setdefault(best, []).append(modality)
        elif overall and all(ranking.beats(pick, name, modality) for name in SIMPLE):
            won.append(modality)
    said = [
        f"On {_list(names)}, {SIMPLE[best]} does better than every recipe: fill that by it."
        for best, names in lost.items()
        if len(names) < len(ranking.modalities)
    ]
    if won:
        said.append(f"On {_list(won)}, {pick} beats every simple method.")
    return " ".join(said)


def _honesty(row: Row, level: float) -> str:
    """Whether the intervals of the chosen recipe hold what they promise."""
    if row.coverage is None:
        return ""
    observed = row.coverage.value
    said = f"The {level:.0%} intervals of {row.method} held the truth in {observed:.0%}"
    if observed < level - _NEAR:
        return f"{said}: too narrow, do not take them at their word."
    if observed > level + _NEAR:
        return f"{said}: wider than they need to be."
    return f"{said}, as they should."


def _effort(row: Row, pick: str, epochs: Mapping[str, tuple[int, int]]) -> str:
    """Whether the fits were cut short, so that the order may yet change."""
    if "diverged" in row.statuses:
        return f"Some fits of {pick} diverged: see the notes before you rely on it."
    allowed, usual = epochs.get(pick, (0, 0))
    if allowed < usual / 2:
        return (
            f"The fits were short, {allowed} epochs where {usual} are usual for so many rows: "
            "with more of them the order may change."
        )
    return ""


def _list(names: Sequence[str]) -> str:
    """``a, b and c``."""
    shown = list(names)
    if len(shown) > _MOST_NAMED:
        shown = [*shown[: _MOST_NAMED - 1], f"{len(shown) - _MOST_NAMED + 1} others"]
    return " and ".join([", ".join(shown[:-1]), shown[-1]]) if len(shown) > 1 else "".join(shown)
