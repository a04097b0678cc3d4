r"""Counts: Poisson with a mean m, negative binomial with a size r too (variance ``m + m^2 / r``).

Poisson: ``log p(x) = x log m - m - lgamma(x + 1)``. Negative binomial:
``log p(x) = lgamma(x + r) - lgamma(r) - lgamma(x + 1) - r log(1 + m / r) - x log(1 + r / m)``.
"""

from __future__ import annotations

import abc

import numpy as np
import torch
from torch import Size, Tensor
from torch.nn import functional

from polymodal.distributions.observed import Observed, sum_event


class CountObserved(Observed):
    """Counts of each cell, by their means; children fill ``cell_log_prob``, ``mode``, ``_draw``.

    Arguments:
        log_mean: Logs of the means, ``(..., B, *shape)``.
        shape: Shape of one value.
    """

    def __init__(self, log_mean: Tensor, shape: tuple[int, ...]) -> None:
        self.log_mean = log_mean
        super().__init__(log_mean.shape[: log_mean.ndim - len(shape)], shape)

    @property
    def mean(self) -> Tensor:
        """Mean counts, ``(..., B, *shape)``."""
        return self.log_mean.exp()

    @property
    def statistics(self) -> Tensor:
        """The means, flat, ``(..., B, P)``."""
        return self.mean.flatten(-len(self.event_shape))

    @property
    def median(self) -> Tensor:
        """The smallest counts whose cumulative probability is 1/2 or more, as ``mode``."""
        # torch has no incomplete beta function
        return torch.from_numpy(self._half(np.exp(_array(self.log_mean)))).to(self.log_mean)

    @abc.abstractmethod
    def _half(self, mean: np.ndarray) -> np.ndarray:
        """Medians of counts with these means, of the same shape, both float64."""

    @abc.abstractmethod
    def cell_log_prob(self, value: Tensor) -> Tensor:
        """Log-probability of each cell in nats, ``(..., B, *shape)``."""

    def _log_prob(self, value: Tensor, cells: Tensor | None) -> Tensor:
        score = self.cell_log_prob(value)
        if cells is not None:
            score = torch.where(cells, score, 0)
        return sum_event(score, len(self.event_shape))


class NegativeBinomialObserved(CountObserved):
    """Counts of each cell.

    Arguments:
        log_mean: Logs of the means, ``(..., B, *shape)``.
        log_size: Logs of the sizes r, broadcasts to ``log_mean``.
        shape: Shape of one value.
    """

    def __init__(self, log_mean: Tensor, log_size: Tensor, shape: tuple[int, ...]) -> None:
        self.log_size = log_size
        super().__init__(log_mean, shape)

    @property
    def mode(self) -> Tensor:
        """The most likely counts, ``(..., B, *shape)``."""
        share = 1 - (-self.log_size).exp()  # (r - 1) / r
        return (share * self.mean).floor().clamp(min=0)

    def _half(self, mean: np.ndarray) -> np.ndarray:
        from scipy.stats import nbinom

        size = np.exp(_array(self.log_size))
        return nbinom.ppf(0.5, size, size / (size + mean))

    def cell_log_prob(self, value: Tensor) -> Tensor:
        """Log-probability of each cell in nats, ``(..., B, *shape)``."""
        # lgamma of a count of a million is 1e7: in float32 the difference would be off by a nat.
        wide = torch.float32 if value.device.type == "mps" else torch.float64
        x, log_mean, log_size = (t.to(wide) for t in (value, self.log_mean, self.log_size))
        size, log_ratio = log_size.exp(), log_mean - log_size
        ways = torch.lgamma(x + size) - torch.lgamma(size) - torch.lgamma(x + 1)
        decay = size * functional.softplus(log_ratio) + x * functional.softplus(-log_ratio)
        return (ways - decay).to(self.log_mean.dtype)

    def _draw(self, sample_shape: Size) -> Tensor:
        size = self.log_size.exp().expand(*sample_shape, *self.log_mean.shape)
        rate = torch.distributions.Gamma(size, 1 / self.mean * size, validate_args=False)
        return torch.poisson(rate.sample())


class PoissonObserved(CountObserved):
    """Counts of each cell whose variance is their mean.

    Arguments:
        log_mean: Logs of the means, ``(..., B, *shape)``.
        shape: Shape of one value.
    """

    @property
    def mode(self) -> Tensor:
        """The most likely counts, ``(..., B, *shape)``."""
        return self.mean.floor()

    def _half(self, mean: np.ndarray) -> np.ndarray:
        from scipy.stats import poisson

        return poisson.ppf(0.5, mean)

    def cell_log_prob(self, value: Tensor) -> Tensor:
        """Log-probability of each cell in nats, ``(..., B, *shape)``."""
        # as above: differences of large numbers
        wide = torch.float32 if value.device.type == "mps" else torch.float64
        x, log_mean = value.to(wide), self.log_mean.to(wide)
        score = x * log_mean - log_mean.exp() - torch.lgamma(x + 1)
        return score.to(self.log_mean.dtype)

    def _draw(self, sample_shape: Size) -> Tensor:
        return torch.poisson(self.mean.expand(*sample_shape, *self.log_mean.shape))


def _array(x: Tensor) -> np.ndarray:
    return x.detach().cpu().double().numpy()
