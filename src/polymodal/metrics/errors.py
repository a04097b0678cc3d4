"""Errors of point predictions: of numbers and of categories.

All take optional ``present`` (which values count) and ``weights`` of rows, ``(N,)`` or ``(R, N)``;
the answer is one value a column, ``(...)`` of ``(N, ...)``, with a leading ``R`` if there is one.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from polymodal.metrics.registry import metric
from polymodal.metrics.rows import paired, row_mean


@metric(better="lower", bounds=(0.0, math.inf), baseline="standard deviation, by the column mean")
@paired
def rmse(
    prediction: Tensor,
    target: Tensor,
    present: Tensor | None = None,
    weights: Tensor | None = None,
) -> Tensor:
    """Root mean squared error of each column, in the units of the data."""
    squares = (prediction.double() - target.double()).square()
    return row_mean(squares, present, weights).sqrt()


@metric(better="lower", bounds=(0.0, math.inf), baseline="mean absolute deviation, by the median")
@paired
def mae(
    prediction: Tensor,
    target: Tensor,
    present: Tensor | None = None,
    weights: Tensor | None = None,
) -> Tensor:
    """Mean absolute error of each column, in the units of the data."""
    return row_mean((prediction.double() - target.double()).abs(), present, weights)


@metric(better="higher", bounds=(-math.inf, 1.0), baseline="0, by the mean of the judged rows")
@paired
def r2(
    prediction: Tensor,
    target: Tensor,
    present: Tensor | None = None,
    weights: Tensor | None = None,
) -> Tensor:
    """Share of each column's variance that the prediction explains.

    A column without variance has 1 if predicted without error, else 0 (as in scikit-learn).
    """
    residual = _residuals(prediction, target, present, weights)
    variance = variances(target, present, weights)
    constant = variance <= 0
    guarded = 1 - residual / torch.where(constant, torch.ones_like(variance), variance)
    flat = torch.where(residual > 0, torch.zeros_like(residual), torch.ones_like(residual))
    return torch.where(constant, torch.where(residual.isnan(), residual, flat), guarded)


def unexplained(
    prediction: Tensor,
    target: Tensor,
    present: Tensor | None = None,
    weights: Tensor | None = None,
) -> Tensor:
    """1 - R² of each column; NaN of one without variance, of which there is nothing to explain."""
    variance = variances(target, present, weights)
    known = torch.where(variance > 0, variance, torch.nan)
    return _residuals(prediction, target, present, weights) / known


def _residuals(
    prediction: Tensor, target: Tensor, present: Tensor | None, weights: Tensor | None
) -> Tensor:
    return row_mean((prediction.double() - target.double()).square(), present, weights)


def variances(
    target: Tensor, present: Tensor | None = None, weights: Tensor | None = None
) -> Tensor:
    """Each column's variance, 0 where only rounding makes one."""
    y = target.double()
    # Variances are differences of large numbers unless the column is centred first.
    y = y - row_mean(y, present)
    variance = row_mean(y.square(), present, weights) - row_mean(y, present, weights).square()
    # Resamples of one value leave a variance of rounding errors, which is none.
    tiny = 1e-14 * row_mean(y.square(), present)
    return torch.where(variance <= tiny, torch.zeros_like(variance), variance)


@metric(better="lower", bounds=(0.0, 2.0), baseline="1, of a direction that says nothing")
@paired
def cosine_error(prediction: Tensor, target: Tensor) -> Tensor:
    """1 - cosine similarity of each row; ``(N, P)`` -> ``(N,)``. A vector of zeros has none: 1."""
    a, b = prediction.double(), target.double()
    lengths = a.norm(dim=1) * b.norm(dim=1)
    cosine = (a * b).sum(1) / torch.where(lengths > 0, lengths, torch.ones_like(lengths))
    return (1 - cosine).clamp(0, 2)


@metric(better="lower", bounds=(0.0, 1.0), baseline="1 - share of the most frequent category")
@paired
def error_rate(
    prediction: Tensor,
    target: Tensor,
    present: Tensor | None = None,
    weights: Tensor | None = None,
) -> Tensor:
    """Share of rows whose category is wrong."""
    return row_mean((prediction != target).double(), present, weights)


@metric(better="lower", bounds=(0.0, 2.0), baseline="1 - sum of squared shares, by the shares")
def brier(
    probabilities: Tensor,
    target: Tensor,
    present: Tensor | None = None,
    weights: Tensor | None = None,
) -> Tensor:
    """Brier score: squared distance of probabilities ``(N, L)`` to the true category ``(N,)``."""
    if probabilities.ndim != 2 or target.shape != probabilities.shape[:1]:
        raise ValueError(
            f"probabilities have shape {tuple(probabilities.shape)}, target "
            f"{tuple(target.shape)}; expected (N, L) and (N,)."
        )
    levels = torch.arange(probabilities.shape[1], device=target.device)
    truth = (target.unsqueeze(-1) == levels).double()
    return row_mean((probabilities.double() - truth).square().sum(-1), present, weights)


def brier_of_draws(draws: Tensor, target: Tensor) -> Tensor:
    r"""Brier score of each row from n draws, without the bias of few draws.

    The mean over pairs of different draws of :math:`(e_i - e_y)^\top (e_j - e_y)`, with e the
    one-hot codes: its expectation is the Brier score of the probabilities drawn from.

    Arguments:
        draws: Categories, ``(n, N)`` with n >= 2.
        target: Categories, ``(N,)``.

    Returns:
        Scores in [0, 2], ``(N,)``.

    References:
        Christopher Ferro. Fair scores for ensemble forecasts. QJRMS 140, 2014.
        https://doi.org/10.1002/qj.2270
    """
    n = len(draws)
    if n < 2:
        raise ValueError(f"a Brier score of draws needs at least 2 draws, got {n}.")
    hits = (draws == target).double().mean(0)
    ordered = draws.sort(0).values
    # Pairs of equal draws: in a sorted column, each run of length r has r (r - 1) of them.
    same = torch.zeros_like(hits)
    for lag in range(1, n):
        equal = (ordered[lag:] == ordered[:-lag]).sum(0)
        if not bool(equal.any()):
            break
        same = same + 2 * equal
    return 1 - 2 * hits + same / (n * (n - 1))
