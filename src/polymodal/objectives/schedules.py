r"""Weights that change with the optimiser step: ``schedule(step) -> float``.

Any callable of an int is a schedule where you put an objective together yourself, a plain lambda
too. These three are the ones that papers use, and all that ``MultimodalModel`` takes: its files
hold no code. They have no state, so a resumed run sees the very weights of the run that never
stopped.

References:
    Warm-up: Sonderby, Raiko, Maaloe, Sonderby & Winther, "Ladder Variational Autoencoders", 2016,
    https://arxiv.org/abs/1602.02282.
    Cycles: Fu, Li, Liu, Gao, Celikyilmaz & Carin, "Cyclical Annealing Schedule: A Simple Approach
    to Mitigating KL Vanishing", 2019, https://arxiv.org/abs/1903.10145.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from numbers import Real
from typing import Protocol


class Schedule(Protocol):
    """What objectives ask for: the weight at optimiser step ``step`` (0 is the first)."""

    def __call__(self, step: int) -> float:
        """The weight at ``step``."""
        ...


def _check(owner: str, name: str, value: object, least: float, hint: str = "") -> None:
    """Hold a number of a schedule to the bounds of a weight that is no schedule.

    Raises:
        ValueError: If it is none, not finite or too low.
    """
    number = isinstance(value, Real) and not isinstance(value, bool)
    if not number or not least <= value <= sys.float_info.max:  # pyright: ignore[reportOperatorIssue]
        raise ValueError(
            f"{owner}: {name} must be a finite number of at least {least:g}, got {value!r}.{hint}"
        )


@dataclass(frozen=True)
class Constant:
    """The same weight at every step."""

    value: float = 1.0

    def __post_init__(self) -> None:
        _check("Constant", "value", self.value, 0)

    def __call__(self, step: int) -> float:
        """The weight at ``step``."""
        return self.value


@dataclass(frozen=True)
class LinearWarmup:
    """A weight that rises from 0 to ``top`` over ``steps`` optimiser steps, then stays.

    Example:
        >>> LinearWarmup(steps=10)(5)
        0.5
    """

    steps: int
    top: float = 1.0

    def __post_init__(self) -> None:
        _check("LinearWarmup", "steps", self.steps, 1, " For no warm-up use Constant.")
        _check("LinearWarmup", "top", self.top, 0)

    def __call__(self, step: int) -> float:
        """The weight at ``step``."""
        return self.top * min(1.0, step / self.steps)


@dataclass(frozen=True)
class Cyclic:
    """Every ``period`` steps: a linear rise from 0 to ``top`` in the first ``ramp``, then flat.

    Arguments:
        period: Length of one cycle in optimiser steps.
        ramp: Share of the cycle that rises, in (0, 1].
        top: The weight on the flat part.

    Example:
        >>> [Cyclic(period=4, ramp=0.5)(step) for step in range(5)]
        [0.0, 0.5, 1.0, 1.0, 0.0]
    """

    period: int
    ramp: float = 0.5
    top: float = 1.0

    def __post_init__(self) -> None:
        _check("Cyclic", "period", self.period, 1)
        _check("Cyclic", "ramp", self.ramp, 0)
        if not 0.0 < self.ramp <= 1.0:
            raise ValueError(f"Cyclic: ramp is a share of the period in (0, 1], got {self.ramp}.")
        _check("Cyclic", "top", self.top, 0)

    def __call__(self, step: int) -> float:
        """The weight at ``step``."""
        return self.top * min(1.0, step % self.period / (self.ramp * self.period))
