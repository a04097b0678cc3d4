"""How long and in what batches to train when nobody says: a plan from the number of rows."""

from __future__ import annotations

import math

USUAL_STEPS = 6000
MOST_EPOCHS = 400
FEWEST_EPOCHS = 20


def usual_batch_size(n_rows: int) -> int:
    """Small data need the many steps of small batches, large data the speed of large ones."""
    if n_rows < 500:
        return 32
    if n_rows < 10_000:
        return 64
    return 128 if n_rows < 100_000 else 256


def usual_epochs(n_rows: int, batch_size: int) -> int:
    """Epochs that make up the usual number of optimiser steps, within limits.

    Example:
        >>> usual_epochs(1600, 64)
        240
    """
    steps = math.ceil(n_rows / batch_size)
    return min(MOST_EPOCHS, max(FEWEST_EPOCHS, round(USUAL_STEPS / steps)))
