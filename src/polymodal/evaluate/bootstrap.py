"""Paired bootstrap over rows: every statistic is computed of the same resamples.

A resample of N rows is a vector of N counts, so a statistic that takes weights of rows is computed
of hundreds of resamples by one matrix product.

References:
    Bradley Efron. Bootstrap methods: another look at the jackknife. Annals of Statistics 7, 1979.
    https://doi.org/10.1214/aos/1176344552
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

CONFIDENCE = 0.95
"""Confidence of all bootstrap intervals."""

_WEIGHTS_AT_ONCE = 8_000_000


def resample_counts(n_rows: int, resamples: int, generator: torch.Generator) -> Tensor:
    """How often each row is in each of R resamples with replacement; float64 ``(R, N)``."""
    chosen = torch.randint(n_rows, (resamples, n_rows), generator=generator)
    counts = torch.zeros(resamples, n_rows, dtype=torch.float64)
    return counts.scatter_add_(1, chosen, torch.ones_like(counts))


def bootstrap(
    statistic: Callable[[Tensor], Tensor],
    n_rows: int,
    *,
    resamples: int = 500,
    seed: int = 0,
    width: int = 1,
) -> tuple[Tensor, Tensor]:
    """A statistic of the rows, and of resamples of them.

    Arguments:
        statistic: Weights of rows ``(R, N)`` -> Q statistics of each set of weights ``(R, Q)``.
        n_rows: Number of rows, N.
        resamples: Number of resamples, R.
        seed: The resamples follow from it and ``n_rows`` alone.
        width: Numbers that the statistic holds a resample, to bound memory.

    Returns:
        The statistics of the rows themselves ``(Q,)`` and of the resamples ``(R, Q)``.

    Example:
        >>> x = torch.tensor([1.0, 2.0, 6.0], dtype=torch.float64)
        >>> mean, replicates = bootstrap(lambda w: (w @ x / w.sum(1))[:, None], 3)
        >>> mean.item(), replicates.shape
        (3.0, torch.Size([500, 1]))
    """
    if n_rows < 1 or resamples < 1:
        raise ValueError(
            f"bootstrap needs at least one row and one resample, got {n_rows} and {resamples}."
        )
    whole = statistic(torch.ones(1, n_rows, dtype=torch.float64))[0]
    generator = torch.Generator().manual_seed(seed)
    # Sizes of pieces depend on the sizes of the data alone, so the draws do too.
    piece = max(1, _WEIGHTS_AT_ONCE // max(n_rows, width))
    replicates = [
        statistic(resample_counts(n_rows, min(piece, resamples - start), generator))
        for start in range(0, resamples, piece)
    ]
    return whole, torch.cat(replicates)


def percentile_interval(replicates: Tensor, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Central interval of the replicates ``(R,)``; those that are NaN say nothing and are left."""
    said = replicates[~replicates.isnan()]
    if not len(said):
        return float("nan"), float("nan")
    tail = (1 - confidence) / 2
    bounds = torch.quantile(said.double(), torch.tensor([tail, 1 - tail], dtype=torch.float64))
    return bounds[0].item(), bounds[1].item()
