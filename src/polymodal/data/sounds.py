"""Sounds as people keep them: files, bytes, arrays of samples with a rate, or spectrograms.

Inside they are one channel of float32 at one rate: several channels are averaged, other rates
resampled. A spectrogram (mel bands x frames, logarithms) is taken as it is.
"""

from __future__ import annotations

import io
import wave
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from math import gcd
from pathlib import Path
from typing import Any

import numpy as np

from polymodal.data.cells import refuse_infinite
from polymodal.data.names import Raw, objects
from polymodal.data.schema import ModalitySpec
from polymodal.data.series import numeric_cell

SUFFIXES = (".wav", ".flac", ".ogg", ".oga", ".mp3", ".aiff", ".aif", ".au")
_MAGIC = (b"fLaC", b"OggS", b"ID3", b"\xff\xfb", b"FORM")
LOUDEST = 1.001
"""Largest sample of a float waveform; resampling may exceed 1 by a hair."""


def holds_sounds(values: list[Any], base: Path | None) -> str | None:
    """What kind of sounds some present values are: ``path``, ``lost``, ``bytes``, ``mapping``."""
    if not values:
        return None
    first = values[0]
    if isinstance(first, Mapping):
        if "sampling_rate" in first and "array" in first:
            return "mapping"
        first = first.get("bytes")
    if isinstance(first, bytes | bytearray):
        return "bytes" if is_sound(first) else None
    if not isinstance(first, str | Path):
        return None
    if not all(str(one).lower().endswith(SUFFIXES) for one in values):
        return None
    return "path" if any(((base or Path()) / str(one)).is_file() for one in values) else "lost"


def is_sound(data: bytes | bytearray) -> bool:
    """Whether bytes begin like a sound file."""
    head = bytes(data[:12])
    return head.startswith(_MAGIC) or (head[:4] == b"RIFF" and head[8:] == b"WAVE")


def open_sound(value: Raw, base: Path | None) -> tuple[np.ndarray, int]:
    """Samples, float32 (L,), and their rate.

    Raises:
        ModuleNotFoundError: If ``soundfile`` is not installed.
        ValueError: If it is no sound; the sentence says why.
    """
    if isinstance(value, Mapping):
        if value.get("array") is not None and value.get("sampling_rate"):
            return np.asarray(value["array"], dtype=np.float32), int(value["sampling_rate"])
        value = value.get("bytes") if value.get("bytes") is not None else value.get("path")
    if isinstance(value, bytes | bytearray):
        source: Raw = io.BytesIO(value)
        said = f"{len(value)} bytes that are no sound"
    elif isinstance(value, str | Path):
        source = (base or Path()) / str(value)
        if not source.is_file():
            raise ValueError(f"there is no file {str(value)!r}")
        said = f"the file {str(value)!r} is no sound"
    else:
        raise ValueError(f"expected a path, bytes or samples, got {value!r:.60}")
    try:
        import soundfile
    except ModuleNotFoundError:
        raise ModuleNotFoundError(
            "Sound files are read by the package soundfile, which is not installed; "
            "pip install 'polymodal[audio]'."
        ) from None
    try:
        samples, rate = soundfile.read(source, dtype="float32", always_2d=True)
    except (RuntimeError, OSError, TypeError) as fault:
        raise ValueError(f"{said} that can be opened ({fault})") from None
    return samples.mean(1), int(rate)


