"""Pictures of many files as one array of uint8."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from polymodal.data.images import fit_image, open_image

if TYPE_CHECKING:
    from PIL.Image import Image

Crop = int | Literal["square"] | None
"""The middle of a picture that is kept: so many pixels a side, the largest square, or all."""


def read_pictures(
    paths: Sequence[Path], size: tuple[int, int] | None, crop: Crop = None
) -> np.ndarray:
    """RGB pictures, cropped in the middle, then scaled (Lanczos).

    Arguments:
        paths: N files; a file that stands several times in a row is read once.
        size: (height, width) of what is returned. None takes that of the first picture, and the
            others must have it already.
        crop: What is kept of each.

    Returns:
        uint8 (N, 3, height, width).

    Raises:
        ValueError: If a file is no picture, too small for the crop, or of another size than the
            first where no size is given; names the file.
    """
    pictures = np.empty((0,), dtype=np.uint8)
    before = None
    for row, path in enumerate(paths):
        if path == before:
            pictures[row] = pictures[row - 1]
            continue
        before = path
        image = _middle(path, crop)
        found = (image.height, image.width)
        if row == 0:
            pictures = np.empty((len(paths), 3, *(size or found)), dtype=np.uint8)
        if size is None and found != pictures.shape[2:]:
            raise ValueError(
                f"{path}: expected a picture of {pictures.shape[2:]} (height, width) like the "
                f"first, got {found}."
            )
        try:
            fitted = fit_image(image, "RGB", size or found, None)
        except ValueError as fault:
            raise ValueError(f"{path}: {fault}.") from None
        pictures[row] = np.asarray(fitted).transpose(2, 0, 1)
    return pictures


def _middle(path: Path, crop: Crop) -> Image:
    from PIL import Image as Pil

    try:
        with open_image(path, None) as opened:  # type: ignore[union-attr]
            image = opened.copy()
    except (OSError, ValueError, SyntaxError, Pil.DecompressionBombError) as fault:
        raise ValueError(f"{path}: the picture can not be read ({fault}).") from None
    if crop is None:
        return image
    side = min(image.size) if crop == "square" else crop
    if side > min(image.size):
        raise ValueError(
            f"{path}: a crop of {side} pixels does not fit into a picture of {image.size} "
            "(width, height); choose a smaller crop."
        )
    left, top = (image.width - side) // 2, (image.height - side) // 2
    return image.crop((left, top, left + side, top + side))
