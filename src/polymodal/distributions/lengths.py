"""Texts of about one length read together: most are far shorter than the longest."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

_GROUPS = 4

Rows = Tensor | slice


def by_length(lengths: Tensor, read: Callable[[Rows], Tensor]) -> Tensor:
    """What is read of all rows, ``(N, ...)``, in their order.

    On processors rows of about one length are read at once, so that little of what stands behind
    an end is read; few rows, and those on an accelerator, are read all together.

    Arguments:
        lengths: Where each row ends, ``(N,)``.
        read: Reads some of the rows: places among them, or a slice, to one entry a row.
    """
    if len(lengths) < 4 * _GROUPS or lengths.device.type != "cpu":
        return read(slice(None))
    order = lengths.argsort(stable=True)
    return torch.cat([read(rows) for rows in order.chunk(_GROUPS)])[order.argsort()]
