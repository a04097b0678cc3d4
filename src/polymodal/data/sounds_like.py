"""New sounds in the form of their column: samples, bytes or mappings, whole numbers or floats."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from polymodal.data.names import Raw
from polymodal.data.samples import as_whole, whole_dtype
from polymodal.data.series import numeric_cell
from polymodal.data.sounds import HELD, wav_bytes
from polymodal.data.written import parsed

_SOUNDS = (*HELD, Mapping, bytes, bytearray)


def sounds_like(cells: np.ndarray, new: np.ndarray, before: Raw, rate: int | None) -> np.ndarray:
    """New sounds in the form of their column: WAV bytes, mappings, whole numbers; else as made."""
    known = [one for one in map(parsed, before) if isinstance(one, _SOUNDS)]
    if not known or rate is None:
        return cells
    sample, whole = known[0], _whole_of(known)
    cells = cells.copy()
    for row in np.flatnonzero(new):
        if cells[row] is None:
            continue
        made = cells[row] if whole is None else as_whole(cells[row], whole)
        if isinstance(sample, bytes | bytearray):
            cells[row] = wav_bytes(made, rate)
        elif not isinstance(sample, Mapping):
            cells[row] = _arranged(made, sample)
        elif "array" in sample or "sampling_rate" in sample:
            said = {"sampling_rate": rate} if "sampling_rate" in sample else {}
            cells[row] = {**dict.fromkeys(sample), "array": _arranged(made, sample), **said}
        else:
            cells[row] = {**dict.fromkeys(sample), "bytes": wav_bytes(made, rate)}
    return cells


def _arranged(made: np.ndarray, sample: Raw) -> np.ndarray:
    """New samples with the channels and, where it holds them, the dtype of others."""
    held = sample.get("array") if isinstance(sample, Mapping) else sample
    if held is None:
        return made
    other = numeric_cell(held, "", "a sound")
    # Parquet takes arrays of one dtype alone
    made = made.astype(other.dtype) if np.can_cast(made.dtype, other.dtype, "same_kind") else made
    if made.ndim == 2 or other.ndim != 2:
        return made
    axis = int(np.argmin(other.shape))
    return np.stack([made] * other.shape[axis], axis)


def _whole_of(known: list[Any]) -> np.dtype | None:
    """The dtype of samples if all cells of a column hold whole numbers, else None."""
    held = [one.get("array") if isinstance(one, Mapping) else one for one in known]
    if not all(isinstance(one, HELD) for one in held):
        return None
    arrays = dict(enumerate(numeric_cell(one, "", "a sound") for one in held))
    if not all(one.dtype.kind in "iu" for one in arrays.values()):
        return None
    return whole_dtype(arrays, "")
