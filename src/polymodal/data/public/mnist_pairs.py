"""MNIST with a second view of the same digit, both and their pairs in one file."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np

from polymodal.data.public.archives import read_arrays
from polymodal.data.public.arguments import check_choice, checked_rows
from polymodal.data.public.folders import Source
from polymodal.data.public.labelled import Labelled, assemble
from polymodal.data.public.polymnist import DIGITS

Split = Literal["train", "test"]

SIGNS = Source("mnist_handsign", "https://github.com/ardamavi/Sign-Language-Digits-Dataset")
SPEECH = Source("mnist_speech", "https://github.com/Jakobovski/free-spoken-digit-dataset")
QUIET = -6.0
"""log10 of the power that counts as silence in ``mnist_speech``; loud is 0."""


def mnist_handsign(path: str | Path, split: Split = "train", n: int | None = None) -> Labelled:
    """MNIST digits and photographs of hands that show the same digit.

    Arguments:
        path: The file ``mnist_handsign.npz``: of each split ``mnist_*`` (N, 28, 28), ``label_*``
            (N,), ``sign_*`` (S, 3, 32, 32), ``sign_label_*`` (S,) and ``pair_*`` (N,), the
            photograph of each row.
        split: Which rows.
        n: At most so many rows, the first.

    Returns:
        Modalities ``mnist``, uint8 (N, 28, 28), and ``sign``, RGB, uint8 (N, 3, 32, 32); the label
        is the digit.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If a pair joins two digits; names the row.
    """
    images, signs, labels = _pairs(SIGNS, path, "sign", split, n)
    arrays = {"mnist": images, "sign": signs}
    return assemble(SIGNS.name, arrays, dict.fromkeys(arrays, "image"), labels, DIGITS)


def mnist_speech(path: str | Path, split: Split = "train", n: int | None = None) -> Labelled:
    """MNIST digits and recordings of the same digit as logarithmic mel spectrograms.

    Of a spectrogram's numbers 0 is silence (log10 of the power -6 or less), 1 is 0 or more.

    Arguments:
        path: The file ``mnist_speech.npz``, as :func:`mnist_handsign` has it, with ``speech_*``
            (S, 1, 32, 32) and ``speech_label_*``.
        split: Which rows.
        n: At most so many rows, the first.

    Returns:
        Modalities ``mnist``, uint8 (N, 28, 28), a picture, and ``speech``, a sound by its
        spectrogram, float32 (N, 1, mel bands, times) in [0, 1]; the label is the digit.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If a pair joins two digits; names the row.
    """
    images, mels, labels = _pairs(SPEECH, path, "speech", split, n)
    speech = np.clip(1 - mels.astype(np.float32) / np.float32(QUIET), 0, 1)
    arrays = {"mnist": images, "speech": speech}
    kinds = {"mnist": "image", "speech": "audio"}
    return assemble(SPEECH.name, arrays, kinds, labels, DIGITS)


def _pairs(
    source: Source, path: str | Path, other: str, split: Split, n: int | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """MNIST pictures, what they are paired with, and the digits, N rows each."""
    check_choice(source.name, "split", split, ("train", "test"))
    n = checked_rows(source.name, n)
    path = Path(path)
    if not path.is_file():
        raise source.missing("file", path.parent, [path.name])
    names = [f"{one}_{split}" for one in ("mnist", "label", other, f"{other}_label", "pair")]
    images, labels, others, said, pair = read_arrays(path, names).values()
    if not len(images) == len(labels) == len(pair) or len(others) != len(said):
        raise ValueError(
            f"{path}: {split} has {len(images)} pictures, {len(labels)} labels and {len(pair)} "
            f"pairs, {len(others)} of {other} and {len(said)} labels; they must be as many."
        )
    if pair.min() < 0 or pair.max() >= len(others):
        raise ValueError(f"{path}: a pair names a row that {other}_{split} has not.")
    wrong = said[pair] != labels
    if wrong.any():
        row = int(np.argmax(wrong))
        raise ValueError(
            f"{path}, row {row}: the picture shows {labels[row]}, its {other} {said[pair[row]]}; "
            "the file is mispaired."
        )
    return images[:n], others[pair[:n]], labels[:n]