def resampled(samples: np.ndarray, rate: int, wanted: int) -> np.ndarray:
    """The sound at another rate, by a polyphase filter."""
    if rate == wanted:
        return samples
    from scipy.signal import resample_poly

    common = gcd(rate, wanted)
    made = resample_poly(samples.astype(np.float64), wanted // common, rate // common)
    return np.clip(made, -1, 1).astype(np.float32)


def wav_bytes(samples: np.ndarray, rate: int) -> bytes:
    """Samples in [-1, 1] as the bytes of a WAV file, 16 bits, one channel."""
    whole = samples.dtype.kind in "iu"
    shown = samples / np.iinfo(samples.dtype).max if whole else np.nan_to_num(samples)
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(np.round(np.clip(shown, -1, 1) * 32767).astype("<i2").tobytes())
    return out.getvalue()


def as_wav_like(cells: np.ndarray, new: np.ndarray, before: Raw, rate: int | None) -> np.ndarray:
    """New sounds as WAV bytes, where the column held bytes or mappings; else as they are."""
    sample = next((one for one in before if isinstance(one, bytes | bytearray | Mapping)), None)
    if sample is None or rate is None:
        return cells
    cells = cells.copy()
    for row in np.flatnonzero(new):
        if cells[row] is None:
            continue
        if not isinstance(sample, Mapping):
            cells[row] = wav_bytes(cells[row], rate)
        elif "sampling_rate" in sample:
            cells[row] = {**dict.fromkeys(sample), "array": cells[row], "sampling_rate": rate}
        else:
            cells[row] = {**dict.fromkeys(sample), "bytes": wav_bytes(cells[row], rate)}
    return cells


def read_audio(
    spec: ModalitySpec, values: Raw, present: np.ndarray, where: str, base: Path | None
) -> tuple[ModalitySpec, np.ndarray, np.ndarray]:
    """A column of sounds, checked.

    Returns:
        The specification with its rate (of spectrograms: its size), values and presence (N,).
        Values are samples (N, L), N arrays of samples, or spectrograms (N, M, F) or (N, 1, M, F).

    Raises:
        ValueError: If a value is no sound; names the row.
    """
    if values.dtype == object or values.dtype.kind in "UT":
        return _cells(spec, values, present, where, base)
    present = np.array(present if present.ndim == 1 else present.any(1))
    if values.ndim not in (2, 3, 4) or values.dtype.kind not in "iuf" or 0 in values.shape[1:]:
        raise ValueError(
            f"{where}: sounds are samples (rows, samples) or spectrograms (rows, mel bands, "
            f"frames), got {values.dtype} of shape {values.shape}."
        )
    present = _known_rows(values.reshape(len(values), -1), present, where)
    if values.ndim == 2:
        _needs_rate(spec, where)
        for row in np.flatnonzero(present):
            _check_samples(values[row], f"{where}, row {row}")
        return spec, values, present
    if values.ndim == 4 and values.shape[1] != 1:
        raise ValueError(f"{where}: spectrograms have one channel, got {values.shape[1]}.")
    size = (values.shape[-2], values.shape[-1])
    if spec.size is not None and spec.size != size:
        raise ValueError(
            f"{where}: the schema has spectrograms of {spec.size} (mel bands, frames), the data "
            f"{size}."
        )
    return replace(spec, size=size), values, present


def _known_rows(flat: np.ndarray, present: np.ndarray, where: str) -> np.ndarray:
    """The present rows that are not all NaN; raises where one is NaN in part, or infinite."""
    if flat.dtype.kind != "f":
        return present
    holes = np.isnan(flat)
    refuse_infinite(flat, where, present)
    broken = present & holes.any(1) & ~holes.all(1)
    if broken.any():
        raise ValueError(
            f"{where}, row {int(np.argmax(broken))}: a sound has NaN in some places; it is there "
            "whole (no NaN) or not at all (NaN everywhere)."
        )
    return np.array(present & ~holes.all(1))


def _needs_rate(spec: ModalitySpec, where: str) -> None:
    if spec.rate is None:
        raise ValueError(
            f"{where}: samples need their rate; say ModalitySpec('audio', column=..., rate=16000) "
            "with your rate, or `rate:` in the schema's file."
        )


def _check_samples(samples: np.ndarray, where: str) -> None:
    if not samples.size:
        raise ValueError(f"{where}: the sound has no samples; put None where there is none.")
    if samples.dtype.kind != "f":
        return
    if not np.isfinite(samples).all():
        raise ValueError(f"{where}: the sound has NaN or infinite samples; mend them.")
    if np.abs(samples).max() > LOUDEST:
        raise ValueError(
            f"{where}: samples must lie in [-1, 1], got {samples[np.abs(samples).argmax()]:.4g}; "
            "divide by the largest, or hand over int16."
        )


def _cells(
    spec: ModalitySpec, values: np.ndarray, present: np.ndarray, where: str, base: Path | None
) -> tuple[ModalitySpec, np.ndarray, np.ndarray]:
    """Objects: files are opened and brought to one rate, arrays checked, spectrograms stacked."""
    rows = np.flatnonzero(present).tolist()
    found: dict[int, np.ndarray] = {}
    rates: dict[int, int] = {}
    for row in rows:
        place, cell = f"{where}, row {row}", values[row]
        if isinstance(cell, list | tuple | np.ndarray):
            found[row] = numeric_cell(cell, place, "a sound")
            continue
        try:
            found[row], rates[row] = open_sound(cell, base)
        except ValueError as fault:
            raise ValueError(f"{place}: {fault}.") from None
    depths = {one.ndim for one in found.values()}
    if depths and depths <= {2, 3}:
        shapes = {one.shape for one in found.values()}
        if len(shapes) > 1:
            raise ValueError(f"{where}: spectrograms must have one shape, got {sorted(shapes)}.")
        stacked = np.full((len(values), *shapes.pop()), np.nan, dtype=np.float32)
        for row, one in found.items():
            stacked[row] = one
        return read_audio(spec, stacked, present, where, base)
    if depths - {1}:
        raise ValueError(f"{where}: some rows are samples, others spectrograms; choose one.")
    if rates and spec.rate is None:
        spec = replace(spec, rate=Counter(rates.values()).most_common(1)[0][0])
    if found:
        _needs_rate(spec, where)
    sounds = objects([None] * len(values))
    for row, one in found.items():
        _check_samples(one, f"{where}, row {row}")
        sounds[row] = resampled(one, rates.get(row, spec.rate or 1), spec.rate or 1)
    return spec, sounds, present
