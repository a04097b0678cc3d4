"""Gaussian and Laplace likelihoods of vectors and images: the decoder gives the location.

The scale is one learned number, one a feature, one an output of the decoder, or fixed. A learned
scale finds the balance between reconstruction and KL that is else set by hand.

References:
    Simple and Effective VAE Training with Calibrated Decoders. Rybkin, Daniilidis, Levine, 2021,
    https://arxiv.org/abs/2006.13202
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from polymodal.distributions.factorised import GaussianObserved, LaplaceObserved, LocationScale
from polymodal.distributions.observed import Observed
from polymodal.likelihoods.base import Likelihood, as_shape
from polymodal.likelihoods.scale import RATE, LearnedScale, inverse_softplus
from polymodal.typing import as_cells

Scale = Literal["scalar", "feature", "output"] | float


class LocationScaleLikelihood(Likelihood):
    """What Gaussian and Laplace share; each says its arguments.

    Attributes:
        observed: The distribution of the values.
        fixed: The scale, where it is fixed.
        learned: The scale, where it is learned beside the decoder.
    """

    observed: type[LocationScale]
    _unit_variance: float

    def __init__(
        self,
        shape: tuple[int, ...] | int,
        scale: Scale = "scalar",
        floor: float = 1e-3,
        *,
        initial: float = 1.0,
        rate: float = RATE,
    ) -> None:
        name = type(self).__name__
        shape = as_shape(shape, name)
        doubled = scale == "output"
        super().__init__((shape[0] * (1 + doubled), *shape[1:]), shape)
        self.fixed: float | None = None
        self.learned: LearnedScale | None = None
        self.floor = floor
        if isinstance(scale, str):
            if scale not in ("scalar", "feature", "output"):
                raise ValueError(
                    f"{name}: scale must be 'scalar', 'feature', 'output' or a positive number, "
                    f"got {scale!r}."
                )
            learned = LearnedScale(
                shape if scale == "feature" else (), initial=initial, floor=floor, rate=rate
            )
            self.offset = inverse_softplus(initial - floor)
            self.learned = None if doubled else learned
        elif not 0 < scale < float("inf"):
            raise ValueError(f"{name}: a fixed scale must be a positive number, got {scale}.")
        else:
            self.fixed = float(scale)

    def _observe(self, parameters: Tensor) -> LocationScale:
        if self.fixed is not None:
            scale = torch.full((), self.fixed, dtype=parameters.dtype, device=parameters.device)
            return self.observed(parameters, scale, self.value_shape, self.fixed)
        if self.learned is not None:
            return self.observed(parameters, self.learned(), self.value_shape)
        loc, raw = parameters.chunk(2, -len(self.parameter_shape))
        scale = self.floor + functional.softplus(self.offset + raw)
        return self.observed(loc, scale, self.value_shape)

    def calibrate(self, predicted: Observed, value: Tensor, mask: Tensor) -> None:
        """Measure how much wider a learned scale must be; see the base class."""
        if self.learned is not None and isinstance(predicted, LocationScale):
            there = as_cells(mask, value)
            self.learned.calibrate(predicted.loc, value, there, self._unit_variance)

    def point(self, statistics: Tensor) -> Tensor:
        """Means as values, ``(..., P) -> (..., *value_shape)``."""
        return statistics.unflatten(-1, self.value_shape)


class GaussianLikelihood(LocationScaleLikelihood):
    """N(x | loc, scale^2) of each cell.

    Arguments:
        shape: Shape of one value; an integer P stands for ``(P,)``.
        scale: "scalar" (one learned number), "feature" (one for each element of the shape),
            "output" (the decoder gives it, as a second half of the first axis), or a fixed number.
        floor: What a learned scale stays above.
        initial: Where a learned scale starts.
        rate: How many times faster than a bare parameter a learned scale moves.
    """

    observed = GaussianObserved
    _unit_variance = 1.0


class LaplaceLikelihood(LocationScaleLikelihood):
    """Laplace(x | loc, scale) of each cell: forgives outliers, keeps edges.

    Arguments:
        shape: Shape of one value; an integer P stands for ``(P,)``.
        scale: "scalar" (one learned number), "feature" (one for each element of the shape),
            "output" (the decoder gives it, as a second half of the first axis), or a fixed number.
        floor: What a learned scale stays above.
        initial: Where a learned scale starts.
        rate: How many times faster than a bare parameter a learned scale moves.
    """

    observed = LaplaceObserved
    _unit_variance = 2.0
