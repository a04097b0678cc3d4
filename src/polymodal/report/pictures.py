"""Pixels as text: arrays and figures -> PNG -> ``data:`` addresses that stand in the page."""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LARGEST_SIDE = 96
"""Pixels a side above which a picture of the data is shrunk."""

_COLD, _MID, _WARM = (
    np.array(c, dtype=np.float64) for c in ((38, 84, 156), (247, 247, 245), (176, 42, 48))
)


def data_address(png: bytes) -> str:
    """``data:image/png;base64,...``."""
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")


def encode_image(image: np.ndarray) -> str:
    """An image ``(C, H, W)`` in [0, 1] as the address of a PNG, shrunk if large."""
    from PIL import Image

    pixels = np.nan_to_num(np.asarray(image, dtype=np.float64), nan=0.5).clip(0.0, 1.0)
    pixels = (pixels * 255).round().astype(np.uint8)
    if pixels.shape[0] == 1:
        picture = Image.fromarray(pixels[0])
    else:
        picture = Image.fromarray(np.ascontiguousarray(pixels[:3].transpose(1, 2, 0)))
    if max(picture.size) > LARGEST_SIDE:
        picture.thumbnail((LARGEST_SIDE, LARGEST_SIDE))
    return _address(picture)


def strip_width(size: int) -> int:
    """How many numbers a line of a heat strip has.

    Long vectors are folded near a square, where their size has such a divisor: some are pictures.

    Example:
        >>> strip_width(240), strip_width(47), strip_width(471)
        (15, 32, 32)
    """
    root = int(size**0.5)
    near = [width for width in range(root, root // 2, -1) if size % width == 0]
    return near[0] if size >= 100 and near else min(32, max(1, size))


def encode_strip(values: np.ndarray) -> str:
    """Standardised numbers ``(P,)`` as a heat strip: blue below, white at, red above the mean.

    Long vectors are folded into lines; NaN is grey.
    """
    values = np.asarray(values, dtype=np.float64).ravel()
    width = strip_width(len(values))
    lines = -(-len(values) // width)
    padded = np.full(lines * width, np.nan)
    padded[: len(values)] = values
    return _heat(padded.reshape(lines, width))


def encode_lines(values: np.ndarray) -> str:
    """Standardised numbers ``(lines, columns)`` as such a strip, a line tall enough to be seen."""
    return _heat(np.repeat(np.asarray(values, dtype=np.float64), max(1, 6 // len(values)), axis=0))


def _heat(values: np.ndarray) -> str:
    from PIL import Image

    share = np.tanh(np.nan_to_num(values, nan=0.0) / 1.5)[..., None]
    colours = np.where(share < 0, _MID + (_MID - _COLD) * share, _MID + (_WARM - _MID) * share)
    colours[np.isnan(values)] = 200.0
    return _address(Image.fromarray(colours.round().astype(np.uint8)))


def encode_mask(present: np.ndarray) -> str:
    """Presence ``(rows, columns)`` as a picture, a pixel an entry: blue is there, sand is not."""
    from PIL import Image

    colours = np.where(present[..., None], np.array([52, 101, 164]), np.array([240, 214, 190]))
    return _address(Image.fromarray(colours.astype(np.uint8)))


def encode_figure(figure: Figure, dpi: int = 110) -> str:
    """A matplotlib figure, drawn without any window or global state, background left clear."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    out = io.BytesIO()
    FigureCanvasAgg(figure).print_figure(out, dpi=dpi, bbox_inches="tight", format="png")
    return data_address(out.getvalue())


def _address(picture: object) -> str:
    out = io.BytesIO()
    picture.save(out, format="PNG", optimize=True)  # pyright: ignore[reportAttributeAccessIssue]
    return data_address(out.getvalue())
