"""What a likelihood returns: p(x_m | z) over one modality, one value a row, in nats.

``log p(x | z) = sum over the cells that are there of log p(x_p | z)``. A value under a false mask
is replaced before any arithmetic, so that not even NaN times zero reaches a loss or a gradient.
"""

from __future__ import annotations

import abc
from typing import ClassVar

import torch
from torch import Size, Tensor
from torch.distributions import Distribution


class Observed(Distribution, abc.ABC):
    """A distribution over the values of one modality.

    ``batch_shape`` is the leading shape ``(..., B)`` of the parameters, ``event_shape`` that of
    one row's value. Children fill ``_log_prob``, ``_draw``, ``mode`` and ``statistics``.

    Arguments:
        batch_shape: Leading shape ``(..., B)``.
        event_shape: Shape of one value.
    """

    arg_constraints: ClassVar[dict] = {}
    averages: ClassVar[bool] = True
    """Whether ``statistics`` may be averaged over z; if not, use ``mode`` at one z."""

    def __init__(self, batch_shape: Size | tuple[int, ...], event_shape: tuple[int, ...]) -> None:
        super().__init__(Size(batch_shape), Size(event_shape), validate_args=False)

    def log_prob(self, value: Tensor, cells: Tensor | None = None) -> Tensor:
        """Log-density or log-probability in nats, ``(..., B)``.

        Arguments:
            value: ``(B, *event_shape)``; broadcasts over leading sample axes of the parameters.
            cells: What is there, bool: ``(B, *event_shape)`` for cells, ``(B,)`` for whole rows.
                Values that are not there may be anything, NaN too; they count zero.
        """
        n = len(self.event_shape)
        if value.shape[value.ndim - n :] != self.event_shape:
            raise ValueError(
                f"{type(self).__name__}: a value must have shape (..., "
                f"{', '.join(map(str, self.event_shape))}), got {tuple(value.shape)}."
            )
        if cells is None:
            return self._log_prob(value, None)
        if cells.ndim == 1:
            there = cells.reshape(-1, *(1,) * n)
            total = self._log_prob(torch.where(there, value, 0), None)
            return torch.where(cells, total, 0)
        if cells.shape[cells.ndim - n :] != self.event_shape:
            raise ValueError(
                f"{type(self).__name__}: cells must have shape (B,) or (B, "
                f"{', '.join(map(str, self.event_shape))}), got {tuple(cells.shape)}."
            )
        return self._log_prob(torch.where(cells, value, 0), cells)

    @torch.no_grad()
    def sample(self, sample_shape: Size | tuple[int, ...] = ()) -> Tensor:
        """Independent draws, ``(*sample_shape, ..., B, *event_shape)``."""
        return self._draw(Size(sample_shape))

    @property
    @abc.abstractmethod
    def mode(self) -> Tensor:
        """The most likely value of each row, ``(..., B, *event_shape)``."""

    @property
    def median(self) -> Tensor:
        """The smallest value that each cell does not exceed with probability 1/2 or more.

        Of shape ``(..., B, *event_shape)``. Categories without an order and texts have no median:
        theirs is the mode, as it is wherever a child does not say otherwise.
        """
        return self.mode

    @property
    @abc.abstractmethod
    def statistics(self) -> Tensor:
        """Expectations, ``(..., B, Q)``: means of numbers, probabilities of categories."""

    @abc.abstractmethod
    def _log_prob(self, value: Tensor, cells: Tensor | None) -> Tensor:
        """As ``log_prob``; values under a false mask are already replaced by zero."""

    @abc.abstractmethod
    def _draw(self, sample_shape: Size) -> Tensor: ...


def sum_event(x: Tensor, n: int) -> Tensor:
    """Sum over the last ``n`` axes, ``(..., *event) -> (...)``."""
    return x.sum(tuple(range(-n, 0))) if n else x
