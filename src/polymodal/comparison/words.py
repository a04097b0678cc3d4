"""The recommendation: what to use and why, for a reader who knows none of the papers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from polymodal.comparison.result import Row
from polymodal.evaluate.examiner import COVERED
from polymodal.evaluate.held import say_width
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

_SMALL_LOSS = 0.05
_CHEAPER = 0.9
_FEW_SECONDS = 10.0
"""Processor time a fit that nobody would save: the same fit takes so much more or less each time,
and what a machine does besides must not change the recommendation."""
_MOST_NAMED = 6


class Advice(NamedTuple):
    """What to use and why, and the recipe that it names; None where none could be fitted."""

    words: str
    pick: str | None


def recommend(
    ranking: Ranking,
    rows: Sequence[Row],
    level: float,
    epochs: Mapping[str, tuple[int, int]],
) -> Advice:
    """What to use and why.

    Arguments:
        ranking: The methods that answered.
        rows: One a method.
        level: Level of the intervals whose coverage is given.
        epochs: Recipe -> epochs that it was allowed, and those that are usual for such data.
    """
    recipes = {row.method: row for row in rows if not row.simple and row.failure is None}
    if not recipes:
        return Advice("No recipe could be compared; the reasons stand below the table.", None)
    chosen = _chosen(ranking, recipes)
    if not ranking.telling:
        words = (
            f"With fewer than {FEWEST_ROWS} test rows to judge by nothing can be called better: "
            "all ranks are shared. Give more rows, or a larger share of them to the test."
        )
        return Advice(words, chosen.pick)
    row = recipes[chosen.pick]
    said = [_advice(ranking, recipes, chosen), _chance(recipes)]
    said += [_places(ranking, recipes, chosen.pick), _honesty(row, level, ranking)]
    said += [_effort(row, chosen.pick, epochs)]
    return Advice(" ".join(part for part in said if part), chosen.pick)


@dataclass(frozen=True)
class _Chosen:
    """A recipe, and what it was chosen among.

    Arguments:
        pick: The recipe to take.
        top: The recipe of most skill, of those that beat the simple method beyond noise if any do.
        best: The recipe of most skill.
        equal: Recipes that ``top`` does not beat beyond noise.
        simple: The simple method of most skill.
        standing: How recipes stand to it: 1 ``pick`` beats it beyond noise, -1 all are beaten by
            it, else 0.
    """

    pick: str
    top: str
    best: str
    equal: tuple[str, ...]
    simple: str
    standing: int


def _chosen(ranking: Ranking, recipes: Mapping[str, Row]) -> _Chosen:
    value = {name: one.value for name, one in ranking.skill.items()}
    simple = max(SIMPLE, key=lambda name: value[name])
    best = max(recipes, key=lambda name: (value[name], name))
    # A noisy recipe may have more skill and yet not beat what a steadier one beats. That it is not
    # surely beaten counts for nothing: noise alone will do for that.
    sure = {name: ranking.beats(name, simple) for name in recipes}
    top = max(recipes, key=lambda name: (sure[name], value[name], name))
    equal = tuple(name for name in recipes if not ranking.beats(top, name))
    # Noise excuses a small loss for a cheaper fit, not a large one that few seeds cannot prove.
    near = [
        name
        for name in equal
        if sure[name] == sure[top] and value[name] > value[top] - _SMALL_LOSS
    ]
    cheapest = min(near, key=lambda name: recipes[name].cpu_seconds or 0.0)
    alike = [name for name in near if not _dearer(recipes[name], recipes[cheapest])]
    pick = max(alike, key=lambda name: (value[name], name))
    beaten = all(ranking.beats(simple, name) for name in recipes)
    return _Chosen(pick, top, best, equal, simple, 1 if sure[top] else -beaten)


def _dearer(one: Row, other: Row) -> bool:
    """Whether a fit costs so much more than another that one would choose by it."""
    dear, cheap = one.cpu_seconds or 0.0, other.cpu_seconds or 0.0
    return dear - cheap >= _FEW_SECONDS and cheap <= _CHEAPER * dear


def _advice(ranking: Ranking, recipes: Mapping[str, Row], chosen: _Chosen) -> str:
    """The recipe to take, or the simple method that makes it needless."""
    among = _among(recipes, chosen)
    skill, pick, simple = ranking.skill, chosen.pick, chosen.simple
    has = f"{skill[simple].value:+.2f}"
    if chosen.standing < 0:
        return (
            f"Recommended: {SIMPLE[simple]}, a simple method, for single best guesses: overall it "
            f"beats every recipe that was tried (skill {has}, best recipe {chosen.top} "
            f"{skill[chosen.top].value:+.2f}). A recipe is still what gives intervals, draws and "
            f"new rows; of them take {among}"
        )
    if chosen.standing == 0:
        return (
            f"For single best guesses {SIMPLE[simple]}, a simple method, will do: no recipe beats "
            f"it beyond noise (skill {has}; {pick} has {skill[pick].value:+.2f}). Recommended for "
            f"intervals, draws and new rows: {among}"
        )
    own = f"{skill[pick].value:+.2f}"
    if all(ranking.beats(pick, name) for name in SIMPLE):
        said = f"every simple method overall (skill {own}; the best of them, {SIMPLE[simple]}, has"
    else:
        said = f"the best simple method overall (skill {own}; {SIMPLE[simple]} has"
    return f"Recommended: {among} It beats {said} {has})."


def _among(recipes: Mapping[str, Row], chosen: _Chosen) -> str:
    """Which recipe, and how the others stand to it."""
    pick, top, best = chosen.pick, chosen.top, chosen.best
    others = [name for name in chosen.equal if name not in (top, pick, best)]
    verb = "is" if len(others) == 1 else "are"
    also = f" {_list(others)} {verb} no worse within noise either." if others else ""
    if best not in (top, pick):
        also = f" {best} has the highest skill, but is less sure to beat the simple method.{also}"
    if pick != top:
        return (
            f"{pick}. {top} has {'the highest' if top == best else 'a higher'} skill, but {pick} "
            f"is as good within noise and fits in {_share(recipes[pick], recipes[top])} of the "
            f"time.{also}"
        )
    if len(recipes) == 1:
        return f"{pick}."
    if top != best:
        return f"{pick}.{also}"
    if not others:
        return f"{pick}, which is better than every other recipe beyond noise."
    return (
        f"{pick}, which has the highest skill of the recipes, though {_list(others)} {verb} not "
        "worse beyond noise."
    )


def _chance(recipes: Mapping[str, Row]) -> str:
    """That noise is of rows alone where nothing is known of the chance in training."""
    single = [name for name, row in recipes.items() if len(row.seeds) == 1]
    if not single:
        return ""
    whose = f" of {_list(single)}" if len(single) < len(recipes) else ""
    return (
        f"With one seed{whose} the chance in training is unknown and no part of what is called "
        "noise here: other seeds may give another order, and 3 or more would tell."
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


def _honesty(row: Row, level: float, ranking: Ranking) -> str:
    """Whether the intervals of the chosen recipe hold what they promise."""
    if row.coverage is None:
        return ""
    share = row.coverage.value
    # A row's vector is several numbers: there are at least so many.
    numbers = sum(one.n for one in ranking.asked if one.kind in COVERED)
    n_rows = ranking.count_rows(lambda one: one.kind in COVERED)
    few = "test rows or seeds" if len(row.seeds) > 1 else "test rows"
    said = f"The {level:.0%} intervals of {row.method} held the truth in {share:.0%}"
    return f"{said}{say_width(row.coverage, level, numbers, n_rows, few)}"


def _effort(row: Row, pick: str, epochs: Mapping[str, tuple[int, int]]) -> str:
    """Whether the fits were cut short, so that the order may yet change."""
    if "diverged" in row.statuses:
        return f"Some fits of {pick} diverged: see the notes before you rely on it."
    allowed, usual = epochs.get(pick, (0, 0))
    if allowed < usual / 2:
        return (
            f"The fits were short, {allowed} epoch{'s' * (allowed > 1)} where {usual} are usual "
            "for so many rows: with more of them the order may change."
        )
    return ""


def _list(names: Sequence[str]) -> str:
    """``a, b and c``."""
    shown = list(names)
    if len(shown) > _MOST_NAMED:
        shown = [*shown[: _MOST_NAMED - 1], f"{len(shown) - _MOST_NAMED + 1} others"]
    return " and ".join([", ".join(shown[:-1]), shown[-1]]) if len(shown) > 1 else "".join(shown)
