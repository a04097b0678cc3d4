"""From sheets of answers to the comparison: a row a method, in order, with notes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from polymodal.comparison.folder import Finished
from polymodal.comparison.notes import Failure, few_seeds, notes_of, why_nothing
from polymodal.comparison.plan import Split
from polymodal.comparison.result import SKILLS, Comparison, Group, Row
from polymodal.comparison.words import DESCRIBED, GROUPS, MEANS, recommend
from polymodal.evaluate.coherence_measure import GROUP, SHARES
from polymodal.evaluate.examination import Examination
from polymodal.evaluate.ranking import Averaged, Ranking
from polymodal.evaluate.result import Estimate
from polymodal.recipes.registry import get_recipe
from polymodal.spelling import listed

_OWN_COLUMNS = ("coverage", "log_likelihood")


def assemble(
    asked: Mapping[str, Sequence[int]],
    done: Sequence[Finished],
    failures: Mapping[str, Sequence[Failure]],
    simple: Finished,
    exam: Examination,
    split: Split,
    allowed: int,
    usual: int,
) -> Comparison:
    """The comparison of what was fitted.

    Arguments:
        asked: Recipe -> the seeds that it was to be fitted with now.
        done: Fits that are done and examined.
        failures: Recipe -> its fits that failed.
        simple: The simple methods, examined.
        exam: The examination.
        split: The rows.
        allowed: Epochs that every fit was allowed.
        usual: Epochs that are usual for so many rows.
    """
    fits = {name: [one for one in done if one.recipe == name] for name in asked}
    sheets = {name: [one.sheets[name] for one in fits[name]] for name in asked if fits[name]}
    sheets |= {name: [sheet] for name, sheet in simple.sheets.items()}
    ranking = Ranking(sheets, exam.asked_rows)
    ranks = ranking.ranks()
    rows = [
        _recipe_row(name, seeds, fits[name], failures.get(name, ()), ranking, ranks)
        for name, seeds in asked.items()
    ]
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
    epochs = dict.fromkeys(asked, (allowed, usual))
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
        notes=(*_left_out(exam, ranking), *_settled(ranking), *few_seeds(rows)),
    )


def _place(row: Row, ranking: Ranking) -> tuple[float, float, str]:
    """By rank, then by skill; failures last."""
    if row.rank is None:
        return float("inf"), 0.0, row.method
    return float(row.rank), -ranking.skill[row.method].value, row.method


def _recipe_row(
    name: str,
    seeds: Sequence[int],
    fits: Sequence[Finished],
    failures: Sequence[Failure],
    ranking: Ranking,
    ranks: Mapping[str, int],
) -> Row:
    what = get_recipe(name).summary
    fitted = tuple(one.seed for one in fits)
    lost = tuple(seed for seed in seeds if seed not in fitted)
    if not fits:
        return Row(name, what, False, lost=lost, failure=why_nothing(failures))
    sheets = [one.sheets[name] for one in fits]
    held = ranking.measure(name, "coverage")
    return Row(
        method=name,
        what=what,
        simple=False,
        rank=ranks[name],
        skill=ranking.skill[name].estimate,
        coverage=None if held is None else held.share,
        log_likelihood=_estimate(ranking.measure(name, "log_likelihood")),
        cpu_seconds=sum(one.cost.cpu for one in fits) / len(fits),
        wall_seconds=sum(one.cost.wall for one in fits) / len(fits),
        seeds=fitted,
        lost=lost,
        seed_sd=ranking.skill[name].seed_sd,
        statuses=tuple(one.status for one in fits),
        notes=tuple(notes_of(name, fits, failures, lost, sheets[0].lacks)),
    )


def _groups(ranking: Ranking) -> list[Group]:
    """Skill by modality where there are several, then whatever else was measured."""
    groups = []
    if len(ranking.modalities) > 1:
        values = {
            name: {
                m: found.estimate
                for m in ranking.modalities
                if not math.isnan((found := ranking.skill_at[m][name]).value)
            }
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
        shares = group == GROUP or group.startswith(SHARES)
        values = {
            name: {
                column: found.share if shares else found.estimate
                for column in columns
                if (found := ranking.measure(
                    name, f"{group}: {column}" if group != column else column
                ))
            }
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


def _settled(ranking: Ranking) -> list[str]:
    """Modalities, or columns of them, at which nobody can show skill, a sentence each modality."""
    open_ones = [one for one in ranking.asked if one not in ranking.settled]
    telling = {one.modality for one in open_ones}
    columns = {(one.modality, one.column) for one in open_ones}
    found: dict[str, dict[str, None]] = {}
    for one in ranking.settled:
        if (one.modality, one.column) not in columns:
            found.setdefault(one.modality, {})[str(one.column)] = None
    return [
        f"{f'{listed(names)} of {modality}' if modality in telling else modality} had no part in "
        "the skill: the mean, or the most frequent answer, is never wrong there, as where all "
        "test rows are alike."
        for modality, names in found.items()
    ]


def _estimate(found: Averaged | None) -> Estimate | None:
    return None if found is None else found.estimate
