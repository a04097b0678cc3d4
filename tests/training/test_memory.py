"""A run keeps the memory that its steps free, and gives it back when it ends."""

from __future__ import annotations

import json

import pytest
import torch
from tests.training.test_fit import run_program

from polymodal.training import memory
from polymodal.training.memory import kept_memory

CPU = torch.device("cpu")


def test_pages_are_kept_inside_and_given_back_after() -> None:
    # Where the system laid a library right behind the heap, glibc cannot shrink it: another try.
    for _ in range(10):
        told = json.loads(run_program("tests/training/kept_pages.py").splitlines()[-1])
        if not told["held"]:
            pytest.skip("another allocator than glibc's, or rules of the environment")
        assert max(told["inside"]) < told["outside"] / 4
        if told["grown"] < 20_000_000:
            break
    assert told["grown"] < 20_000_000
    assert told["after"] > told["outside"] / 2


def test_rules_come_back_after_an_error() -> None:
    with pytest.raises(KeyError), kept_memory(CPU):
        raise KeyError
    assert memory._held == 0


def test_nothing_is_touched_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    with kept_memory(torch.device("cuda")) as held:
        assert not held
    monkeypatch.setenv("MALLOC_TOP_PAD_", "4096")
    with kept_memory(CPU) as held:
        assert not held
    monkeypatch.delenv("MALLOC_TOP_PAD_")
    monkeypatch.setattr(memory.sys, "platform", "darwin")
    with kept_memory(CPU) as held:
        assert not held
