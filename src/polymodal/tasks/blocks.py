"""Which latent numbers all modalities share, and which are one modality's own."""

from __future__ import annotations

from torch import Tensor

from polymodal.latent import LatentLayout
from polymodal.model import LatentModel

SHARED, ALL = "shared", "all"


def block_of(model: LatentModel, dimension: int) -> str:
    """Who reads a latent number: ``"shared"``, one modality, or ``""`` where nobody says."""
    layout = getattr(model, "layout", None)
    if not isinstance(layout, LatentLayout):
        return ""
    if dimension < layout.shared:
        return SHARED
    return list(layout.private)[int(layout.owner[dimension - layout.shared])]


def numbers_of(model: LatentModel, block: str, size: int) -> list[int]:
    """The latent numbers of a block, out of ``size``.

    Raises:
        ValueError: If there are none.
    """
    owners = [block_of(model, dimension) for dimension in range(size)]
    found = [dimension for dimension, owner in enumerate(owners) if owner == block]
    if not found:
        known = ", ".join(filter(None, dict.fromkeys(owners)))
        raise ValueError(
            f"no latent number is of the block {block!r}; there are "
            f"{known or 'no blocks in this model'}."
        )
    return found


def read_by(model: LatentModel, z: Tensor, block: str) -> Tensor:
    """The latent numbers of a block, ``(..., D)`` -> ``(..., d)``.

    ``"all"`` gives all, and so does ``"shared"`` where nobody shares any.

    Raises:
        ValueError: If the model has no such block.
    """
    size = z.shape[-1]
    if block == ALL or (block == SHARED and size and block_of(model, 0) != SHARED):
        return z
    return z[..., numbers_of(model, block, size)]
