"""Pictures as people keep them: paths, bytes, PIL images and arrays, decoded once.

The layout of an array of pictures is ``hw`` (N, H, W), ``chw`` (N, C, H, W) or ``hwc``
(N, H, W, C); one picture a cell of a frame is ``pil`` or ``cells`` (an array a cell).
"""

from __future__ import annotations

import io
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from polymodal.data.names import Raw
from polymodal.data.row_error import RowError
from polymodal.data.specs import IMAGE_MODES

if TYPE_CHECKING:
    from PIL.Image import Image

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm")
LARGEST = 128
"""Files of one size up to this keep it; others are scaled to `DEFAULT_SIZE`."""
DEFAULT_SIZE = 64
_GREY = ("1", "L", "LA", "I", "F")


def holds_images(values: list[Any], base: Path | None) -> str | None:
    """What kind of pictures some present values of a column are, or None.

    Returns:
        ``pil``, ``array``, ``bytes``, ``path``, ``lost`` (names of picture files of which none
        exists) or None.
    """
    from PIL.Image import Image

    if not values:
        return None
    first = values[0]
    if isinstance(first, Image):
        return "pil"
    if isinstance(first, np.ndarray) and first.ndim in (2, 3) and first.dtype == np.uint8:
        return "array"
    if isinstance(first, bytes | bytearray) or (isinstance(first, dict) and "bytes" in first):
        return "bytes" if _opens(values[:5]) else None
    if isinstance(first, str | Path):
        if not all(str(one).lower().endswith(SUFFIXES) for one in values):
            return None
        return "path" if any(_path(one, base).is_file() for one in values) else "lost"
    return None


def _opens(values: list[Any]) -> bool:
    for value in values:
        try:
            open_image(value, None)
        except ValueError:
            continue
        return True
    return False


def _path(value: object, base: Path | None) -> Path:
    path = Path(str(value))
    return path if path.is_absolute() or base is None else base / path


def open_image(value: Raw, base: Path | None) -> Image | np.ndarray:
    """One picture, its pixels not yet read where it is a file or bytes.

    Raises:
        ValueError: If it is none; the sentence says why.
    """
    from PIL import Image

    if isinstance(value, Image.Image):
        return value
    if isinstance(value, np.ndarray):
        if value.dtype != np.uint8 or value.ndim not in (2, 3):
            raise ValueError(
                f"expected a uint8 array of 2 or 3 axes, got {value.dtype} of shape {value.shape}"
            )
        return value
    if isinstance(value, dict) and value.get("bytes") is not None:
        value = value["bytes"]
    if isinstance(value, bytes | bytearray):
        source: Raw = io.BytesIO(value)
        said = f"{len(value)} bytes that are no picture"
    elif isinstance(value, str | Path):
        source = _path(value, base)
        if not source.is_file():
            raise ValueError(f"there is no file {str(value)!r}")
        said = f"the file {str(value)!r} is no picture"
    else:
        raise ValueError(f"expected a path, bytes, a PIL image or an array, got {value!r:.60}")
    try:
        return Image.open(source)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as fault:
        raise ValueError(f"{said} that can be opened ({type(fault).__name__})") from None


def describe_images(values: list[Any], base: Path | None) -> tuple[str, tuple[int, int]]:
    """Mode and size (height, width) that fit some pictures; broken ones are passed over here."""
    modes: set[str] = set()
    sizes: Counter[tuple[int, int]] = Counter()
    files = False
    for value in values:
        try:
            image = open_image(value, base)
        except ValueError:
            continue
        if isinstance(image, np.ndarray):
            modes.add("RGB" if image.ndim == 3 and image.shape[-1] == 3 else "L")
            sizes[image.shape[0], image.shape[1]] += 1
        else:
            files |= image is not value
            grey = image.mode in _GREY or image.mode.startswith("I;")
            modes.add("L" if grey else "RGB")
            sizes[image.height, image.width] += 1
            if image is not value:
                image.close()
    mode = "RGB" if "RGB" in modes else "L"
    if len(sizes) == 1 and max(next(iter(sizes))) <= LARGEST:
        return mode, next(iter(sizes))
    return mode, (DEFAULT_SIZE, DEFAULT_SIZE)


def fit_image(value: Raw, mode: str, size: tuple[int, int], base: Path | None) -> Raw:
    """A picture of the wanted mode and size; the very object that came if it has them already.

    Raises:
        ValueError: If the value is no picture; the sentence says why.
    """
    from PIL import Image, ImageOps

    image = open_image(value, base)
    if isinstance(image, np.ndarray):
        if image.shape == size + ((3,) if mode == "RGB" else ()):
            return value
        flat = image[..., 0] if image.ndim == 3 and image.shape[-1] == 1 else image
        if flat.ndim == 3 and flat.shape[-1] not in (3, 4):
            raise ValueError(f"expected 1, 3 or 4 channels on the last axis, got {image.shape}")
        return np.asarray(fit_image(Image.fromarray(flat), mode, size, None))
    opened = None if image is value else image
    try:
        if opened is not None:
            # a copy, which holds neither the file nor what else it said
            image = ImageOps.exif_transpose(opened)
        image.load()
        if image.mode != mode:
            image = _converted(image, mode)
        if (image.height, image.width) != size:
            image = image.resize((size[1], size[0]), Image.Resampling.LANCZOS)
        if image is value:
            return value
        return image
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as fault:
        raise ValueError(f"the picture is damaged ({fault})") from None
    finally:
        if opened is not None:
            opened.close()


def _converted(image: Image, mode: str) -> Image:
    from PIL import Image as Pil

    if image.mode == "I" or image.mode.startswith("I;"):  # 16 bits a pixel: PIL would clip
        image = Pil.fromarray((np.asarray(image).clip(0, 65535) // 257).astype(np.uint8))
    return image.convert(mode)


def fit_images(
    values: np.ndarray,
    present: np.ndarray,
    mode: str,
    size: tuple[int, int],
    base: Path | None,
    where: str,
) -> np.ndarray:
    """A column of pictures, decoded; (N,) objects, None where absent.

    Raises:
        ValueError: If one can not be read; names the row.
    """
    fitted = np.full(len(values), None, dtype=object)
    for row in np.flatnonzero(present):
        try:
            fitted[row] = fit_image(values[row], mode, size, base)
        except ValueError as fault:
            raise RowError(where, row, f": {fault}. Mend it, or leave the cell empty.") from None
    return fitted


def array_layout(shape: tuple[int, ...], where: str) -> tuple[str, str, tuple[int, int]]:
    """Layout, mode and size of an array of pictures.

    Example:
        >>> array_layout((100, 3, 28, 32), "image")
        ('chw', 'RGB', (28, 32))
    """
    channels = {count: mode for mode, count in IMAGE_MODES.items()}
    if len(shape) == 3:
        return "hw", "L", (shape[1], shape[2])
    if len(shape) == 4 and shape[1] in channels:
        return "chw", channels[shape[1]], (shape[2], shape[3])
    if len(shape) == 4 and shape[3] in channels:
        return "hwc", channels[shape[3]], (shape[1], shape[2])
    raise ValueError(
        f"{where}: pictures must have the shape (rows, height, width), (rows, channels, height, "
        f"width) or (rows, height, width, channels) with 1 or 3 channels, got {shape}."
    )
