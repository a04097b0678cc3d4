"""Mel scales by formula, filters by their partition, Griffin and Lim by their theorem."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from torch import Tensor

from polymodal.data.spectrogram import (
    griffin_lim,
    hz_to_mel,
    magnitudes_of,
    mel_centres,
    mel_filters,
    mel_spectrogram,
    mel_to_hz,
    transform,
)

RATE, N_FFT, HOP = 8000, 256, 64


@pytest.mark.parametrize("scale", ["htk", "slaney"])
def test_mel_scales_are_inverted(scale: str) -> None:
    hz = torch.linspace(0, 11025, 200, dtype=torch.float64)
    torch.testing.assert_close(mel_to_hz(hz_to_mel(hz, scale), scale), hz)  # type: ignore[arg-type]


def test_mel_scales_have_their_known_values() -> None:
    hz = torch.tensor([700.0, 1000.0, 6400.0]).double()
    htk = [2595 * math.log10(2), 2595 * math.log10(17 / 7), 2595 * math.log10(71 / 7)]
    np.testing.assert_allclose(hz_to_mel(hz), htk)
    # Slaney: 3 mels every 200 Hz, then 27 mels for a factor of 6.4
    np.testing.assert_allclose(hz_to_mel(hz, "slaney"), [10.5, 15, 15 + 27])


@pytest.mark.parametrize("scale", ["htk", "slaney"])
def test_filters_sum_to_one_between_the_outer_centres(scale: str) -> None:
    filters = mel_filters(20, 512, RATE, scale)  # type: ignore[arg-type]
    centres = mel_centres(20, RATE, scale)  # type: ignore[arg-type]
    hz = torch.linspace(0, RATE / 2, 257, dtype=torch.float64)
    inside = (hz >= centres[1]) & (hz <= centres[-2])
    assert inside.sum() > 200
    torch.testing.assert_close(filters.sum(0)[inside], torch.ones_like(hz[inside]))
    assert (filters >= 0).all()


def sine(hz: float, seconds: float = 0.5) -> Tensor:
    time = torch.arange(int(RATE * seconds), dtype=torch.float64) / RATE
    return (0.5 * torch.sin(2 * math.pi * hz * time))[None]


def test_a_sine_is_loudest_in_the_band_of_its_frequency() -> None:
    filters = mel_filters(32, N_FFT, RATE)
    for hz in (300.0, 1000.0, 2500.0):
        mels = mel_spectrogram(sine(hz), filters, N_FFT, HOP)[0]
        centre = mel_centres(32, RATE)[1:-1]
        wanted = (hz_to_mel(centre) - hz_to_mel(torch.tensor(hz))).abs().argmin()
        assert int(mels.mean(1).argmax()) == int(wanted)


def inconsistency(magnitudes: Tensor, waves: Tensor) -> float:
    """Squared distance of all frequencies, the mirrored ones counted twice."""
    away = (transform(waves, N_FFT, HOP).abs() - magnitudes).square()
    away[:, 1:-1] *= 2
    return float(away.sum())


def test_griffin_and_lim_never_get_worse_and_recover_a_sine() -> None:
    wanted = transform(sine(1003.0), N_FFT, HOP).abs()
    errors = [
        inconsistency(wanted, griffin_lim(wanted, N_FFT, HOP, iterations=n))
        for n in (0, 1, 2, 4, 8, 16, 32)
    ]
    assert all(b <= a * (1 + 1e-9) for a, b in itertools.pairwise(errors))
    assert errors[-1] < 0.1 * errors[0]
    wave = griffin_lim(wanted, N_FFT, HOP)[0]
    spectrum = torch.fft.rfft(wave * torch.hann_window(len(wave), dtype=wave.dtype)).abs()
    assert abs(int(spectrum.argmax()) * RATE / len(wave) - 1003.0) < RATE / len(wave) + 8


def test_the_same_seed_gives_the_same_wave_and_rows_are_alone() -> None:
    wanted = transform(torch.cat([sine(500.0), sine(1500.0)]), N_FFT, HOP).abs()
    first = griffin_lim(wanted, N_FFT, HOP, iterations=3)
    assert torch.equal(first, griffin_lim(wanted, N_FFT, HOP, iterations=3))
    torch.testing.assert_close(first[1:], griffin_lim(wanted[1:], N_FFT, HOP, iterations=3))
    assert not torch.equal(first, griffin_lim(wanted, N_FFT, HOP, iterations=3, seed=1))


def test_mels_are_met_by_magnitudes_that_are_not_negative() -> None:
    filters = mel_filters(32, N_FFT, RATE)
    mels = mel_spectrogram(sine(700.0) + sine(1900.0), filters, N_FFT, HOP)
    errors = []
    for n in (0, 3, 30):
        found = magnitudes_of(mels, filters, n)
        assert (found >= 0).all()
        errors.append(float((filters @ found - mels).square().sum() / mels.square().sum()))
    assert errors[2] <= errors[1] <= errors[0]
    assert errors[2] < 2e-3
