"""Weighted means over rows: with bootstrap counts as weights, every resample at once."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, TypeVar, cast

import torch
from torch import Tensor

from polymodal.typing import as_cells

Function = TypeVar("Function", bound=Callable[..., Tensor])


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
    present = as_cells(present, values)
    kept = torch.where(present, values.double(), 0.0).reshape(len(values), -1)
    counts = present.reshape(len(values), -1).double()
    if weights is None:
        sums, totals, lead = kept.sum(0), counts.sum(0), ()
    else:
        weights = weights.double()
        sums, totals, lead = weights @ kept, weights @ counts, weights.shape[:-1]
    return (sums / totals).reshape((*lead, *values.shape[1:]))


def paired(function: Function) -> Function:
    """Let a metric refuse to broadcast silently: (N,) against (N, 1) would be N x N pairs.

    The metric's first two arguments, whatever their names, must have the same shape; a ValueError
    says which they have.
    """
    names = tuple(inspect.signature(function).parameters)[:2]

    @functools.wraps(function)
    def checked(*given: Any, **named: Any) -> Any:  # noqa: ANN401 (the metric's own)
        pair = [*given[:2], *(named[name] for name in names[len(given) :] if name in named)]
        if len(pair) == 2 and pair[0].shape != pair[1].shape:
            raise ValueError(
                f"{names[0]} has shape {tuple(pair[0].shape)}, {names[1]} "
                f"{tuple(pair[1].shape)}; both must have the same."
            )
        return function(*given, **named)

    return cast("Function", checked)
