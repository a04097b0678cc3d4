"""Sounds as standardised log-mel spectrograms, one channel, and back by Griffin and Lim.

A mel band is centred on its own mean, one scale serves them all. Where the schema says nothing,
a window lasts about 32 ms, the next begins a quarter of it later (a half for long sounds), and
there are as many mel bands, 64 at most, as the transform can tell apart at low frequencies. Sounds
are cut, or filled up with silence, to one length: that of the longest in training, 256 frames at
most. What is 80 dB below the loudest band of training counts as silence.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from polymodal.data.magnitude import standardised
from polymodal.data.names import Raw, objects
from polymodal.data.specs import ModalitySpec
from polymodal.data.spectrogram import (
    griffin_lim,
    magnitudes_of,
    mel_centres,
    mel_filters,
    mel_spectrogram,
)

if TYPE_CHECKING:
    from pandas import Index

WINDOW_SECONDS = 0.032
MANY_FRAMES, MOST_FRAMES = 128, 256
_BANDS = (64, 48, 32, 24, 16, 8)
_QUIETEST = 1e-4  # 80 dB below
_ROWS_AT_ONCE = 128
LAYOUTS = ("samples", "cells", "spectrogram", "channel")


@dataclass(frozen=True)
class AudioCodec:
    """Sounds, there and back.

    Arguments:
        size: Mel bands and frames.
        layout: ``samples`` (N, L), ``cells`` (an array of samples a row), ``spectrogram``
            (N, M, F) or ``channel`` (N, 1, M, F).
        dtype: numpy's name of the dtype of training.
        loc: Mean of each mel band, (M,) float64.
        scale: Standard deviation about these means.
        rate, n_fft, hop: Of samples; 0 for spectrograms.
        samples: Samples of a decoded row.
        floor: Magnitude that counts as silence.
    """

    size: tuple[int, int]
    layout: str
    dtype: str
    loc: np.ndarray
    scale: float
    rate: int = 0
    n_fft: int = 0
    hop: int = 0
    samples: int = 0
    floor: float = 1e-5

    @classmethod
    def fit(
        cls, spec: ModalitySpec, values: np.ndarray, present: np.ndarray, where: str
    ) -> AudioCodec:
        """From the training rows."""
        dtype, rows = values.dtype.name, np.flatnonzero(present)
        if values.dtype != object and values.ndim > 2:
            layout = "channel" if values.ndim == 4 else "spectrogram"
            size = (values.shape[-2], values.shape[-1])
            bare = cls(size, layout, dtype, np.zeros(size[0]), 1.0)
            return bare._standardised(values, rows)
        if spec.rate is None:
            raise ValueError(f"{where}: the schema says no rate of the sounds; give one.")
        layout = "cells" if values.dtype == object else "samples"
        longest = max((len(values[row]) for row in rows), default=spec.rate)
        n_fft = spec.n_fft or max(16, 2 ** round(math.log2(WINDOW_SECONDS * spec.rate)))
        if spec.n_fft is None and spec.hop is not None:
            n_fft = max(n_fft, 2 ** math.ceil(math.log2(2 * spec.hop)))
        hop = spec.hop or n_fft // 4
        if spec.hop is None and 1 + longest // hop > MANY_FRAMES:
            hop = n_fft // 2
        bands, frames = spec.size if isinstance(spec.size, tuple) else (0, 0)
        bands = bands or _bands(n_fft, spec.rate)
        frames = frames or min(1 + -(-longest // hop), MOST_FRAMES)
        samples = longest if layout == "samples" else min(longest, (frames - 1) * hop)
        bare = cls(
            (bands, frames), layout, dtype, np.zeros(bands), 1.0, spec.rate, n_fft, hop,
            max(samples, 1),
        )  # fmt: skip
        loudest = max((float(m.max()) for m in bare._mels(values, rows)), default=0.0)
        return replace(bare, floor=max(_QUIETEST * loudest, 1e-5))._standardised(values, rows)

    def _standardised(self, values: np.ndarray, rows: np.ndarray) -> AudioCodec:
        """With the mean of each band and the scale of some rows."""
        count, total, squares = 0, np.zeros(self.size[0]), np.zeros(self.size[0])
        for part in self._logs(values, rows):
            count += part.shape[0] * part.shape[2]
            total += part.sum((0, 2))
            squares += np.square(part).sum((0, 2))
        loc = total / max(count, 1)
        scale = math.sqrt(max(float((squares / max(count, 1) - loc**2).mean()), 0.0))
        small = 1e-6 * max(1.0, float(np.abs(loc).max()))
        return replace(self, loc=loc, scale=scale if scale > small else 1.0)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one row, (1, M, F)."""
        return (1, *self.size)

    def complete(self, spec: ModalitySpec) -> ModalitySpec:
        """The specification with the sizes that were chosen."""
        if not self.rate:
            return replace(spec, size=self.size)
        return replace(spec, size=self.size, rate=self.rate, n_fft=self.n_fft, hop=self.hop)

    def encode(
        self, values: np.ndarray, present: np.ndarray, where: str, unseen: str
    ) -> tuple[Tensor, Tensor]:
        """Values (N, 1, M, F) float32, 0 where nothing is there; present (N,)."""
        spectra = values.dtype != object and values.ndim > 2
        if present.any() and spectra != (not self.rate):
            wanted = "samples of sounds" if self.rate else f"spectrograms of {self.size}"
            raise ValueError(f"{where}: expected {wanted}, as in training; got the other.")
        if spectra and values.shape[-2:] != self.size:
            raise ValueError(
                f"{where}: expected spectrograms of {self.size} (mel bands, frames), got "
                f"{values.shape[-2:]}."
            )
        encoded = np.zeros((len(values), *self.shape), dtype=np.float32)
        rows, done, present = np.flatnonzero(present), 0, np.array(present)
        loc = np.repeat(self.loc, self.size[1])
        for part in self._logs(values, rows):
            here = rows[done : done + len(part)]
            flat = part.reshape(len(part), -1)
            cells = standardised(
                flat, loc, self.scale, where, unseen, rows=here, place=self._place
            )
            # a sound is there whole or not at all
            whole: Raw = np.isfinite(cells).all(axis=1, keepdims=True)
            present[here] = whole[:, 0]
            encoded[here, 0] = np.where(whole, cells, 0).reshape(part.shape)
            done += len(part)
        return torch.from_numpy(encoded), torch.from_numpy(present)

    def _place(self, cell: int) -> str:
        band, frame = divmod(cell, self.size[1])
        return f", mel band {band}, frame {frame}"

    def _logs(self, values: np.ndarray, rows: np.ndarray) -> Iterator[np.ndarray]:
        """Log-mel spectrograms (n, M, F) float64 of some rows, some at a time."""
        if self.rate:
            for mels in self._mels(values, rows):
                yield mels.clamp(min=self.floor).log().numpy()
            return
        for start in range(0, len(rows), _ROWS_AT_ONCE):
            some = values[rows[start : start + _ROWS_AT_ONCE]].astype(np.float64)
            yield some.reshape(len(some), *self.size)

    def _mels(self, values: np.ndarray, rows: np.ndarray) -> Iterator[Tensor]:
        filters = mel_filters(self.size[0], self.n_fft, self.rate)
        length = (self.size[1] - 1) * self.hop
        for start in range(0, len(rows), _ROWS_AT_ONCE):
            some = rows[start : start + _ROWS_AT_ONCE]
            waves = torch.zeros(len(some), max(length, 1), dtype=torch.float64)
            for place, row in enumerate(some):
                one = np.asarray(values[row])[:length]
                if one.dtype.kind in "iu":
                    one = one / np.iinfo(one.dtype).max
                waves[place, : len(one)] = torch.from_numpy(one.astype(np.float64))
            yield mel_spectrogram(waves, filters, self.n_fft, self.hop)[..., : self.size[1]]

    def decode(self, values: np.ndarray, index: Index | None) -> np.ndarray:
        """Sounds in the form of training from (N, 1, M, F); the same values, the same sounds."""
        logs = np.nan_to_num(values.astype(np.float64)[:, 0]) * self.scale + self.loc[:, None]
        if not self.rate:
            made = logs if self.layout == "spectrogram" else logs[:, None]
            dtype = np.dtype(self.dtype)
            if dtype.kind in "iu":
                info = np.iinfo(dtype)
                made = np.clip(np.round(made), info.min, info.max)
            return made.astype(dtype)
        waves = np.concatenate([np.zeros((0, self.samples)), *self._waves(torch.from_numpy(logs))])
        if self.layout == "cells":
            return objects(waves.astype(np.float32))
        dtype = np.dtype(self.dtype)
        if dtype.kind in "iu":
            return np.round(waves * np.iinfo(dtype).max).astype(dtype)
        return waves.astype(dtype)

    def _waves(self, logs: Tensor) -> Iterator[np.ndarray]:
        filters = mel_filters(self.size[0], self.n_fft, self.rate)
        # a model may be sure of what can not be: nothing is louder than a sine of full height
        loudest = math.log(self.n_fft / 2)
        for some in logs.split(_ROWS_AT_ONCE):
            mels = some.clamp(max=loudest).exp()
            mels = torch.where(mels > 1.01 * self.floor, mels, 0.0)
            waves = griffin_lim(magnitudes_of(mels, filters), self.n_fft, self.hop)
            made = np.zeros((len(some), self.samples))
            kept = waves[:, : self.samples].clamp(-1, 1).numpy()
            made[:, : kept.shape[1]] = kept
            yield made

    def to_config(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """What JSON can hold, and the tensor ``loc``."""
        keys = ("layout", "dtype", "scale", "rate", "n_fft", "hop", "samples", "floor")
        config = {"size": list(self.size), **{key: getattr(self, key) for key in keys}}
        return config, {"loc": torch.from_numpy(self.loc)}

    @classmethod
    def from_config(
        cls, config: Mapping[str, Any], tensors: Mapping[str, Tensor], spec: ModalitySpec
    ) -> AudioCodec:
        """The inverse of :meth:`to_config`; raises ValueError for what no codec wrote."""
        loc = tensors["loc"].to(torch.float64).numpy()
        codec = cls(**{**config, "size": tuple(config["size"]), "loc": loc})
        if codec.size != spec.size or loc.shape != codec.size[:1] or not np.isfinite(loc).all():
            raise ValueError("size is not the schema's, or loc has another")
        if codec.layout not in LAYOUTS or np.dtype(codec.dtype).kind not in "iufO":
            raise ValueError(f"layout must be one of {', '.join(LAYOUTS)}")
        for key in ("scale", "floor"):
            value = getattr(codec, key)
            if not isinstance(value, int | float) or not 0 < value < math.inf:
                raise ValueError(f"{key} must be finite and above 0")
        whole = (codec.rate, codec.n_fft, codec.hop, codec.samples)
        if not all(isinstance(one, int) and one >= 0 for one in whole):
            raise ValueError("rate, n_fft, hop and samples must be whole numbers")
        if codec.rate and (whole[:3] != (spec.rate, spec.n_fft, spec.hop) or not codec.hop):
            raise ValueError("rate, n_fft and hop are not the schema's")
        if bool(codec.rate) != (codec.layout in LAYOUTS[:2]):
            raise ValueError("a rate belongs to samples, not to spectrograms")
        return codec


def _bands(n_fft: int, rate: int) -> int:
    """The most mel bands whose lowest centres lie at least one frequency apart."""
    for bands in _BANDS:
        low = mel_centres(bands, rate)
        if float(low[2] - low[1]) >= rate / n_fft:
            return bands
    return _BANDS[-1]
