from __future__ import annotations

import inspect
import math

import pytest
import torch

from polymodal.metrics import METRICS, metric


def test_every_metric_says_what_it_is() -> None:
    assert {"rmse", "mae", "r2", "error_rate", "brier", "crps", "coverage"} <= set(METRICS)
    for name, entry in METRICS.items():
        assert entry.name == name == entry.function.__name__
        assert entry.bounds[0] < entry.bounds[1]
        assert entry.summary.endswith(".") or ":" in entry.summary or ";" in entry.summary
        assert entry.baseline


def test_a_name_is_taken_once() -> None:
    def rmse(x: torch.Tensor) -> torch.Tensor:
        return x

    with pytest.raises(ValueError, match="registered twice"):
        metric(better="lower", bounds=(0, math.inf), baseline="none")(rmse)


@pytest.mark.parametrize("name", ["rmse", "mae", "accuracy", "total_variation", "error_rate"])
def test_a_pair_of_other_shapes_is_refused_however_it_is_passed(name: str) -> None:
    function = METRICS[name].function
    first, second = list(inspect.signature(function).parameters)[:2]
    a, b = torch.zeros(4), torch.zeros(4, 1)
    said = rf"{first} has shape \(4,\), {second} \(4, 1\); both must have the same"
    for call in (
        lambda: function(a, b),
        lambda: function(a, **{second: b}),
        lambda: function(**{first: a, second: b}),
    ):
        with pytest.raises(ValueError, match=said):
            call()
    assert function(a, **{second: a}).equal(function(a, a))


def test_bounds_and_direction_are_checked() -> None:
    def never_registered(x: torch.Tensor) -> torch.Tensor:
        return x

    with pytest.raises(ValueError, match="bounds"):
        metric(better="lower", bounds=(1, 0), baseline="none")(never_registered)
    with pytest.raises(ValueError, match="higher or lower"):
        metric(better="more", bounds=(0, 1), baseline="none")(never_registered)  # type: ignore[arg-type]
    assert "never_registered" not in METRICS
