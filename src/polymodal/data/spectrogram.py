r"""Waveforms to mel spectrograms and back, on torch's Fourier transforms alone.

Frequencies are warped by one of the two mel scales in use: HTK's,
:math:`m(f) = 2595 \log_{10}(1 + f / 700)`, or Slaney's, linear below 1,000 Hz, logarithmic above.
The filters are triangles of height 1 between neighbouring centres, so that they sum to 1 at every
frequency from the first centre to the last.

References:
    Signal Estimation from Modified Short-Time Fourier Transform. Griffin, Lim, 1984,
    https://doi.org/10.1109/TASSP.1984.1164317 (the alternation, and that its error never grows)
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor

MelScale = Literal["htk", "slaney"]

_LINEAR_STEP = 200 / 3  # Hz a mel below 1,000 Hz
_BREAK, _BREAK_MEL = 1000.0, 15.0
_LOG_STEP = math.log(6.4) / 27
_LEAST = 1e-10


def hz_to_mel(hz: Tensor, scale: MelScale = "htk") -> Tensor:
    """Frequencies in Hz on a mel scale.

    Example:
        >>> [round(hz_to_mel(torch.tensor(1e3), scale).item()) for scale in ("htk", "slaney")]
        [1000, 15]
    """
    if scale == "htk":
        return 2595 * torch.log10(1 + hz / 700)
    above = _BREAK_MEL + (hz.clamp(min=_BREAK) / _BREAK).log() / _LOG_STEP
    return torch.where(hz < _BREAK, hz / _LINEAR_STEP, above)


def mel_to_hz(mel: Tensor, scale: MelScale = "htk") -> Tensor:
    """The inverse of :func:`hz_to_mel`."""
    if scale == "htk":
        return 700 * (10 ** (mel / 2595) - 1)
    above = _BREAK * ((mel - _BREAK_MEL) * _LOG_STEP).exp()
    return torch.where(mel < _BREAK_MEL, mel * _LINEAR_STEP, above)


def mel_centres(n_mels: int, rate: int, scale: MelScale = "htk") -> Tensor:
    """Edge, centres and edge of the filters in Hz, equally far on the mel scale, (n_mels + 2,)."""
    top = hz_to_mel(torch.tensor(rate / 2, dtype=torch.float64), scale)
    return mel_to_hz(torch.linspace(0, 1, n_mels + 2, dtype=torch.float64) * top, scale)


def mel_filters(n_mels: int, n_fft: int, rate: int, scale: MelScale = "htk") -> Tensor:
    """Triangles over the frequencies of a transform, (n_mels, n_fft // 2 + 1) float64."""
    hz = torch.linspace(0, rate / 2, n_fft // 2 + 1, dtype=torch.float64)
    edges = mel_centres(n_mels, rate, scale)
    left, centre, right = (edges[i : i + n_mels, None] for i in range(3))
    rising = (hz - left) / (centre - left)
    falling = (right - hz) / (right - centre)
    return torch.minimum(rising, falling).clamp(min=0)


def transform(waves: Tensor, n_fft: int, hop: int) -> Tensor:
    """Windowed Fourier transforms (Hann), (B, L) -> complex (B, n_fft // 2 + 1, 1 + L // hop).

    Each window is centred on its time; beyond its ends a sound is silent.
    """
    window = torch.hann_window(n_fft, dtype=waves.dtype, device=waves.device)
    return torch.stft(
        waves, n_fft, hop, window=window, center=True, pad_mode="constant", return_complex=True
    )


def mel_spectrogram(waves: Tensor, filters: Tensor, n_fft: int, hop: int) -> Tensor:
    """Magnitudes in each filter, (B, L) -> (B, n_mels, 1 + L // hop)."""
    return filters.to(waves) @ transform(waves, n_fft, hop).abs()


def magnitudes_of(mels: Tensor, filters: Tensor, iterations: int = 30) -> Tensor:
    r"""Magnitudes, none negative, whose mel spectrogram is nearest: (B, M, F) -> (B, K, F).

    The clamped pseudo-inverse, then multiplicative steps
    :math:`S \leftarrow S \, (W^T Y) / (W^T W S)`, none of which takes S further away.

    References:
        Algorithms for Non-negative Matrix Factorization. Lee, Seung, 2000,
        https://papers.nips.cc/paper/1861-algorithms-for-non-negative-matrix-factorization
    """
    filters = filters.to(mels)
    found = (torch.linalg.pinv(filters) @ mels).clamp(min=_LEAST)
    wanted = filters.T @ mels
    square = filters.T @ filters
    for _ in range(iterations):
        found = found * wanted / (square @ found).clamp(min=_LEAST)
    return found


def griffin_lim(
    magnitudes: Tensor, n_fft: int, hop: int, *, iterations: int = 32, seed: int = 0
) -> Tensor:
    """Waves whose transforms have nearly these magnitudes, (B, K, F) -> (B, (F - 1) hop).

    Arguments:
        magnitudes: Wanted magnitudes.
        n_fft: Samples of a window.
        hop: Samples from one window to the next, at most half of ``n_fft``.
        iterations: How often phases are taken from the last wave.
        seed: The first phases follow from it.
    """
    length = max(hop * (magnitudes.shape[-1] - 1), 1)
    generator = torch.Generator().manual_seed(seed)
    # one set of phases for all rows, so that a row does not depend on the others
    turns = torch.rand(magnitudes.shape[1:], generator=generator, dtype=torch.float64)
    phases = torch.polar(torch.ones_like(turns), 2 * math.pi * turns).to(magnitudes.device)
    window = torch.hann_window(n_fft, dtype=magnitudes.dtype, device=magnitudes.device)
    spectrum = magnitudes * phases.to(torch.view_as_complex(window.new_zeros(1, 2)).dtype)
    waves = torch.istft(spectrum, n_fft, hop, window=window, length=length)
    for _ in range(iterations):
        seen = transform(waves, n_fft, hop)
        spectrum = magnitudes * seen / seen.abs().clamp(min=_LEAST)
        waves = torch.istft(spectrum, n_fft, hop, window=window, length=length)
    return waves
