"""Sounds as people keep them: files, bytes, arrays of samples with a rate, or spectrograms.

Inside they are one channel at one rate, floats in [-1, 1] or whole numbers of 16 or 32 bits:
several channels are averaged, other rates resampled. A spectrogram (mel bands x frames,
logarithms) is taken as it is.
"""

from __future__ import annotations

import io
import wave
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from math import gcd
from pathlib import Path
from typing import Any, Literal

import numpy as np

from polymodal.data.cells import refuse_infinite
from polymodal.data.names import Raw, objects
from polymodal.data.row_error import RowError
from polymodal.data.samples import (
    are_channels,
    as_floats,
    check_samples,
    narrowed,
    one_channel,
    whole_dtype,
)
from polymodal.data.series import numeric_cell
from polymodal.data.specs import ModalitySpec
from polymodal.data.written import list_fault

SUFFIXES = (".wav", ".flac", ".ogg", ".oga", ".mp3", ".aiff", ".aif", ".au")
_MAGIC = (b"fLaC", b"OggS", b"ID3", b"\xff\xfb", b"FORM")
HELD = (list, tuple, np.ndarray)
"""What samples stand in."""


def holds_sounds(values: list[Any], base: Path | None) -> str | None:
    """What kind of sounds some present values are: ``path``, ``lost``, ``bytes``, ``mapping``."""
    if not values:
        return None
    first = values[0]
    if isinstance(first, Mapping):
        if "array" in first:
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


def open_sound(value: Raw, base: Path | None, usual: int | None) -> tuple[np.ndarray, int]:
    """Samples and their rate: of a file float32 (L,), of a mapping as they stand in it.

    Arguments:
        value: The name of a file, its bytes, or a mapping with ``array``, ``bytes`` or ``path``.
        base: The folder that names are relative to.
        usual: The rate of a mapping that says none; None if it must.

    Raises:
        ModuleNotFoundError: If ``soundfile`` is not installed.
        ValueError: If it is no sound; the sentence says why.
    """
    if isinstance(value, Mapping):
        if value.get("array") is not None:
            return _array(value["array"]), _rate(value.get("sampling_rate"), usual)
        value = next((v for k in ("bytes", "path") if (v := value.get(k)) is not None), None)
        if value is None:
            raise ValueError("the mapping has none of 'array', 'bytes' and 'path'")
    if isinstance(value, bytes | bytearray):
        source: Raw = io.BytesIO(value)
        said = f"{len(value)} bytes that are no sound"
    elif isinstance(value, str | Path):
        source = (base or Path()) / str(value)
        if not source.is_file():
            fault = list_fault(value)
            raise ValueError(f"expected samples, got {fault}" if fault else _no_file(value))
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


def _no_file(value: str | Path) -> str:
    return f"there is no file {str(value)!r}"


def _array(value: Raw) -> np.ndarray:
    if not isinstance(value, HELD):
        raise ValueError(f"'array' must hold samples, got {value!r:.60}")
    made = numeric_cell(value, "'array'", "samples")
    return made if made.dtype.kind in "iu" else made.astype(np.float32)


def _rate(said: Raw, usual: int | None) -> int:
    if said is None and usual is not None:
        return usual
    if said is None:
        raise ValueError(
            "the mapping has no 'sampling_rate', and the schema no rate; put one of them there"
        )
    try:
        rate = float(said)
    except (TypeError, ValueError):
        rate = 0.0
    if not (rate >= 1 and rate.is_integer()):
        raise ValueError(f"'sampling_rate' must be a whole number of at least 1, got {said!r:.60}")
    return int(rate)


