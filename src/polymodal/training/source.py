"""What training asks of data, and the way of a batch to the device."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import torch
from torch import Tensor

from polymodal.typing import Batch, Present


class Source(Protocol):
    """Rows that can be gathered by index, a whole batch at a time."""

    def __len__(self) -> int:
        """Number of rows."""
        ...

    def gather(self, index: Tensor) -> tuple[Batch, Present]:
        """Values and presence of the rows ``index``, int64 ``(B,)`` on the CPU, in that order."""
        ...


def to_device(tensors: Mapping[str, Tensor], device: torch.device) -> dict[str, Tensor]:
    """The tensors on ``device``; images channels last on CUDA, where convolutions like that."""
    moved = {}
    for name, tensor in tensors.items():
        moved[name] = tensor.to(device, non_blocking=True)
        if device.type == "cuda" and tensor.ndim == 4:
            moved[name] = moved[name].contiguous(memory_format=torch.channels_last)
    return moved
