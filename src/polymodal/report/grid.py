"""A grid of pictures as one picture: traversals and factorisation grids at a glance."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np

from polymodal.report.pictures import data_address

GAP = 2
"""Pixels of white between pictures."""


def grid_array(pictures: np.ndarray) -> np.ndarray:
    """Pictures ``(rows, columns, C, H, W)`` in [0, 1] side by side: bytes ``(H', W', 3)``.

    Raises:
        ValueError: If they are no such pictures.
    """
    x = np.asarray(pictures, dtype=np.float64)
    if x.ndim != 5 or x.shape[2] not in (1, 3) or not x.size:
        raise ValueError(
            "a grid of pictures must be (rows, columns, 1 or 3, H, W), got "
            f"{tuple(np.shape(pictures))}."
        )
    n_rows, n_columns, channels, height, width = x.shape
    x = np.nan_to_num(x, nan=0.5).clip(0.0, 1.0)
    x = np.repeat(x, 3, axis=2) if channels == 1 else x
    whole = np.ones((3, n_rows * (height + GAP) - GAP, n_columns * (width + GAP) - GAP))
    for i in range(n_rows):
        for j in range(n_columns):
            top, left = i * (height + GAP), j * (width + GAP)
            whole[:, top : top + height, left : left + width] = x[i, j]
    return (whole * 255).round().astype(np.uint8).transpose(1, 2, 0)


def write_grid(pictures: np.ndarray, path: str | Path) -> Path:
    """Write a grid of pictures ``(rows, columns, C, H, W)`` to a PNG file."""
    from PIL import Image

    path = Path(path)
    Image.fromarray(np.ascontiguousarray(grid_array(pictures))).save(path, format="PNG")
    return path


def encode_grid(pictures: np.ndarray) -> str:
    """The grid as an address that stands in a page."""
    from PIL import Image

    kept = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(grid_array(pictures))).save(kept, format="PNG")
    return data_address(kept.getvalue())
