"""Measures are the same where they do the same with the same, on any day, and only there."""

from __future__ import annotations

import dataclasses
import itertools
import os
import subprocess
import sys
from collections.abc import Callable
from functools import cached_property, partial
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from polymodal.comparison.identity import identify, say_difference


def compiled(source: str) -> Callable[..., Any]:
    """A function ``f``, as another version of a file would define it."""
    held: dict[str, Any] = {"__name__": "file"}
    exec(compile(source, "file.py", "exec"), held)
    return held["f"]


class Threshold:
    """A callable object with a setting, a cache and a helper."""

    def __init__(self, at: float) -> None:
        self.at = at
        self._calls = 0

    @cached_property
    def twice(self) -> float:
        """Worked out once."""
        return 2 * self.at

    def __call__(self, _model: object, _exam: object) -> float:
        self._calls += 1
        return self.method(self.twice, None)

    def method(self, model: object, exam: object) -> Any:
        return model, exam


@dataclasses.dataclass(frozen=True, slots=True)
class Held:
    """A setting in a slot."""

    at: float

    def __call__(self, _model: object, _exam: object) -> float:
        return self.at


def measure(model: object, _exam: object, at: object = None) -> object:
    return model, at


def factory(at: object) -> Callable[..., Any]:
    return lambda model, _exam: (model, at)


def recursive(n: int) -> Callable[..., Any]:
    def inner(model: object, exam: object) -> Any:
        return inner(model, exam) if n else held

    held: list[Any] = []
    held.append(held)
    return inner


ALIKE = {
    "function": lambda: measure,
    "again": lambda: compiled("def f(m, e):\n    return m + 1\n"),
    "partial": lambda: partial(measure, at={"b": 1, "a": {"x", "y", "z"}}),
    "factory": lambda: factory((1, [2.0, None])),
    "recursive": lambda: recursive(1),
    "tensor": lambda: factory(torch.arange(3.0).bfloat16()),
    "array": lambda: factory(np.array([["a", None]], dtype=object)),
    "frame": lambda: factory(pd.DataFrame({"a": [1.0, np.nan], "b": ["x", None]})),
    "object": lambda: Threshold(0.5),
    "bound": lambda: Threshold(0.5).method,
    "slots": lambda: Held(0.5),
    "network": lambda: factory(torch.nn.Linear(2, 1).requires_grad_(False).apply(_ones)),
    "builtin": lambda: max,
}


def _ones(layer: torch.nn.Linear) -> None:
    layer.weight.fill_(1.0)
    layer.bias.fill_(1.0)


@pytest.mark.parametrize("name", ALIKE)
def test_what_is_made_anew_is_the_same(name: str) -> None:
    one, two = ALIKE[name](), ALIKE[name]()
    assert identify([one]) == identify([two])
    if name == "object":
        one(1, 1)
        assert identify([one]) == identify([two])


HELPED = """
class C:
    def __call__(self, m, e):
        return self.helper(m)
    def helper(self, m):
        return m + {n}
f = C()
"""

OTHER = {
    "code": (lambda: compiled("def f(m, e): return m + 1"), "def f(m, e): return m + 2"),
    "attribute": (lambda: compiled("def f(m, e): return m.a"), "def f(m, e): return m.b"),
    "argument": (lambda: compiled("def f(m, e): return m"), "def f(m, e): return e"),
    "inner": (
        lambda: compiled("def f(m, e): return [i + 1 for i in m]"),
        "def f(m, e): return [i + 2 for i in m]",
    ),
    "default": (lambda: compiled("def f(m, e, k=1): return k"), "def f(m, e, k=2): return k"),
    "type": (lambda: compiled("def f(m, e, k=1): return k"), "def f(m, e, k=True): return k"),
    "partial": (lambda: partial(measure, at=1), lambda: partial(measure, at=2)),
    "factory": (lambda: factory(1), lambda: factory(2)),
    "lambda": (lambda: lambda _m, _e: 1, lambda: lambda _m, _e: 2),
    "tensor": (lambda: factory(torch.zeros(2)), lambda: factory(torch.zeros(1, 2))),
    "frame": (lambda: factory(pd.Series(["a"])), lambda: factory(pd.Series(["b"]))),
    "object": (lambda: Threshold(0.5), lambda: Threshold(0.6)),
    "bound": (lambda: Threshold(0.5).method, lambda: Threshold(0.6).method),
    "helper": (lambda: compiled(HELPED.format(n=1)), HELPED.format(n=2)),
    "slots": (lambda: Held(0.5), lambda: Held(0.6)),
    "network": (
        lambda: factory(torch.nn.Linear(2, 1).requires_grad_(False).apply(_ones)),
        lambda: factory(torch.nn.Linear(2, 1)),
    ),
}


@pytest.mark.parametrize("name", OTHER)
def test_what_does_or_holds_another_thing_is_another(name: str) -> None:
    make, other = OTHER[name]
    changed = compiled(other) if isinstance(other, str) else other()
    assert identify([make()])[0]["fingerprint"] != identify([changed])[0]["fingerprint"]


def test_comments_and_what_is_said_of_a_function_do_not_matter() -> None:
    plain = compiled('def f(m, e):\n    """One."""\n    return m + 1\n')
    moved = compiled('\n\n# why\ndef f(m, e):\n    """Two."""\n    # not\n    return (m + 1)\n')
    assert identify([plain]) == identify([moved])


def test_another_process_says_the_same() -> None:
    """Whatever the order of sets and the addresses of objects are there."""
    code = (
        "from tests.comparison.test_identity import ALIKE\n"
        "from polymodal.comparison.identity import identify\n"
        "print([identify([make()]) for make in ALIKE.values()])"
    )
    said = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONHASHSEED": "1"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert said == f"{[identify([make()]) for make in ALIKE.values()]}\n"


def test_the_order_of_measures_does_not_matter() -> None:
    three = [measure, Threshold(0.5), factory(1)]
    said = [identify(order) for order in itertools.permutations(three)]
    assert all(one == said[0] for one in said)


def test_what_is_said_of_a_difference() -> None:
    now = identify([measure])
    name = f"{__name__}.measure"
    changed = [{**now[0], "fingerprint": "0"}]
    elsewhere = [{**changed[0], "compiler": "cpython-27"}]
    assert say_difference(now, now) is None
    assert say_difference(1, now) is None
    assert say_difference(0, []) is None
    assert say_difference(elsewhere, now) is None
    assert say_difference(2, now) == "measures=2, now 1"
    assert say_difference(now, []) == f"measures={name}, now none"
    assert say_difference([], now) == f"measures=none, now {name}"
    assert say_difference(changed, now) == (
        f"the measure {name}, whose code, or what it holds, is another now"
    )