def resampled(samples: np.ndarray, rate: int, wanted: int) -> np.ndarray:
    """The sound at another rate, by a polyphase filter."""
    if rate == wanted:
        return samples
    from scipy.signal import resample_poly

    common = gcd(rate, wanted)
    made = resample_poly(as_floats(samples).astype(np.float64), wanted // common, rate // common)
    return np.clip(made, -1, 1).astype(np.float32)


def wav_bytes(samples: np.ndarray, rate: int, bits: Literal[16, 32] = 16) -> bytes:
    """Samples in [-1, 1], or whole numbers, as the bytes of a WAV file of one channel."""
    plain = one_channel(narrowed(samples, whole_dtype({0: samples}, "wav_bytes")))
    # by division in float64, so that 16 bits stay the same 16 bits
    whole = plain.dtype.kind in "iu"
    shown = plain / np.iinfo(plain.dtype).max if whole else np.nan_to_num(plain)
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(bits // 8)
        file.setframerate(rate)
        scaled = np.clip(shown, -1, 1).astype(np.float64) * np.iinfo(f"i{bits // 8}").max
        file.writeframes(np.round(scaled).astype(f"<i{bits // 8}").tobytes())
    return out.getvalue()


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
        rows = {int(row): values[row] for row in np.flatnonzero(present)}
        for row, one in rows.items():
            check_samples(one, f"{where}, row {row}")
        return spec, narrowed(values, whole_dtype(rows, where)), present
    if values.ndim == 4 and values.shape[1] != 1:
        raise ValueError(f"{where}: spectrograms have one channel, got {values.shape[1]}.")
    size = (values.shape[-2], values.shape[-1])
    if values.ndim == 3 and spec.rate is not None and spec.size != size:
        raise ValueError(
            f"{where}: rows of the shape {size} with a rate may be channels or spectrograms; "
            "average channels, .mean(1), and leave `rate` out of the schema of spectrograms."
        )
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
        raise RowError(
            where,
            int(np.argmax(broken)),
            ": a sound has NaN in some places; it is there "
            "whole (no NaN) or not at all (NaN everywhere).",
        )
    return np.array(present & ~holes.all(1))


def _needs_rate(spec: ModalitySpec, where: str) -> None:
    if spec.rate is None:
        raise ValueError(
            f"{where}: samples need their rate; say ModalitySpec('audio', column=..., rate=16000) "
            "with your rate, or `rate:` in the schema's file."
        )


def _cells(
    spec: ModalitySpec, values: np.ndarray, present: np.ndarray, where: str, base: Path | None
) -> tuple[ModalitySpec, np.ndarray, np.ndarray]:
    """Objects: files are opened and brought to one rate, arrays checked, spectrograms stacked."""
    found: dict[int, np.ndarray] = {}
    rates: dict[int, int] = {}
    for row in np.flatnonzero(present).tolist():
        place, cell = f"{where}, row {row}", values[row]
        if isinstance(cell, HELD):
            found[row] = numeric_cell(cell, place, "a sound")
            continue
        try:
            found[row], rates[row] = open_sound(cell, base, spec.rate)
        except ValueError as fault:
            raise ValueError(f"{place}: {str(fault).rstrip('.')}.") from None
    waves = {r: v for r, v in found.items() if r in rates or v.ndim == 1 or _channels(spec, v)}
    found |= _samples(waves, where)
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
        check_samples(one, f"{where}, row {row}")
        sounds[row] = resampled(one, rates.get(row, spec.rate or 1), spec.rate or 1)
    return spec, sounds, present


def _channels(spec: ModalitySpec, cell: np.ndarray) -> bool:
    """Whether a cell of two axes is a sound by the schema: what has a rate is no spectrogram."""
    return spec.rate is not None and spec.size != cell.shape and are_channels(cell)


def _samples(rows: Mapping[int, np.ndarray], where: str) -> dict[int, np.ndarray]:
    """Samples of some rows, (L,) each, whose dtype says how loud they are."""
    wide, made = whole_dtype(rows, where), {}
    for row, one in rows.items():
        try:
            made[row] = one_channel(narrowed(one, wide))
        except ValueError as fault:
            raise RowError(where, row, f": {fault}.") from None
    return made
