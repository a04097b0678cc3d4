"""What the laws of posteriors, objectives and recipes share: spoilt batches and comparisons."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from polymodal.typing import Batch, Present, as_cells

FILLINGS = (0.0, 3.5, -1e30, math.inf, math.nan)
"""What stands in for a value that is not there; for integers, the first two and extremes."""


def filled(x: Batch, present: Present, value: float) -> dict[str, Tensor]:
    """The batch with everything under a false mask replaced by a value."""
    out = {}
    for name, values in x.items():
        mask = present[name]
        mask = as_cells(mask, values)
        if values.is_floating_point():
            filling = torch.tensor(value, dtype=values.dtype)
        else:
            filling = torch.tensor(int(value) % 1000 if math.isfinite(value) else -(2**31))
        out[name] = torch.where(mask, values, filling.to(values.dtype))
    return out


def one_row(x: Batch, present: Present, row: int) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """A batch of one of the rows."""
    one = slice(row, row + 1)
    return {n: v[one] for n, v in x.items()}, {n: v[one] for n, v in present.items()}


def same(one: Tensor, other: Tensor, message: str) -> None:
    """Raise an AssertionError unless two tensors are equal to the bit, without NaN."""
    torch.testing.assert_close(
        one, other, rtol=0, atol=0, equal_nan=False, msg=lambda found: f"{message} {found}"
    )


def require(holds: bool, message: str) -> None:
    """Raise an AssertionError with a message unless something holds."""
    if not holds:
        raise AssertionError(message)
