"""The recommendation: what to use and why, for a reader who knows none of the papers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from polymodal.comparison.result import Row
from polymodal.evaluate.ranking import Ranking
from polymodal.evaluate.scores import FEWEST_ROWS

DESCRIBED = {
    "mean": "the average of the column, or its most frequent value, whatever else is known.",
    "linear": "ridge regression, for categories logistic regression, for texts the most frequent.",
    "knn": "the average, or the vote, of the 5 training rows that are most alike.",
}
"""Simple method -> what it is."""

SIMPLE = {
    "mean": "the mean",
    "linear": "linear regression",
    "knn": "the average of the 5 nearest rows",
}
"""Simple method -> what one calls it in a sentence."""

MEANS = "means over seeds."
"""What the numbers of a group of further columns are, if nothing else is known of them."""

GROUPS = {
    "coherence": "share of what was made from so many other modalities, or of new rows (joint), "
    "that shows the row's class, or one class, to judges: classifiers trained on real rows. The "
    "cap is the share of real values that they tell; by chance is what new rows with the same "
    "classes and nothing in common would have."
}
"""Group of further columns -> what its numbers are."""

_NEAR = 0.05
_SMALL_LOSS = 0.05
_CHEAPER = 0.9
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
    # Noise excuses a small loss for a cheaper fit, not a large one that few seeds cannot prove.
    near = [name for name in equal if skill[name].value > skill[top].value - _SMALL_LOSS]
    pick = min(near, key=lambda name: (recipes[name].cpu_seconds or 0.0, name))
    if (recipes[pick].cpu_seconds or 0.0) > _CHEAPER * (recipes[top].cpu_seconds or 0.0):
        pick = top
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
            f"new rows; of them take {_among(recipes, top, pick, equal)}"
        )
    if not ranking.beats(pick, simple):
        return (
            f"For single best guesses {SIMPLE[simple]}, a simple method, will do: no recipe beats "
            f"it beyond noise (skill {skill[simple].value:+.2f}; {pick} has "
            f"{skill[pick].value:+.2f}). Recommended for intervals, draws and new rows: "
            f"{_among(recipes, top, pick, equal)}"
        )
    return (
        f"Recommended: {_among(recipes, top, pick, equal)} It beats every simple method overall "
        f"(skill {skill[pick].value:+.2f}; the best of them, {SIMPLE[simple]}, has "
        f"{skill[simple].value:+.2f})."
    )


def _among(recipes: Mapping[str, Row], top: str, pick: str, equal: Sequence[str]) -> str:
    """Which recipe, and how the others stand to it."""
    others = [name for name in equal if name not in (top, pick)]
    verb = "is" if len(others) == 1 else "are"
    if pick != top:
        also = f" {_list(others)} {verb} no worse within noise either." if others else ""
        return (
            f"{pick}. {top} has the highest skill, but {pick} is as good within noise and fits in "
            f"{_share(recipes[pick], recipes[top])} of the time.{also}"
        )
    if len(recipes) == 1:
        return f"{pick}."
    if not others:
        return f"{pick}, which is better than every other recipe beyond noise."
    return (
        f"{pick}, which has the highest skill of the recipes, though {_list(others)} {verb} not "
        "worse beyond noise."
    )


def _share(cheap: Row, dear: Row) -> str:
    """``half``, ``a third``, ``80%``."""
    share = (cheap.cpu_seconds or 0.0) / (dear.cpu_seconds or 1.0)
    if share > 0.6:
        return f"{share:.0%}"
    parts = round(1 / max(share, 1e-3))
    return _FRACTIONS.get(parts, "a small part")


_FRACTIONS = {2: "half", 3: "a third", 4: "a quarter", 5: "a fifth", 6: "a sixth"}


def _places(ranking: Ranking, recipes: Mapping[str, Row], pick: str) -> str:
    """Modalities where the winner is another than overall."""
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
        f"On {_list(names)}, {SIMPLE[best]} does better than every recipe."
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
