r"""Whether intervals hold what they promise, by more than chance explains.

The numbers of one row go wrong together, so n of them are worth fewer than n. With p the share
inside, p' the bound of its bootstrap interval over rows on the side of the promise, z of the
normal and t of Student's distribution with one less freedom than rows, they are worth

.. math:: n^* = p (1 - p) \left( z^2 / (t\, |p' - p|) \right)^2

that are independent, never more than n, and at most one a row where the bootstrap has nothing to
show: where every row has the same share, or there are hardly any rows. The promise is broken where
it lies outside the exact interval of Clopper and Pearson for a share p of n*, and outside that of
the bootstrap where it has one.

References:
    Clopper and Pearson: ``polymodal.evaluate.exact``.
    Edward Korn, Barry Graubard. Confidence intervals for proportions with small expected number of
    positive counts estimated from survey data. Survey Methodology 24, 1998.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from polymodal.evaluate.bootstrap import bootstrap, percentile_interval
from polymodal.evaluate.exact import TAIL, exact_interval
from polymodal.evaluate.result import Estimate, Held
from polymodal.evaluate.scores import FEWEST_ROWS
from polymodal.evaluate.sheet import RowSums

Width = Literal["narrow", "right", "wide", "unsure"]

_NEAR = 0.05
"""A difference that harms nobody, however sure it is."""


def judge_width(share: Estimate, level: float, n: int, n_rows: int) -> Width:
    """Whether intervals are as wide as they promise.

    Arguments:
        share: Share of truths inside, with its interval over rows.
        level: The share that was promised.
        n: Numbers, at least so many.
        n_rows: Rows that have any of those truths.

    Returns:
        ``"unsure"`` where chance may explain the difference, or where there is none but so few
        rows that not even a share of 1 would have told anything.

    Example:
        >>> judge_width(Estimate(1.0, 1.0, 1.0), 0.9, 2, 2)
        'unsure'
        >>> judge_width(Estimate(1.0, 1.0, 1.0), 0.9, 200, 200)
        'wide'
    """
    worth = _independent(share, level, n, n_rows)
    low, high = exact_interval(share.value, worth)
    if abs(share.value - level) <= _NEAR:
        return "right" if exact_interval(1.0, worth)[0] > level else "unsure"
    # Both must speak: the reader has the interval of the share before his eyes.
    if low <= level <= high or (share.low < level < share.high):
        return "unsure"
    return "narrow" if share.value < level else "wide"


def say_width(share: Estimate, level: float, n: int, n_rows: int, few: str = "rows") -> str:
    """The same as the end of a sentence that gave the share.

    Arguments:
        share: Share of truths inside, with its interval over rows.
        level: The share that was promised.
        n: Numbers, at least so many.
        n_rows: Rows that have any of those truths.
        few: What there is too little of where chance may explain the share.
    """
    return {
        "narrow": ": they are too narrow, so do not take them at their word.",
        "wide": ": they are wider than they need to be.",
        "right": ", as they should.",
        "unsure": f"; that may be chance, as there are too few {few} to judge by.",
    }[judge_width(share, level, n, n_rows)]


def count_held(
    inside: Tensor, rows: Tensor, n_rows: int, *, resamples: int, seed: int
) -> Held | None:
    """The share of numbers inside their intervals; None of none.

    Arguments:
        inside: Whether each number is, ``(n,)``.
        rows: The row of each, ``(n,)``.
        n_rows: Rows in all.
        resamples: Bootstrap resamples of the rows.
        seed: The resamples follow from it.
    """
    if not len(rows):
        return None
    values, counts = torch.zeros(2, n_rows, dtype=torch.float64)
    values.index_add_(0, rows, inside.double())
    counts.index_add_(0, rows, torch.ones(len(rows), dtype=torch.float64))
    sums = RowSums(values, counts)
    whole, replicates = bootstrap(
        lambda w: sums.mean(w)[:, None], n_rows, resamples=resamples, seed=seed
    )
    share = Estimate(whole.item(), *percentile_interval(replicates[:, 0]))
    return Held(share, len(rows), int((counts > 0).sum()))


def _independent(share: Estimate, level: float, n: int, n_rows: int) -> float:
    """How many independent truths are worth as much."""
    from scipy.stats import norm, t

    p = share.value
    half = share.high - p if p < level else p - share.low
    if n_rows < FEWEST_ROWS or not half > 0:
        return n_rows
    z, wide = norm.ppf(1 - TAIL), t.ppf(1 - TAIL, n_rows - 1)
    return min(float(n), float(p * (1 - p) * (z * z / (wide * half)) ** 2))
