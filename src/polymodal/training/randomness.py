"""Draws of a run: borrowed from the process, seeded anew at every step, given back at the end.

A step's draws depend on (seed, step, rank) only, so a checkpoint needs no generator's state.
"""

from __future__ import annotations

from contextlib import AbstractContextManager

import torch


def borrowed_draws(device: torch.device) -> AbstractContextManager[None]:
    """The caller's random state comes back on leaving, by whatever road."""
    return torch.random.fork_rng(devices=[_number(device)] if device.type == "cuda" else [])


def reseed(seed: int, device: torch.device) -> None:
    """Seed the generators of the CPU and of ``device``; only inside `borrowed_draws`.

    ``torch.manual_seed`` does the same for every device there is, and formats a stack trace each
    time where CUDA was never started, which costs more than a small model's step.
    """
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        torch.cuda.default_generators[_number(device)].manual_seed(seed)


def _number(device: torch.device) -> int:
    return torch.cuda.current_device() if device.index is None else device.index
