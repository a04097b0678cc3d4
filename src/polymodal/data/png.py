"""Pictures as the bytes of a PNG, for columns and files that hold bytes."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from polymodal.data.names import Raw

if TYPE_CHECKING:
    from PIL.Image import Image


def png_bytes(value: Raw, base: Path | None = None) -> bytes:
    """The picture as the bytes of a PNG (bytes of a picture, and files, stay as they are).

    Arguments:
        value: A PIL image, an array of pixels, bytes, a mapping with ``bytes`` or ``path``, or
            the name of a file.
        base: The folder that names of files are relative to.
    """
    if isinstance(value, Mapping):  # as Hugging Face keeps pictures
        value = value["path"] if value.get("bytes") is None else value["bytes"]
    if isinstance(value, bytes | bytearray):
        return bytes(value)
    if isinstance(value, str | Path):
        return ((base or Path()) / value).read_bytes()
    out = io.BytesIO()
    (_picture(value) if isinstance(value, np.ndarray) else value).save(out, format="PNG")
    return out.getvalue()


def as_bytes_like(cells: np.ndarray, new: np.ndarray, before: Raw) -> np.ndarray:
    """New pictures as PNG bytes, where the column held bytes or mappings with bytes.

    Arguments:
        cells: The column's cells, (N,) objects.
        new: Which of them are new, bool (N,).
        before: The column as it was.
    """
    sample = next((one for one in before if isinstance(one, bytes | bytearray | Mapping)), None)
    if sample is None:
        return cells
    cells = cells.copy()
    for row in np.flatnonzero(new):
        if cells[row] is not None:
            data = png_bytes(cells[row])
            mapped = isinstance(sample, Mapping)
            cells[row] = {**dict.fromkeys(sample), "bytes": data} if mapped else data
    return cells


def _picture(pixels: np.ndarray) -> Image:
    """An array of pixels, channels first or last, bytes or in [0, 1], as a PIL image."""
    from PIL import Image

    if pixels.ndim == 3 and pixels.shape[0] in (1, 3) and pixels.shape[-1] not in (1, 3):
        pixels = pixels.transpose(1, 2, 0)
    if pixels.ndim == 3 and pixels.shape[-1] == 1:
        pixels = pixels[..., 0]
    if pixels.dtype != np.uint8:
        pixels = (np.nan_to_num(pixels).clip(0, 1) * 255).round().astype(np.uint8)
    return Image.fromarray(np.ascontiguousarray(pixels))
