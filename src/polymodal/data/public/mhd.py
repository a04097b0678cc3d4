"""MHD, multimodal handwritten digits: the picture, the pen's way, and the spoken digit."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np

from polymodal.data.public.archives import read_arrays
from polymodal.data.public.folders import Source, check_choice, checked_rows
from polymodal.data.public.labelled import Labelled, assemble
from polymodal.data.public.polymnist import DIGITS

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
            (N, 1, 28, 28) in [0, 1], ``trajectory`` (N, P), and ``sound`` in [0, 1], blocks of a
            spectrogram (N, blocks, time, frequency), as the published files have them.
        split: Which rows.
        n: At most so many rows, the first.

    Returns:
        Modalities ``image``, a picture; ``trajectory``, a vector; ``sound``, a picture (N, 1,
        frequency, time) of the blocks one after the other; the label is the digit.

    Raises:
        FileNotFoundError: If the file is not there, or only as a pickle.
        ValueError: If the arrays are not as long as each other, or no digits.
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
        "trajectory": held["trajectory"][:n].reshape(len(labels[:n]), -1),
        "sound": _spectrogram(held["sound"][:n], path),
    }
    kinds = {"image": "image", "trajectory": "vector", "sound": "image"}
    return assemble("MHD", arrays, kinds, labels[:n], DIGITS)


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
