"""Randomness is borrowed, then given back: the library never seeds the process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

_MIX = 0x9E3779B97F4A7C15
_MASK = (1 << 63) - 1


def derive_seed(*parts: int) -> int:
    """One seed from several integers (seed, epoch, step, row id...), the same on every machine.

    A splitmix64 round an integer: neighbouring inputs give unrelated seeds, which plain addition
    does not (``seed=1, step=2`` must differ from ``seed=2, step=1``).

    Example:
        >>> derive_seed(1, 2) != derive_seed(2, 1)
        True
    """
    state = 0
    for part in parts:
        state = (state ^ (part & 0xFFFFFFFFFFFFFFFF)) + _MIX & 0xFFFFFFFFFFFFFFFF
        state = (state ^ state >> 30) * 0xBF58476D1CE4E5B9 & 0xFFFFFFFFFFFFFFFF
        state = (state ^ state >> 27) * 0x94D049BB133111EB & 0xFFFFFFFFFFFFFFFF
        state ^= state >> 31
    return state & _MASK


@contextmanager
def seeded(seed: int | None) -> Iterator[None]:
    """Draws inside depend on ``seed`` only; the caller's random state is left as it was.

    Arguments:
        seed: The seed, or None to draw from the caller's random state as usual.
    """
    if seed is None:
        yield
        return
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        yield
