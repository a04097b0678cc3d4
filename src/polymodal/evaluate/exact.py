r"""The exact interval of a share, for where the bootstrap has nothing to show.

Resamples of rows that are all right, or all wrong, are so too, and their interval has no width
however few the rows. Of k right among n the interval of Clopper and Pearson is

.. math:: B_{\alpha / 2}(k, n - k + 1) \le p \le B_{1 - \alpha / 2}(k + 1, n - k)

with B the quantiles of the beta distribution; it holds its level whatever p and n are.

References:
    C. J. Clopper, E. S. Pearson. The use of confidence or fiducial limits illustrated in the case
    of the binomial. Biometrika 26, 1934. https://doi.org/10.1093/biomet/26.4.404
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from polymodal.evaluate.bootstrap import CONFIDENCE, percentile_interval
from polymodal.evaluate.result import Estimate
from polymodal.evaluate.scores import FEWEST_ROWS

TAIL = (1 - CONFIDENCE) / 2
_NO_WIDTH = 1e-12
"""What rounding makes of an interval without width."""


def exact_interval(share: ArrayLike, n: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Where a true share may lie if ``share`` of n was seen; NaN of none.

    Arguments:
        share: Shares of any shape.
        n: How many independent things each is of; need not be whole.

    Example:
        >>> low, high = exact_interval([1.0, 0.5], [2, 200])
        >>> low.round(3), high.round(3)
        (array([0.158, 0.429]), array([1.   , 0.571]))
    """
    from scipy.stats import beta

    p, n = np.asarray(share, dtype=float), np.asarray(n, dtype=float)
    k = p * n
    low = np.where(k > 0, beta.ppf(TAIL, k, n - k + 1), 0.0)
    high = np.where(k < n, beta.ppf(1 - TAIL, k + 1, n - k), 1.0)
    return np.where(np.isnan(p), np.nan, low), np.where(np.isnan(p), np.nan, high)


def share_estimate(value: float, replicates: Tensor, bounds: tuple[float, float]) -> Estimate:
    """A share with its bootstrap interval; with the exact one where that has no width.

    Arguments:
        value: The share.
        replicates: Of resamples of the rows, ``(R,)``.
        bounds: The exact interval, of rows: numbers of one row go wrong together.
    """
    return with_width(Estimate(value, *percentile_interval(replicates)), bounds)


def with_width(share: Estimate, bounds: tuple[float, float]) -> Estimate:
    """A share with its interval, or with the exact one where its own has no width."""
    if share.high - share.low > _NO_WIDTH:
        return share
    return Estimate(share.value, float(bounds[0]), float(bounds[1]))


def exact_bounds(shares: Tensor, n: Tensor) -> Tensor:
    """The lower and the upper exact bound of Q shares ``(Q,)``; float64 ``(2, Q)``.

    The bound of a mean of shares is the mean of their bounds: for shares of the same rows that
    are all right it is the bound of one of them, and more are not worth more.
    """
    low, high = exact_interval(shares.numpy(), n.numpy())
    return torch.from_numpy(np.stack([low, high]))


def note_few(n: int, what: str = "test") -> list[str]:
    """A doubt where hardly any rows were judged."""
    if n >= FEWEST_ROWS:
        return []
    rows = f"row{'s' * (n != 1)} {'was' if n == 1 else 'were'}"
    return [f"Only {n} {what} {rows} judged: so few tell little, whatever the intervals."]
