r"""Continuous ranked probability score: how far a predictive distribution is from what came true.

.. math:: \mathrm{CRPS}(F, y) = E|X - y| - \tfrac12 E|X - X'|, \qquad X, X' \sim F

In the units of the data; the absolute error, for a distribution that is one point.

References:
    Tilmann Gneiting, Adrian Raftery. Strictly proper scoring rules, prediction, and estimation.
    JASA 102, 2007. https://doi.org/10.1198/016214506000001437
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from polymodal.metrics.registry import metric


@metric(better="lower", bounds=(0.0, math.inf), baseline="that of the column's own distribution")
def crps(draws: Tensor, target: Tensor) -> Tensor:
    """CRPS of each value from n draws, unbiased in n (the fair form).

    Unbiased means that 5 and 50 draws of one distribution score alike; a single score may be
    slightly negative, a mean over rows is not in expectation.

    Arguments:
        draws: ``(n, ...)`` with n >= 2.
        target: ``(...)``.

    Returns:
        Scores ``(...)``, in float64.
    """
    n = len(draws)
    if n < 2:
        raise ValueError(f"a CRPS of draws needs at least 2 draws, got {n}.")
    if draws.shape[1:] != target.shape:
        raise ValueError(
            f"draws have shape {tuple(draws.shape)}, target {tuple(target.shape)}; "
            "expected (n, ...) and (...)."
        )
    x = draws.double()
    distance = (x - target.double()).abs().mean(0)
    # Sum over pairs of |x_i - x_j| from the order statistics: n log n instead of n^2.
    ranks = 2 * torch.arange(1, n + 1, dtype=torch.float64, device=x.device) - n - 1
    spread = torch.tensordot(ranks, x.sort(0).values, dims=1)
    return distance - spread / (n * (n - 1))


def gaussian_crps(loc: Tensor, scale: Tensor, target: Tensor) -> Tensor:
    """CRPS of Gaussians in closed form: the truth that draws come near to; ``(...)``."""
    z = (target - loc) / scale
    density = torch.exp(-0.5 * z.square()) / math.sqrt(2 * math.pi)
    below = torch.special.ndtr(z)
    return scale * (z * (2 * below - 1) + 2 * density - 1 / math.sqrt(math.pi))


def crps_of_sample(sample: Tensor, target: Tensor) -> Tensor:
    """CRPS of one distribution, given by a sample ``(T,)``, for many targets ``(N,)``.

    The same as ``crps`` with the sample as draws of every target, in (T + N) log T. A sample of
    one value is taken for a point: the absolute error.
    """
    ordered = sample.double().sort().values
    n = len(ordered)
    y = target.double()
    sums = torch.cat([ordered.new_zeros(1), ordered.cumsum(0)])
    below = torch.searchsorted(ordered, y.contiguous())
    distance = (y * (2 * below - n) + sums[-1] - 2 * sums[below]) / n
    if n < 2:
        return distance
    ranks = 2 * torch.arange(1, n + 1, dtype=torch.float64, device=y.device) - n - 1
    return distance - (ranks @ ordered) / (n * (n - 1))
