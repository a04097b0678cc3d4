"""The table of skill: what was hidden, who answered how well, in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from polymodal.evaluate.result import text_words

if TYPE_CHECKING:
    from polymodal.evaluate.result import Evaluation, SkillRow, TextScore

_TITLES = {
    "modality": "A whole modality hidden, all others given",
    "cells": "Single cells hidden, everything else given",
}
_METRICS = {
    "mae": "mean abs. error",
    "rmse": "RMSE",
    "error_rate": "share wrong",
    "r2": "R² (higher is better)",
    "token_f1_error": "1 - F1 of words",
    "average_precision_error": "1 - average precision of tags",
    "cosine_error": "1 - cosine similarity",
}
_BASELINES = {"mean": "the mean", "linear": "linear", "knn": "5 neighbours"}


def describe_skill(evaluation: Evaluation) -> dict[str, Any] | None:
    """Rows grouped by question; None where nothing could be judged."""
    groups = []
    for task, title in _TITLES.items():
        rows = [_line(row) for row in evaluation.rows if row.task == task]
        if rows:
            groups.append({"title": title, "rows": rows})
    if not groups:
        return None
    return {
        "groups": groups,
        "level": f"{evaluation.level:.0%}",
        "notes": evaluation.notes,
        "texts": describe_texts(evaluation.texts),
    }


def describe_texts(texts: Sequence[TextScore]) -> dict[str, Any] | None:
    """Scores of captions and translations, and how to read them; None where there are none."""
    if not texts:
        return None
    rivals = {"mean": "the most frequent text", "knn": "the nearest row's text"}
    rows = [
        {
            "modality": one.modality,
            "label": one.label,
            "n": f"{one.n:,}",
            "bounded": one.other is None,
            "best": one.best_baseline,
            "verdict": one.verdict,
            "words": _verdict_words(one.verdict, rivals[one.best_baseline]),
            **{name: getattr(one, name) for name in ("model", "mean", "knn", "truth")},
        }
        for one in texts
    ]
    return {"rows": rows, "words": text_words(texts)}


def describe_checked(checked: Sequence[Any]) -> list[dict[str, Any]]:
    """What had been hidden from the training rows, filled in: errors beside the simplest guess."""
    return [
        {
            "label": one.modality if one.column is None else f"{one.column} ({one.modality})",
            "metric": _METRICS.get(one.metric, one.metric),
            "n": f"{one.n:,}",
            "model": one.model,
            "simple": one.simple,
            "gain": 1 - one.model / one.simple if one.simple > 0 else 0.0,
        }
        for one in checked
    ]


def _line(row: SkillRow) -> dict[str, Any]:
    rival = _BASELINES.get(row.best_baseline, row.best_baseline)
    words = _verdict_words(row.verdict, rival)
    estimates = ("model", "mean", "linear", "knn", "skill", "crps", "coverage")
    return {
        "label": row.label,
        "kind": row.kind,
        "metric": _METRICS.get(row.metric, row.metric.replace("_", " ")),
        "n": f"{row.n:,}",
        "verdict": row.verdict,
        "words": words,
        "best": row.best_baseline,
        **{name: getattr(row, name) for name in estimates},
    }


def _verdict_words(verdict: str, rival: str) -> str:
    if verdict == "equal":
        return "no clear difference"
    return f"{verdict} than {rival}"
