"""Likelihoods of counts: the decoder gives bounded log-means, sizes are learned a feature."""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from polymodal.distributions.counts import NegativeBinomialObserved, PoissonObserved
from polymodal.likelihoods.base import Likelihood, as_shape
from polymodal.likelihoods.scale import RATE, inverse_softplus
from polymodal.typing import as_cells

LOG_MEAN_BOUND = 16.0  # 9 million: float32 still knows every count
LOG_SIZE_BOUND = 10.0  # 22,000: a Poisson for most purposes


def bounded(x: Tensor, bound: float) -> Tensor:
    """``bound tanh(x / bound)``: x itself near zero, never beyond the bound."""
    return bound * torch.tanh(x / bound)


class CountLevel(nn.Module):
    """What any likelihood of counts learns for each feature beside the decoder: a level.

    ``log m = bounded(decoder + level)``. The level is a bias that moves ``rate`` times faster
    than one: counts in the thousands are far from one.

    Arguments:
        features: How many features.
        initial: Mean where training starts.
        rate: How many times faster than a bare parameter the level moves.
    """

    def __init__(self, features: int, *, initial: float = 1.0, rate: float = RATE) -> None:
        super().__init__()
        if not 0 < initial < math.exp(LOG_MEAN_BOUND):
            raise ValueError(f"Counts need an initial mean in (0, 9e6), got {initial}.")
        self.rate, self.start = rate, math.log(initial)
        self.level = nn.Parameter(torch.zeros(features))

    def log_mean(self, parameters: Tensor) -> Tensor:
        """Logs of means, ``(..., P) -> (..., P)``."""
        return bounded(parameters + self.start + self.rate * self.level, LOG_MEAN_BOUND)

    @torch.no_grad()
    def start_from(self, value: Tensor, cells: Tensor) -> None:
        """Set levels to the mean of the values, ``(B, P), (B, P) bool``."""
        n = cells.sum(0)
        mean = torch.where(cells, value, 0).double().sum(0) / n.clamp(min=1)
        log_mean = mean.clamp(1e-2, 1e6).log()
        level = LOG_MEAN_BOUND * torch.atanh(log_mean / LOG_MEAN_BOUND)
        moved = ((level - self.start) / self.rate).to(self.level.dtype)
        self.level.copy_(torch.where(n > 0, moved, self.level))


class CountScale(CountLevel):
    """What a negative binomial learns for each feature beside the decoder: level and size.

    ``log r = bounded(log softplus(...))`` beside the level.

    Arguments:
        features: How many features.
        initial: Mean where training starts.
        rate: How many times faster than a bare parameter level and size move.
    """

    def __init__(self, features: int, *, initial: float = 1.0, rate: float = RATE) -> None:
        super().__init__(features, initial=initial, rate=rate)
        self.size = nn.Parameter(torch.zeros(features))

    def forward(self, parameters: Tensor) -> tuple[Tensor, Tensor]:
        """Logs of means and of sizes, ``(..., P) -> (..., P), (P,)``."""
        log_mean = self.log_mean(parameters)
        size = functional.softplus(inverse_softplus(1.0) + self.rate * self.size)
        return log_mean, bounded((size + 1e-3).log(), LOG_SIZE_BOUND)

    @torch.no_grad()
    def start_from(self, value: Tensor, cells: Tensor) -> None:
        """Set levels and sizes to the mean and spread of the values, ``(B, P), (B, P) bool``.

        From a mean of one, counts in the thousands have gradients in the thousands at first; an
        adaptive optimiser then takes small steps for long.
        """
        super().start_from(value, cells)
        x, n = torch.where(cells, value, 0).double(), cells.sum(0)  # (B, P), (P,)
        mean = x.sum(0) / n.clamp(min=1)
        spread = torch.where(cells, x - mean, 0).square().sum(0) / n.clamp(min=1)
        size = (mean.square() / (spread - mean).clamp(min=1e-3)).clamp(0.1, 20.0)
        raw = size + (-torch.expm1(-size)).log()  # softplus's inverse
        moved = ((raw - inverse_softplus(1.0)) / self.rate).to(self.size.dtype)
        self.size.copy_(torch.where(n > 0, moved, self.size))


class CountLikelihood(Likelihood):
    """Counts of each cell, as floats; children say what they learn and fill ``_observe``.

    Arguments:
        shape: Shape of one value; an integer P stands for ``(P,)``.
        initial: Mean where training starts.
        whole: Whether point answers are rounded to counts, or left as means.
        rate: How many times faster than a bare parameter what is learned moves.
    """

    learns: ClassVar[type[CountLevel]] = CountLevel

    def __init__(
        self,
        shape: tuple[int, ...] | int,
        *,
        initial: float = 1.0,
        rate: float = RATE,
        whole: bool = True,
    ) -> None:
        shape = as_shape(shape, type(self).__name__)
        super().__init__(shape, shape)
        self.whole = whole
        self.learned = self.learns(self.dims, initial=initial, rate=rate)

    def point(self, statistics: Tensor) -> Tensor:
        """Means, rounded if asked for, ``(..., P) -> (..., *value_shape)``."""
        means = statistics.round() if self.whole else statistics
        return means.unflatten(-1, self.value_shape)

    def start_from(self, value: Tensor, cells: Tensor | None = None) -> None:
        """Start where the values are; see the base class."""
        self.learned.start_from(*_flat(value, cells))


class NegativeBinomialLikelihood(CountLikelihood):
    """Counts: mean m from the decoder, variance ``m + m^2 / r``; levels and sizes are learned."""

    learns = CountScale
    learned: CountScale

    def _observe(self, parameters: Tensor) -> NegativeBinomialObserved:
        n = len(self.value_shape)
        log_mean, log_size = self.learned(parameters.flatten(-n))
        shape = self.value_shape
        return NegativeBinomialObserved(
            log_mean.unflatten(-1, shape), log_size.unflatten(-1, shape), shape
        )


class PoissonLikelihood(CountLikelihood):
    """Counts: mean and variance m from the decoder; levels are learned."""

    learned: CountLevel

    def _observe(self, parameters: Tensor) -> PoissonObserved:
        log_mean = self.learned.log_mean(parameters.flatten(-len(self.value_shape)))
        return PoissonObserved(log_mean.unflatten(-1, self.value_shape), self.value_shape)


def _flat(value: Tensor, cells: Tensor | None) -> tuple[Tensor, Tensor]:
    """Values and what of them is there, ``(B, P)`` both."""
    there = torch.ones_like(value, dtype=torch.bool) if cells is None else as_cells(cells, value)
    return value.flatten(1), there.flatten(1)
