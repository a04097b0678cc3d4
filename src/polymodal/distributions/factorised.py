"""Values whose cells are independent given z: Gaussian, Laplace, Bernoulli, category.

Gaussian: ``-(x - m)^2 / (2 s^2) - log s - log(2 pi) / 2``; Laplace: ``-|x - m| / b - log(2 b)``.
With one scale for all cells the sum of distances is taken first and scaled after: the tensor of
the size of the data is passed over as few times as possible, in both directions.
"""

from __future__ import annotations

import abc
import math

import torch
from torch import Size, Tensor
from torch.nn import functional

from polymodal.distributions.observed import Observed, sum_event

_KINK = 1e-30  # below this distance |x| is drawn as a parabola: far under float32 resolution


class LocationScale(Observed):
    """A location for each cell and a scale for all, for each feature or for each cell.

    Arguments:
        loc: Locations, ``(..., B, *shape)``.
        scale: ``()``, ``shape`` or ``(..., B, *shape)``, positive; the last may have a size of 1
            wherever it is the same along an axis.
        shape: Shape of one value.
        fixed: The scale as a number, where it is one that is not learned.
    """

    def __init__(
        self, loc: Tensor, scale: Tensor, shape: tuple[int, ...], fixed: float | None = None
    ) -> None:
        self.loc, self.scale, self.fixed = loc, scale, fixed
        super().__init__(loc.shape[: loc.ndim - len(shape)], shape)

    @property
    def mode(self) -> Tensor:
        """The locations, ``(..., B, *shape)``."""
        return self.loc

    @property
    def mean(self) -> Tensor:
        """Means, ``(..., B, *shape)``."""
        return self.loc

    @property
    def statistics(self) -> Tensor:
        """The locations, flat, ``(..., B, P)``."""
        return self.loc.flatten(-len(self.event_shape))

    def _log_prob(self, value: Tensor, cells: Tensor | None) -> Tensor:
        n = len(self.event_shape)
        loc = self.loc
        if loc.shape != value.shape:
            loc, value = torch.broadcast_tensors(loc, value)
        distance = self._distance(loc, value)
        if cells is not None:
            distance = torch.where(cells, distance, 0)
        if self.fixed is not None and cells is None:
            unit, norm = self._constants(self.fixed)
            total = sum_event(distance, n)
            return (total + self.event_shape.numel() * norm * unit) * (-1 / unit)
        unit, norm = self._unit(), self._norm()
        if self.scale.shape[-n:].numel() == 1:
            # One scale for all the cells of a value.
            unit, norm = (one.flatten(-n)[..., 0] if one.ndim else one for one in (unit, norm))
            count = self.event_shape.numel() if cells is None else cells.flatten(-n).sum(-1)
            return torch.addcdiv(-count * norm, sum_event(distance, n), unit, value=-1)
        norm = norm if cells is None else torch.where(cells, norm, 0)
        if self.scale.ndim > n:
            return -sum_event(distance / unit, n) - sum_event(norm, n)
        # Dividing first would make, and keep for the gradient, another tensor of the data's size.
        with torch.autocast(distance.device.type, enabled=False):
            total = distance.flatten(-n) @ (1 / unit).flatten()
        return -total - sum_event(norm, n)

    def _draw(self, sample_shape: Size) -> Tensor:
        return self.loc + self.scale * self._noise((*sample_shape, *self.loc.shape))

    @staticmethod
    @abc.abstractmethod
    def _distance(loc: Tensor, value: Tensor) -> Tensor:
        """Distance of each cell from its location, both of the same shape."""

    @staticmethod
    @abc.abstractmethod
    def _constants(scale: float) -> tuple[float, float]:
        """What ``_unit`` and ``_norm`` are for a fixed scale."""

    @abc.abstractmethod
    def _unit(self) -> Tensor:
        """What a distance is divided by to be nats."""

    @abc.abstractmethod
    def _norm(self) -> Tensor:
        """Minus the log-density at the location, in nats."""

    @abc.abstractmethod
    def _noise(self, shape: tuple[int, ...]) -> Tensor: ...


