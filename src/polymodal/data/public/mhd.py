"""MHD, multimodal handwritten digits: the picture, the pen's way, and the spoken digit."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np

from polymodal.data.public.archives import read_arrays
from polymodal.data.public.arguments import check_choice, checked_rows
from polymodal.data.public.folders import Source
from polymodal.data.public.labelled import Labelled, assemble
from polymodal.data.public.polymnist import DIGITS
from polymodal.data.specs import ModalitySpec

SOURCE = Source("MHD", "https://github.com/miguelsvasco/nexus_pytorch")
NAMES = ("label", "image", "trajectory", "sound")


def mhd(
    folder: str | Path,
    split: Literal["train", "test"] = "train",
    n: int | None = None,
) -> Labelled:
    """Handwritten digits with trajectory and sound, from a converted file.

    The published files ``mhd_train.pt`` and ``mhd_test.pt`` are pickles, which can run code when
    they are opened, so this library never opens them; ``docs/datasets.md`` has the lines that
    convert them.

    Vasco et al., "Leveraging hierarchy in multimodal generative models for effective
    cross-modality inference", 2022, https://arxiv.org/abs/2006.02991.

    Arguments:
        folder: Has ``mhd_train.npz`` and ``mhd_test.npz``, with ``label`` (N,), ``image``
            (N, 1, 28, 28) in [0, 1], ``trajectory`` (N, 2 P), P places across and then P down,
            and ``sound`` in [0, 1], blocks of a mel spectrogram in decibels (N, blocks, time,
            frequency), as the published files have them.
        split: Which rows.
        n: At most so many rows, the first.

    Returns:
        Modalities ``image``, a picture; ``trajectory``, a series (N, 2, P); ``sound``, the blocks
        one after the other as a spectrogram (N, 1, frequency, time); the label is the digit.

    Raises:
        FileNotFoundError: If the file is not there, or only as a pickle.
        ValueError: If the arrays are not as long as each other, of other shapes, or no digits.
    """
    check_choice("MHD", "split", split, ("train", "test"))
    n = checked_rows("MHD", n)
    path = Path(folder) / f"mhd_{split}.npz"
    pickled = path.with_suffix(".pt")
    if not path.is_file() and pickled.is_file():
        raise FileNotFoundError(
            f"MHD: {str(pickled)!r} is a pickle, which can run code when opened, so it is never "
            f"read here; if you trust it, convert it outside to {path.name!r} by torch.load("
            "..., weights_only=True) and numpy.savez(label=, image=, trajectory=, sound=), its "
            "first four parts; docs/datasets.md has the lines."
        )
    if not path.is_file():
        raise SOURCE.missing("file", Path(folder), [path.name])
    held = read_arrays(path, NAMES)
    lengths = {name: len(array) for name, array in held.items()}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"{path}: the arrays must have as many rows each, got {lengths}.")
    labels = held["label"]
    if labels.ndim != 1 or not np.isin(labels, range(10)).all():
        raise ValueError(f"{path}: 'label' must hold digits 0 to 9, (rows,).")
    arrays = {
        "image": held["image"][:n],
        "trajectory": _places(held["trajectory"][:n], path),
        "sound": _spectrogram(held["sound"][:n], path),
    }
    way = ModalitySpec("series", column="trajectory", likelihood="gaussian")
    kinds = {"image": "image", "trajectory": way, "sound": "audio"}
    return assemble("MHD", arrays, kinds, labels[:n], DIGITS)


def _places(way: np.ndarray, path: Path) -> np.ndarray:
    """Places of the pen (N, 2 P), all across and then all down, as (N, 2, P)."""
    flat = way.reshape(len(way), -1)
    if not flat.shape[1] or flat.shape[1] % 2:
        raise ValueError(
            f"{path}: 'trajectory' must have as many numbers across as down, got {way.shape}."
        )
    return flat.reshape(len(way), 2, -1)


def _spectrogram(blocks: np.ndarray, path: Path) -> np.ndarray:
    """Blocks (N, B, T, F) one after the other in time, (N, 1, F, B T)."""
    if blocks.ndim != 4:
        raise ValueError(
            f"{path}: 'sound' must have the shape (rows, blocks, time, frequency), got "
            f"{blocks.shape}."
        )
    count, n_blocks, time, frequency = blocks.shape
    long = blocks.reshape(count, n_blocks * time, frequency)
    return np.ascontiguousarray(long.transpose(0, 2, 1))[:, None]
