"""The latent layout: shared and private blocks, and who reads which.

A latent vector is ``[shared | private_1 | ... | private_M]``. Modality m is decoded from
``[shared | private_m]``.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn


class LatentLayout(nn.Module):
    """Sizes of the shared block and of each modality's private block.

    A module only so that its index tensors follow the model to its device; it has no parameters.

    Arguments:
        shared: Size of the block that every modality reads; 0 where each has its own alone.
        private: Modality name -> size of the block that it alone reads, in the model's order.
    """

    def __init__(self, shared: int, private: Mapping[str, int]) -> None:
        super().__init__()
        sizes = (shared, *private.values())
        if any(size < 0 for size in sizes) or (shared == 0 and 0 in sizes[1:]):
            raise ValueError(
                "LatentLayout: sizes must be at least 0 and every modality must have something to "
                f"read, got shared={shared}, private={dict(private)}."
            )
        self.shared = shared
        self.private = dict(private)
        self.private_dim = sum(private.values())
        self.dim = shared + self.private_dim
        starts, at = {}, shared
        for name, size in private.items():
            starts[name] = at
            at += size
        self._starts = starts
        owner = [m for m, size in enumerate(private.values()) for _ in range(size)]
        self.owner: Tensor
        self.register_buffer("owner", torch.tensor(owner, dtype=torch.long), persistent=False)

    def dim_of(self, name: str) -> int:
        """How many numbers the decoder of a modality reads."""
        return self.shared + self.private[name]

    def select(self, z: Tensor, name: str) -> Tensor:
        """What the decoder of a modality reads: ``(..., D)`` -> ``(..., shared + private)``."""
        if self.private_dim == 0:
            return z
        start = self._starts[name]
        own = z[..., start : start + self.private[name]]
        return torch.cat([z[..., : self.shared], own], -1)

    def private_on(self, on: Tensor) -> Tensor:
        """Presence of each private dimension's owner: ``(M, ..., B)`` -> ``(..., B, W)``."""
        return on[self.owner].movedim(0, -1)

    def informed(self, on: Tensor) -> Tensor:
        """Whether something present tells of a dimension: ``(M, ..., B)`` -> ``(..., B, D)``."""
        some = on.any(0).unsqueeze(-1)
        return torch.cat([some.expand(*some.shape[:-1], self.shared), self.private_on(on)], -1)