class GaussianObserved(LocationScale):
    """N(x | loc, scale^2) of each cell."""

    @staticmethod
    def _distance(loc: Tensor, value: Tensor) -> Tensor:
        return functional.mse_loss(loc, value, reduction="none")

    @staticmethod
    def _constants(scale: float) -> tuple[float, float]:
        return 2 * scale**2, math.log(scale) + 0.5 * math.log(2 * math.pi)

    def _unit(self) -> Tensor:
        return 2 * self.scale.square()

    def _norm(self) -> Tensor:
        return self.scale.log() + 0.5 * math.log(2 * math.pi)

    def _noise(self, shape: tuple[int, ...]) -> Tensor:
        return torch.randn(shape, dtype=self.loc.dtype, device=self.loc.device)


class LaplaceObserved(LocationScale):
    """Laplace(x | loc, scale) of each cell."""

    @staticmethod
    def _distance(loc: Tensor, value: Tensor) -> Tensor:
        # One fused pass forward and one back; abs of a difference takes two and three.
        return functional.smooth_l1_loss(loc, value, reduction="none", beta=_KINK)

    @staticmethod
    def _constants(scale: float) -> tuple[float, float]:
        return scale, math.log(2 * scale)

    def _unit(self) -> Tensor:
        return self.scale

    def _norm(self) -> Tensor:
        return (2 * self.scale).log()

    def _noise(self, shape: tuple[int, ...]) -> Tensor:
        rise, fall = torch.empty((2, *shape), dtype=self.loc.dtype, device=self.loc.device)
        return rise.exponential_() - fall.exponential_()


class BernoulliObserved(Observed):
    """Bernoulli of each cell; ``x l - log(1 + e^l)`` also scores values between 0 and 1.

    Arguments:
        logits: ``(..., B, *shape)``.
        shape: Shape of one value.
    """

    def __init__(self, logits: Tensor, shape: tuple[int, ...]) -> None:
        self.logits = logits
        super().__init__(logits.shape[: logits.ndim - len(shape)], shape)

    @property
    def mode(self) -> Tensor:
        """The likelier of 0 and 1, ``(..., B, *shape)``."""
        return (self.logits > 0).to(self.logits.dtype)

    @property
    def mean(self) -> Tensor:
        """Probabilities, ``(..., B, *shape)``."""
        return self.logits.sigmoid()

    @property
    def statistics(self) -> Tensor:
        """The probabilities of one, flat, ``(..., B, P)``."""
        return self.mean.flatten(-len(self.event_shape))

    def _log_prob(self, value: Tensor, cells: Tensor | None) -> Tensor:
        shape = torch.broadcast_shapes(self.logits.shape, value.shape)
        score = -functional.binary_cross_entropy_with_logits(
            self.logits.expand(shape), value.to(self.logits.dtype).expand(shape), reduction="none"
        )
        if cells is not None:
            score = torch.where(cells, score, 0)
        return sum_event(score, len(self.event_shape))

    def _draw(self, sample_shape: Size) -> Tensor:
        return torch.bernoulli(self.mean.expand(*sample_shape, *self.logits.shape))


class CategoricalObserved(Observed):
    """One category a row; a value is its code, int64.

    Arguments:
        logits: ``(..., B, L)``.
    """

    def __init__(self, logits: Tensor) -> None:
        self.logits = logits.log_softmax(-1)
        super().__init__(logits.shape[:-1], ())

    @property
    def mode(self) -> Tensor:
        """The most likely code, ``(..., B)``, int64."""
        return self.logits.argmax(-1)

    @property
    def statistics(self) -> Tensor:
        """The probabilities, ``(..., B, L)``."""
        return self.logits.exp()

    def _log_prob(self, value: Tensor, cells: Tensor | None) -> Tensor:
        return pick(self.logits, value)

    def _draw(self, sample_shape: Size) -> Tensor:
        return draw_codes(self.logits, sample_shape)


def pick(table: Tensor, codes: Tensor) -> Tensor:
    """The entry of each code, ``(..., L), (...) -> (...)`` with broadcasting."""
    shape = torch.broadcast_shapes(table.shape[:-1], codes.shape)
    table = table.expand(*shape, table.shape[-1])
    return table.gather(-1, codes.long().expand(shape)[..., None])[..., 0]


def draw_codes(log_probs: Tensor, sample_shape: Size) -> Tensor:
    """Codes drawn from log-probabilities, ``(..., L) -> (*sample_shape, ...)``, int64."""
    n, shape = sample_shape.numel(), log_probs.shape[:-1]
    probs = log_probs.exp().reshape(-1, log_probs.shape[-1])
    codes = torch.multinomial(probs, n, replacement=True)  # (N, n)
    return codes.T.reshape(*sample_shape, *shape)
