"""From sheets of answers to the comparison: a row a method, in order, with notes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from polymodal.comparison.folder import Finished
from polymodal.comparison.plan import Split
from polymodal.comparison.result import SKILLS, Comparison, Group, Row
from polymodal.comparison.words import DESCRIBED, GROUPS, MEANS, recommend
from polymodal.evaluate.coherence_measure import SHARES
from polymodal.evaluate.examination import Examination
from polymodal.evaluate.ranking import Averaged, Ranking
from polymodal.evaluate.result import Estimate
from polymodal.recipes.registry import get_recipe

_OWN_COLUMNS = ("coverage", "log_likelihood")
_SAID = {"log_likelihood": "log-likelihood"}


@dataclass(frozen=True)
class Failure:
    """A recipe that came to nothing with a seed.

    Arguments:
        seed: The seed.
        reason: Why, in a sentence.
    """

    seed: int
    reason: str


def assemble(
    names: Sequence[str],
    done: Sequence[Finished],
    failures: Mapping[str, Failure],
    simple: Finished,
    exam: Examination,
    split: Split,
    allowed: int,
    usual: int,
) -> Comparison:
    """The comparison of what was fitted.

    Arguments:
        names: The recipes, in the order they were named.
        done: Fits that are done and examined.
        failures: Recipe -> why it failed.
        simple: The simple methods, examined.
        exam: The examination.
        split: The rows.
        allowed: Epochs that every fit was allowed.
        usual: Epochs that are usual for so many rows.
    """
    fits = {name: [one for one in done if one.recipe == name] for name in names}
    sheets = {name: [one.sheets[name] for one in fits[name]] for name in names if fits[name]}
    sheets |= {name: [sheet] for name, sheet in simple.sheets.items()}
    ranking = Ranking(sheets, exam.asked_rows)
    ranks = ranking.ranks()
    rows = [_recipe_row(name, fits[name], failures.get(name), ranking, ranks) for name in names]
    rows += [
        Row(
            name,
            DESCRIBED[name],
            True,
            rank=ranks[name],
            skill=ranking.skill[name].estimate,
        )
        for name in simple.sheets
    ]
    rows.sort(key=lambda row: _place(row, ranking))
    epochs = dict.fromkeys(names, (allowed, usual))
    groups = _groups(ranking)
    advice = recommend(ranking, rows, exam.level, epochs)
    return Comparison(
        rows=tuple(rows),
        groups=tuple(one for one in groups if not one.name.startswith(SHARES)),
        shares=tuple(one for one in groups if one.name.startswith(SHARES)),
        recommendation=advice.words,
        pick=advice.pick,
        level=exam.level,
        sizes=split.sizes,
        n_asked=len({(one.modality, one.column) for one in ranking.asked}),
        simple_cpu_seconds=simple.cost.cpu,
        notes=(*_left_out(exam, ranking), *_few_seeds(rows)),
    )


def _place(row: Row, ranking: Ranking) -> tuple[float, float, str]:
    """By rank, then by skill; failures last."""
    if row.rank is None:
        return float("inf"), 0.0, row.method
    return float(row.rank), -ranking.skill[row.method].value, row.method


def _recipe_row(
    name: str,
    fits: Sequence[Finished],
    failure: Failure | None,
    ranking: Ranking,
    ranks: Mapping[str, int],
) -> Row:
    what = get_recipe(name).summary
    if not fits:
        return Row(name, what, False, failure=None if failure is None else failure.reason)
    sheets = [one.sheets[name] for one in fits]
    return Row(
        method=name,
        what=what,
        simple=False,
        rank=ranks[name],
        skill=ranking.skill[name].estimate,
        coverage=_estimate(ranking.measure(name, "coverage")),
        log_likelihood=_estimate(ranking.measure(name, "log_likelihood")),
        cpu_seconds=sum(one.cost.cpu for one in fits) / len(fits),
        wall_seconds=sum(one.cost.wall for one in fits) / len(fits),
        seeds=tuple(one.seed for one in fits),
        seed_sd=ranking.skill[name].seed_sd,
        statuses=tuple(one.status for one in fits),
        notes=tuple(_notes(name, fits, failure, sheets[0].lacks)),
    )


def _notes(
    name: str, fits: Sequence[Finished], failure: Failure | None, lacks: Mapping[str, str]
) -> list[str]:
    """What the reader should know of a recipe's fits."""
    notes = []
    for status, word in (("diverged", "diverged"), ("early_stopped", "stopped early")):
        some = [one for one in fits if one.status == status]
        if some:
            seeds = ", ".join(str(one.seed) for one in some)
            what = f"{name} {word} with seed{'s' if len(some) > 1 else ''} {seeds}"
            notes.append(f"{what}: {some[0].reason}")
    if failure is not None:
        notes.append(f"{name} failed with seed {failure.seed}: {failure.reason}")
    for what, why in lacks.items():
        notes.append(f"{name} has no {_SAID.get(what, what)}: {why}")
    return notes


def _groups(ranking: Ranking) -> list[Group]:
    """Skill by modality where there are several, then whatever else was measured."""
    groups = []
    if len(ranking.modalities) > 1:
        values = {
            name: {m: ranking.skill_at[m][name].estimate for m in ranking.modalities}
            for name in ranking.sheets
        }
        says = "as above, but of each modality alone."
        groups.append(Group(SKILLS, says, ranking.modalities, values))
    measured = dict.fromkeys(
        what for sheets in ranking.sheets.values() for sheet in sheets for what in sheet.measures
    )
    further: dict[str, list[str]] = {}
    for what in measured:
        if what not in _OWN_COLUMNS:
            group, _, column = what.rpartition(": ")
            further.setdefault(group or what, []).append(column)
    for group, columns in further.items():
        values = {
            name: {column: found.estimate for column in columns if (found := ranking.measure(
                name, f"{group}: {column}" if group != column else column
            ))}
            for name in ranking.sheets
        }  # fmt: skip
        groups.append(Group(group, GROUPS.get(group, MEANS), tuple(columns), values))
    return groups


def _left_out(exam: Examination, ranking: Ranking) -> list[str]:
    """Modalities of which nothing was asked."""
    return [
        f"{name} could not be judged, as no test row has it and anything else, or no training row "
        "has it."
        for name in exam.codec.names
        if name not in ranking.modalities
    ]


def _few_seeds(rows: Sequence[Row]) -> list[str]:
    """What two seeds are worth."""
    if not any(len(row.seeds) == 2 for row in rows):
        return []
    return [
        "With 2 seeds the part of chance in training is hardly known, so intervals are wide and "
        "many ranks shared; 3 seeds or more tell methods apart far better."
    ]


def _estimate(found: Averaged | None) -> Estimate | None:
    return None if found is None else found.estimate
