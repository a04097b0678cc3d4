"""Positive numbers to be learned: ``floor + softplus(offset + rate * raw)``, raw starting at zero.

An adaptive optimiser moves every raw number by about its learning rate a step, whatever the
gradient's size. A decoder has thousands of weights that act together; a scale is one number and
would lag behind. ``rate`` makes it that many times faster.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

RATE = 10.0


def inverse_softplus(value: float) -> float:
    """The x with ``log(1 + e^x) = value``."""
    return value + math.log(-math.expm1(-value))


class LearnedScale(nn.Module):
    """Positive numbers of a given shape, never below the floor.

    Arguments:
        shape: Their shape; ``()`` for one.
        initial: Where they start.
        floor: What they stay above.
        rate: How many times faster than a bare parameter they move.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        *,
        initial: float = 1.0,
        floor: float = 1e-3,
        rate: float = RATE,
    ) -> None:
        super().__init__()
        if not 0 <= floor < initial < math.inf:
            raise ValueError(
                f"A scale needs 0 <= floor < initial, got floor={floor}, initial={initial}."
            )
        if not 0 < rate < math.inf:
            raise ValueError(f"A scale's rate must be positive, got {rate}.")
        self.floor, self.rate = floor, rate
        self.offset = inverse_softplus(initial - floor)
        self.raw = nn.Parameter(torch.zeros(shape))

    def forward(self) -> Tensor:
        """The numbers, of the given shape."""
        return self.floor + functional.softplus(self.offset + self.rate * self.raw)
