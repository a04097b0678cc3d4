"""Samples of sounds as one channel: floats in [-1, 1], or whole numbers of 16 or 32 bits.

Whole numbers say how loud they are only together with their range. Python's lists and many arrays
have them in 64 or 32 bits whatever the sound card had: numbers that fit into 16 bits are taken as
such, others as 32 bits, by all rows of a column, of which some may be quiet.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from polymodal.data.row_error import RowError

LOUDEST = 1.001
"""Largest sample of a float waveform; resampling may exceed 1 by a hair."""
MOST_CHANNELS = 2
"""So many channels a sound has where it is no mapping: more rows may be mel bands."""


def whole_dtype(rows: Mapping[int, np.ndarray], where: str) -> np.dtype:
    """What the whole numbers of a column are that have more bits than they may need.

    Arguments:
        rows: Row -> samples of any dtype and shape.
        where: What errors begin with.

    Returns:
        int16, or int32 if a row has larger numbers.

    Raises:
        ValueError: If a row has numbers beyond 32 bits, or without a sign; names it.
    """
    found = np.dtype(np.int16)
    for row, one in rows.items():
        if one.dtype.kind not in "iu" or not one.size or one.dtype == np.uint8:
            continue
        if one.dtype.kind == "u" and one.dtype.itemsize < 8:
            raise RowError(
                where,
                row,
                f": samples have a sign, got {one.dtype}; take off what silence "
                "is there, and hand over int16.",
            )
        low, high = int(one.min()), int(one.max())
        if not _fit(low, high, np.int32):
            raise RowError(
                where,
                row,
                f": whole numbers of sounds have 16 or 32 bits, got "
                f"{low if -low > high else high}; hand over int16, or floats in [-1, 1].",
            )
        if not _fit(low, high, np.int16):
            found = np.dtype(np.int32)
    return found


def _fit(low: int, high: int, dtype: type) -> bool:
    return np.iinfo(dtype).min <= low and high <= np.iinfo(dtype).max


def narrowed(samples: np.ndarray, wide: np.dtype) -> np.ndarray:
    """Samples whose dtype says how loud they are; 8 bits without a sign are silent at 128."""
    if samples.dtype == np.uint8:
        return (samples.astype(np.int16) - 128) * 256
    too_wide = samples.dtype.kind in "iu" and samples.dtype.itemsize > 2
    return samples.astype(wide) if too_wide else samples


def as_floats(samples: np.ndarray) -> np.ndarray:
    """Samples as float32 in [-1, 1]; whole numbers by the range of their dtype."""
    if samples.dtype.kind in "iu":
        return (samples / np.iinfo(samples.dtype).max).astype(np.float32)
    return samples.astype(np.float32)


def as_whole(samples: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Floats in [-1, 1] as whole numbers of a dtype's range; whole numbers as they are."""
    if samples.dtype.kind in "iu":
        return samples
    scaled = np.clip(np.nan_to_num(samples), -1, 1).astype(np.float64) * np.iinfo(dtype).max
    return np.round(scaled).astype(dtype)


def one_channel(samples: np.ndarray) -> np.ndarray:
    """Samples (L,) of (L,), or the mean of (C, L) or (L, C): channels are fewer than samples.

    Raises:
        ValueError: If they have another number of axes.
    """
    if samples.ndim == 1:
        return samples
    if samples.ndim != 2:
        raise ValueError(
            f"expected samples (samples,) or (channels, samples), got shape {samples.shape}"
        )
    if 1 in samples.shape:
        return samples.reshape(-1)
    return as_floats(samples).mean(int(np.argmin(samples.shape)))


def are_channels(samples: np.ndarray) -> bool:
    """Whether an array of two axes is a sound of one or two channels, where it has a rate."""
    return samples.ndim == 2 and min(samples.shape) <= MOST_CHANNELS


def check_samples(samples: np.ndarray, where: str) -> None:
    """Raise a ValueError if there are no samples, or floats that are none of a sound."""
    if not samples.size:
        raise ValueError(f"{where}: the sound has no samples; leave the cell empty (None).")
    if samples.dtype.kind != "f":
        return
    if not np.isfinite(samples).all():
        raise ValueError(f"{where}: the sound has NaN or infinite samples; mend them.")
    if np.abs(samples).max() > LOUDEST:
        raise ValueError(
            f"{where}: samples must lie in [-1, 1], got {samples[np.abs(samples).argmax()]:.4g}; "
            "divide by the largest, or hand over int16."
        )
