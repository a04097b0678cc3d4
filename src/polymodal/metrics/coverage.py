"""Coverage: how often the truth lies in the interval that was promised to hold it.

Quantiles of draws follow Weibull's plotting position k / (n + 1): the truth is one more draw, and
falls below the k-th of n others with that very chance. The usual linear quantiles are too narrow:
of intervals of 90 % from 20 draws of a perfect model they hold the truth in 81 %.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from polymodal.metrics.registry import metric
from polymodal.metrics.rows import row_mean


def draws_needed(level: float) -> int:
    """Least number of draws from which a central interval of ``level`` can be had.

    Example:
        >>> draws_needed(0.9)
        19
    """
    if not 0 < level < 1:
        raise ValueError(f"level must be between 0 and 1, got {level}.")
    return math.ceil((1 + level) / (1 - level) - 1e-9)


def weibull_quantile(draws: Tensor, q: float) -> Tensor:
    """Quantile q of draws ``(n, ...)`` -> ``(...)``; linear between draws, never beyond them."""
    return _of_ordered(draws.sort(0).values, q)


def _of_ordered(ordered: Tensor, q: float) -> Tensor:
    """Quantile of draws that are sorted."""
    n = len(ordered)
    position = min(max(q * (n + 1) - 1, 0.0), n - 1.0)
    low = math.floor(position + 1e-9)
    share = max(position - low, 0.0)
    if share < 1e-9:
        return ordered[low]
    return ordered[low] + share * (ordered[low + 1] - ordered[low])


def central_interval(draws: Tensor, level: float) -> tuple[Tensor, Tensor]:
    """Bounds between which the draws ``(n, ...)`` say that the truth lies; two of ``(...)``.

    Raises:
        ValueError: If there are too few draws for an interval of that level.
    """
    return _central_of_ordered(draws.sort(0).values, level)


def _central_of_ordered(ordered: Tensor, level: float) -> tuple[Tensor, Tensor]:
    """Central interval of draws that are sorted."""
    needed = draws_needed(level)
    if len(ordered) < needed:
        raise ValueError(
            f"an interval of {level:.0%} needs at least {needed} draws, got {len(ordered)}."
        )
    tail = (1 - level) / 2
    return _of_ordered(ordered, tail), _of_ordered(ordered, 1 - tail)


@metric(better="higher", bounds=(0.0, 1.0), baseline="the nominal level: more is too wide")
def coverage(
    lower: Tensor,
    upper: Tensor,
    target: Tensor,
    present: Tensor | None = None,
    weights: Tensor | None = None,
) -> Tensor:
    """Share of rows whose value lies in its interval, bounds included; ``(N, ...)`` -> ``(...)``.

    Right when it is the nominal level. Whole numbers lie on the bounds so often that even a
    perfect model covers more.
    """
    inside = (lower <= target) & (target <= upper)
    return row_mean(inside.double(), present, weights)


COVERAGE_LEVELS: tuple[float, ...] = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)


def attainable(levels: tuple[float, ...], n_draws: int) -> list[float]:
    """The levels of which ``n_draws`` draws can give an interval."""
    return [level for level in levels if draws_needed(level) <= n_draws]


def inside_central(draws: Tensor, target: Tensor, levels: list[float]) -> Tensor:
    """Whether the target ``(...)`` is in the central interval of each level: bool ``(L, ...)``."""
    ordered = draws.sort(0).values
    bounds = [_central_of_ordered(ordered, level) for level in levels]
    return torch.stack([(low <= target) & (target <= high) for low, high in bounds])
