"""From predictions to rows of skill: errors, intervals, the best baseline and who wins."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from polymodal.data.kinds import CELLWISE
from polymodal.evaluate.bootstrap import bootstrap, percentile_interval
from polymodal.evaluate.questions import Target
from polymodal.evaluate.result import BASELINES, Estimate, Judgement, SkillRow, Task
from polymodal.metrics.errors import cosine_error, error_rate, rmse, unexplained, variances
from polymodal.metrics.rows import row_mean
from polymodal.metrics.sets import average_precision_error
from polymodal.metrics.text import token_f1_error

FEWEST_ROWS = 10
"""With fewer judged rows nothing is called better or worse."""

LEAST_SKILL = -10.0

_RESOLUTION = 1e-6  # of float32: smaller errors, against the size of the values, are none
_TEXTS_AT_ONCE = 4096
_A_ROW = {
    "average_precision_error": average_precision_error,
    "cosine_error": cosine_error,
}


@dataclass(frozen=True)
class Judged:
    """All that is known of one target in n rows, in own units.

    Arguments:
        task: What was hidden.
        target: What was asked for.
        truth: ``(n, ...)``.
        cells: Which features of a vector count, ``(n, P)``, or None.
        predictions: ``"model"`` and the baselines -> ``(n, ...)``.
        spread: ``"crps"``, ``"crps_mean"``, ``"coverage"``, ``"brier"`` -> values ``(n, F)``.
        spread_cells: Which of them count, ``(n, F)``, or None.
    """

    task: Task
    target: Target
    truth: Tensor
    cells: Tensor | None
    predictions: dict[str, Tensor]
    spread: dict[str, Tensor]
    spread_cells: Tensor | None = None


def skill_rows(judged: Judged, *, resamples: int, seed: int) -> list[SkillRow]:
    """One row a metric: an error, and where it tells more a second measure."""
    kind = judged.target.kind
    rows = [_row(judged, METRIC[kind], resamples, seed)]
    if kind in CELLWISE and variances(judged.truth, judged.cells).gt(0).any():
        rows.append(_row(judged, "r2", resamples, seed))
    rows += [_row(judged, metric, resamples, seed) for metric in _SECOND.get(kind, ())]
    return rows


def skill_of(model: Tensor, baseline: Tensor) -> Tensor:
    """1 - error / baseline's error, at least -10.

    Where the baseline makes no error: 0 if the model makes none either, else -10.
    """
    none = baseline <= 0
    ratio = model / torch.where(none, torch.ones_like(baseline), baseline)
    against_none = torch.where(model <= 0, 0.0, LEAST_SKILL).to(model.dtype)
    skill = torch.where(none, against_none, (1 - ratio).clamp(min=LEAST_SKILL))
    return torch.where(model.isnan() | baseline.isnan(), torch.nan, skill)


def judge(difference: Estimate, n_rows: int) -> Judgement:
    """Who wins, by the interval of (baseline's error - model's error)."""
    if n_rows < FEWEST_ROWS:
        return "equal"
    if difference.low > 0:
        return "better"
    return "worse" if difference.high < 0 else "equal"


def _row(judged: Judged, metric: str, resamples: int, seed: int) -> SkillRow:
    names = list(judged.predictions)
    errors = errors_of(judged, metric)

    def statistics(weights: Tensor) -> Tensor:
        columns = [errors(name, weights) for name in names]
        for values in judged.spread.values():
            mean = row_mean(values, judged.spread_cells, weights)
            columns.append(mean.nanmean(1))
        return torch.stack(columns, 1)

    n_rows, width = len(judged.truth), judged.truth[:1].numel()
    whole, replicates = bootstrap(statistics, n_rows, resamples=resamples, seed=seed, width=width)
    tiny = rounding(judged, metric)
    n = len(names)
    whole[:n] = torch.where(whole[:n] <= tiny, 0.0, whole[:n])
    replicates[:, :n] = torch.where(replicates[:, :n] <= tiny, 0.0, replicates[:, :n])
    at = {name: i for i, name in enumerate([*names, *judged.spread])}
    best = min((name for name in BASELINES if name in at), key=lambda name: whole[at[name]].item())

    def estimate(name: str) -> Estimate | None:
        if name not in at:
            return None
        return _estimate(whole[at[name]], replicates[:, at[name]])

    def error(name: str) -> Estimate | None:
        found = estimate(name)
        if found is None or metric != "r2":
            return found
        return Estimate(1 - found.value, 1 - found.high, 1 - found.low)

    tells = metric != "r2" or _varies_often(judged.truth, judged.cells)
    i, j = at["model"], at[best]
    difference = _estimate(whole[j] - whole[i], replicates[:, j] - replicates[:, i])
    skill = _estimate(skill_of(whole[i], whole[j]), skill_of(replicates[:, i], replicates[:, j]))
    return SkillRow(
        task=judged.task,
        modality=judged.target.name,
        column=judged.target.column,
        kind=judged.target.kind,
        metric=metric,
        n=n_rows,
        model=_certain(error("model")),
        mean=error("mean"),
        linear=error("linear"),
        knn=error("knn"),
        crps=estimate("crps"),
        coverage=estimate("coverage"),
        best_baseline=best,
        skill=skill,
        verdict=judge(difference, n_rows if tells else 0),
        crps_mean=estimate("crps_mean"),
        brier=estimate("brier"),
    )


def _varies_often(truth: Tensor, cells: Tensor | None) -> bool:
    """Whether some column is off its most frequent value in as many rows as a verdict needs.

    Where each has one or two such rows R² rests on these alone, and resamples do not show it.
    """
    known = torch.ones_like(truth, dtype=torch.bool) if cells is None else cells
    for column, there in zip(truth.flatten(1).T, known.flatten(1).T, strict=True):
        counts = column[there].unique(return_counts=True)[1]
        if len(counts) and int(counts.sum() - counts.max()) >= FEWEST_ROWS:
            return True
    return False


def _certain(estimate: Estimate | None) -> Estimate:
    if estimate is None:
        raise ValueError("predictions must have the key 'model'.")
    return estimate


def _estimate(value: Tensor, replicates: Tensor) -> Estimate:
    return Estimate(value.item(), *percentile_interval(replicates))


METRIC = {
    "number": "rmse",
    "positive": "rmse",
    "count": "rmse",
    "vector": "rmse",
    "image": "rmse",
    "ordinal": "error_rate",
    "category": "error_rate",
    "text": "token_f1_error",
    "embedding": "rmse",
    "series": "rmse",
    "audio": "rmse",
    "tags": "average_precision_error",
}
"""Kind -> the error by which skill is measured."""
_SECOND = {"embedding": ("cosine_error",), "tags": ("rmse",)}


def repeats(row: SkillRow) -> bool:
    """Whether a row says a second time, by another measure, how well something is predicted."""
    return row.metric == "r2" or row.metric in _SECOND.get(row.kind, ())


def errors_of(judged: Judged, metric: str) -> Callable[[str, Tensor], Tensor]:
    """Name of a predictor, weights of rows ``(R, N)`` -> its error in each resample ``(R,)``."""
    predictions, truth, kind = judged.predictions, judged.truth, judged.target.kind
    if metric == "token_f1_error":
        losses = {name: _text_errors(said, truth) for name, said in predictions.items()}
        return lambda name, weights: row_mean(losses[name], None, weights)
    if metric == "error_rate":
        return lambda name, weights: error_rate(predictions[name], truth, None, weights)
    if metric in _A_ROW:
        losses = {name: _A_ROW[metric](said, truth) for name, said in predictions.items()}
        return lambda name, weights: row_mean(losses[name], None, weights)
    if kind in ("image", "audio", "tags"):
        squares = {
            name: (said.double() - truth.double()).square().flatten(1).mean(1)
            for name, said in predictions.items()
        }
        return lambda name, weights: row_mean(squares[name], None, weights).sqrt()
    if kind in CELLWISE:
        cells = judged.cells
        if metric == "r2":
            return lambda name, w: unexplained(predictions[name], truth, cells, w).nanmean(1)
        return lambda name, w: rmse(predictions[name], truth, cells, w).nanmean(1)
    return lambda name, weights: rmse(predictions[name], truth, None, weights)


def rounding(judged: Judged, metric: str) -> float:
    """Errors up to this are rounding errors."""
    if metric != "rmse":
        return 1e-9
    here = judged.truth.double()
    if judged.cells is not None:
        here = torch.where(judged.cells, here, 0.0)
    return _RESOLUTION * here.square().mean().sqrt().item()


def _text_errors(said: Tensor, truth: Tensor) -> Tensor:
    """Token F1 errors in pieces, as they hold rows x length x length at a time."""
    pieces: Sequence[tuple[Tensor, Tensor]] = list(
        zip(said.split(_TEXTS_AT_ONCE), truth.split(_TEXTS_AT_ONCE), strict=True)
    )
    return torch.cat([token_f1_error(a, b) for a, b in pieces])
