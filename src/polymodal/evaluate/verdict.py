"""The verdict in plain words: where the model helps, where it does not, and what to do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from polymodal.evaluate.held import say_width
from polymodal.evaluate.result import Held, SkillRow
from polymodal.evaluate.scores import FEWEST_ROWS, repeats

_BASELINE = {
    "mean": {"number": "the mean", "category": "the most frequent category",
             "text": "the most frequent text", "tags": "how frequent each tag is"},
    "linear": {"number": "ridge regression", "category": "logistic regression"},
    "knn": {"number": "5 nearest neighbours", "category": "5 nearest neighbours",
            "text": "the nearest neighbour's text"},
}  # fmt: skip
_HIDDEN = {
    "modality": "When a whole modality is hidden and the others are given",
    "cells": "When single cells of a table are hidden",
}
_MOST_NAMED = 8

Labels = dict[str, str]


def baseline_name(row: SkillRow, baseline: str | None = None) -> str:
    """A baseline (the best one unless said otherwise) in words that fit the row's kind."""
    kind = {"ordinal": "category"}.get(row.kind, row.kind)
    said = _BASELINE[baseline or row.best_baseline]
    return said.get(kind, said["number"])


def write_verdict(
    rows: Sequence[SkillRow],
    held: Held | None,
    level: float,
    n_rows: int,
    notes: Sequence[str] = (),
    *,
    held_out: bool = True,
) -> str:
    """A paragraph for a reader who is no statistician.

    Arguments:
        rows: The rows of skill; those of second measures are left out, as they repeat the first.
        held: How many numbers lay inside their intervals; None where no number was judged.
        level: The level of which the intervals are spoken of.
        n_rows: Rows of the data.
        notes: What could not be judged, a sentence each.
        held_out: Whether it is known that the model did not learn from the rows.
    """
    rows = [row for row in rows if not repeats(row)]
    if not rows:
        nothing = "Nothing could be judged: no row has a known value to hide and anything"
        return " ".join([f"{nothing} else to predict it from.", *notes])
    labels = short_labels(rows)
    noun = f"{'held-out ' if held_out else ''}{'row' if n_rows == 1 else 'rows'}"
    said = [
        f"On {n_rows} {noun}, known values were hidden, asked of the model, and compared "
        "with three simple baselines that saw the same: the mean (or the most frequent answer), "
        "a linear model and 5 nearest neighbours."
    ]
    for task in ("modality", "cells"):
        some = [row for row in rows if row.task == task]
        if some:
            said.append(_task_words(task, some, labels))
    few = [row for row in rows if row.n < FEWEST_ROWS]
    if few:
        said.append(
            f"With fewer than {FEWEST_ROWS} rows nothing is called better or worse: "
            f"so it is for {_names(few, labels)}."
        )
    said += [_held_words(held, level), *notes, _advice(rows)]
    return " ".join(part for part in said if part)


def _task_words(task: str, rows: Sequence[SkillRow], labels: Labels) -> str:
    """Who wins where, for one task."""
    better = [row for row in rows if row.verdict == "better"]
    equal = [row for row in rows if row.verdict == "equal"]
    worse = [row for row in rows if row.verdict == "worse"]
    clauses = []
    if better:
        lows = sorted(100 * row.skill.value for row in better)
        span = f"{lows[0]:.0f} %" if len(lows) == 1 else f"{lows[0]:.0f} to {lows[-1]:.0f} %"
        clauses.append(
            f"beats the best simple baseline for {_names(better, labels)} "
            f"(its error is {span} lower)"
        )
    if equal:
        clauses.append(f"is no better than the best simple baseline for {_names(equal, labels)}")
    if worse:
        winners: dict[str, list[SkillRow]] = {}
        for row in worse:
            winners.setdefault(baseline_name(row), []).append(row)
        named = [f"by {winner} for {_names(lost, labels)}" for winner, lost in winners.items()]
        clauses.append(f"is beaten {_list(named)}")
    return f"{_HIDDEN[task]}, the model {_list(clauses, '; it ')}."


def _held_words(held: Held | None, level: float) -> str:
    """Whether the intervals hold what they promise."""
    if held is None:
        return ""
    share, n = held.share, f"{held.n:,} number{'' if held.n == 1 else 's'}"
    words = f"Its {level:.0%} intervals held the truth in {share.value:.0%} of {n}"
    return f"{words}{say_width(share, level, held.n, held.rows)}"


def _advice(rows: Sequence[SkillRow]) -> str:
    """What to do next."""
    worse = [row for row in rows if row.verdict == "worse"]
    better = [row for row in rows if row.verdict == "better"]
    if worse:
        use = "use the model where it wins and the simple baseline" if better else (
            "use the simple baseline"
        )  # fmt: skip
        return (
            f"Recommended: {use} where that wins; more training, a larger latent size or another "
            "recipe may turn it."
        )
    if len(better) == len(rows):
        return "Recommended: use the model throughout."
    if better:
        return (
            "Recommended: use the model; where it is no better, a simple baseline does as well "
            "for point values, and the model adds intervals and draws."
        )
    return (
        "Recommended: do not rely on the model for point values yet, as a simple baseline does as "
        "well; more rows, more training or another recipe may help."
    )


def short_labels(rows: Sequence[SkillRow]) -> Labels:
    """The column's or modality's name alone where only one has it, else with its modality."""
    parts = dict.fromkeys((row.modality, row.column) for row in rows)
    shared = Counter(column or modality for modality, column in parts)
    return {
        row.label: name if shared[name := row.column or row.modality] == 1 else row.label
        for row in rows
    }


def _names(rows: Sequence[SkillRow], labels: Labels) -> str:
    names = list(dict.fromkeys(labels[row.label] for row in rows))
    if len(names) > _MOST_NAMED:
        names = [*names[: _MOST_NAMED - 1], f"{len(names) - _MOST_NAMED + 1} others"]
    return _list(names)


def _list(parts: Sequence[str], last: str = " and ") -> str:
    """``a, b and c``; clauses are joined by ``last`` throughout."""
    if last != " and ":
        return last.join(parts)
    return last.join([", ".join(parts[:-1]), parts[-1]]) if len(parts) > 1 else "".join(parts)
