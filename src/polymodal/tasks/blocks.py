"""Which latent numbers all modalities share, and which are one modality's own."""

from __future__ import annotations

from polymodal.latent import LatentLayout
from polymodal.model import LatentModel

SHARED, ALL = "shared", "all"


def layout_told(model: LatentModel) -> LatentLayout | None:
    """Who reads what; None where the model does not say."""
    layout = getattr(model, "layout", None)
    return layout if isinstance(layout, LatentLayout) else None


def block_of(model: LatentModel, dimension: int) -> str:
    """Who reads a latent number: ``"shared"``, one modality, or ``""`` where nobody says."""
    layout = layout_told(model)
    if layout is None:
        return ""
    if dimension < layout.shared:
        return SHARED
    return list(layout.private)[int(layout.owner[dimension - layout.shared])]


def numbers_of(model: LatentModel, block: str) -> list[int] | None:
    """Which latent numbers a block has, None for all.

    ``"all"`` are all, and so is ``"shared"`` where the model has no such block. A modality that
    has one of these names has no block by its name.

    Raises:
        ValueError: If the model has no such block.
    """
    layout = layout_told(model)
    if block == ALL or (block == SHARED and (layout is None or not layout.shared)):
        return None
    known: list[str] = []
    if layout is not None:
        if block == SHARED:
            return list(range(layout.shared))
        known = [name for name, size in layout.private.items() if size]
        if block in known:
            mine = layout.owner == list(layout.private).index(block)
            return (mine.nonzero()[:, 0] + layout.shared).tolist()
        known = [SHARED, *known] if layout.shared else known
    raise ValueError(
        f"no latent number is of the block {block!r}; there are {', '.join([*known, ALL])}."
    )
