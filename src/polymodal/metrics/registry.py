"""The registry of metrics: frozen facts that the report, the docs and the tests read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeVar

from torch import Tensor

Function = TypeVar("Function", bound=Callable[..., Tensor])


@dataclass(frozen=True)
class MetricEntry:
    """What a reader has to know to understand a metric's number.

    Arguments:
        name: The key, the function's name.
        function: A pure function of tensors.
        better: Which direction is better.
        bounds: The least and the greatest value.
        baseline: What one gets without any skill, in words.
    """

    name: str
    function: Callable[..., Tensor]
    better: Literal["higher", "lower"]
    bounds: tuple[float, float]
    baseline: str

    @property
    def summary(self) -> str:
        """The first line of the function's docstring."""
        return (self.function.__doc__ or "").partition("\n")[0]


METRICS: dict[str, MetricEntry] = {}


def metric(
    *, better: Literal["higher", "lower"], bounds: tuple[float, float], baseline: str
) -> Callable[[Function], Function]:
    """Register a function as the metric of its name.

    Raises:
        ValueError: If the name is taken, the direction unknown or the bounds are not in order.
    """

    def add(function: Function) -> Function:
        name = function.__name__
        if name in METRICS:
            raise ValueError(f"metric {name!r} is registered twice.")
        if better not in ("higher", "lower"):
            raise ValueError(f"metric {name!r}: better must be higher or lower, got {better!r}.")
        if not bounds[0] < bounds[1]:
            raise ValueError(f"metric {name!r}: bounds must be (least, greatest), got {bounds}.")
        METRICS[name] = MetricEntry(name, function, better, bounds, baseline)
        return function

    return add
