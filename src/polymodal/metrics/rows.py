"""Weighted means over rows: with bootstrap counts as weights, every resample at once."""

from __future__ import annotations

import torch
from torch import Tensor


def row_mean(
    values: Tensor, present: Tensor | None = None, weights: Tensor | None = None
) -> Tensor:
    """Mean over rows, in float64.

    Arguments:
        values: ``(N, ...)``. May be anything where ``present`` is false.
        present: Which values count, bool ``(N,)`` or the shape of ``values``; all when None.
        weights: Non-negative weights of the rows ``(N,)``, or several sets of them ``(R, N)``.

    Returns:
        ``(...)``, or ``(R, ...)`` for several sets of weights; NaN where nothing counts.
    """
    if present is None:
        present = torch.ones_like(values, dtype=torch.bool)
    present = present.reshape(*present.shape, *(1,) * (values.ndim - present.ndim))
    present = present.expand_as(values)
    kept = torch.where(present, values.double(), 0.0).reshape(len(values), -1)
    counts = present.reshape(len(values), -1).double()
    if weights is None:
        sums, totals, lead = kept.sum(0), counts.sum(0), ()
    else:
        weights = weights.double()
        sums, totals, lead = weights @ kept, weights @ counts, weights.shape[:-1]
    return (sums / totals).reshape((*lead, *values.shape[1:]))


def check_same_shape(prediction: Tensor, target: Tensor) -> None:
    """Refuse to broadcast silently: a metric of (N,) against (N, 1) would be of N x N pairs.

    Raises:
        ValueError: If the shapes differ.
    """
    if prediction.shape != target.shape:
        raise ValueError(
            f"prediction has shape {tuple(prediction.shape)}, target {tuple(target.shape)}; "
            "both must have the same."
        )
