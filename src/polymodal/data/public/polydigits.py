"""PolyMNIST as masks of digits and places on backgrounds, in one file."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np

from polymodal.data.public.archives import read_arrays
from polymodal.data.public.arguments import check_choice, checked_rows
from polymodal.data.public.folders import Source
from polymodal.data.public.labelled import Labelled, assemble
from polymodal.data.public.polymnist import DIGITS

SOURCE = Source("polydigits", "https://github.com/thomassutter/MoPoE")
SIDE = 28


def polydigits(
    path: str | Path,
    split: Literal["train", "test"] = "train",
    n: int | None = None,
) -> Labelled:
    """Pictures by PolyMNIST's protocol, made from what its recipe draws.

    ``picture = 255 - crop`` on the pixels of the digit, ``crop`` elsewhere. The file holds
    ``masks`` (digits, 98), bits of 28 x 28 pixels; backgrounds ``bg0``, ``bg1``, ... (H, W, 3);
    and of each split ``*_idx`` (N, M), the digit of each modality, ``*_xy`` (N, M, 2), where its
    crop begins (column, row), and ``*_label`` (N,).

    Arguments:
        path: The file ``polydigits.npz``.
        split: Which rows.
        n: At most so many rows, the first.

    Returns:
        Modalities ``m0``, ``m1``, ...: RGB, uint8 (N, 3, 28, 28); the label is the digit.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If a digit stands under two labels, or a crop leaves its background; names the
            row and modality.
    """
    check_choice("polydigits", "split", split, ("train", "test"))
    n = checked_rows("polydigits", n)
    path = Path(path)
    if not path.is_file():
        raise SOURCE.missing("file", path.parent, [path.name])
    names = [f"{split}_{one}" for one in ("idx", "xy", "label")]
    held = read_arrays(path, ["masks", *names])
    digits, corners, labels = (held[name] for name in names)
    _refuse_two_labels(digits, labels, len(held["masks"]), str(path))
    grounds = read_arrays(path, [f"bg{m}" for m in range(digits.shape[1])])
    arrays = {}
    for m, ground in enumerate(grounds.values()):
        where = f"{path}, modality m{m}"
        crops = _crops(ground, corners[:n, m].astype(np.int64), where)
        bits = np.unpackbits(held["masks"][digits[:n, m]], axis=1)
        on = bits.reshape(-1, 1, SIDE, SIDE).astype(bool)
        arrays[f"m{m}"] = np.where(on, 255 - crops, crops)
    return assemble("polydigits", arrays, dict.fromkeys(arrays, "image"), labels[:n], DIGITS)


def _refuse_two_labels(digits: np.ndarray, labels: np.ndarray, count: int, where: str) -> None:
    """One handwritten digit has one label, in whatever row and modality it stands."""
    if digits.min() < 0 or digits.max() >= count:
        raise ValueError(f"{where}: a row names a digit that is none of the {count} masks.")
    known = np.full(count, -1)
    for m in range(digits.shape[1]):
        before = known[digits[:, m]]
        wrong = (before >= 0) & (before != labels)
        if wrong.any():
            row = int(np.argmax(wrong))
            raise ValueError(
                f"{where}, row {row}: modality m{m} shows the digit {before[row]}, the label says "
                f"{labels[row]}; the file is mispaired."
            )
        known[digits[:, m]] = labels


def _crops(ground: np.ndarray, corners: np.ndarray, where: str) -> np.ndarray:
    """Crops of a background (H, W, 3) at (column, row), (N, 3, 28, 28)."""
    room = np.array([ground.shape[1], ground.shape[0]]) - SIDE
    outside = ((corners < 0) | (corners > room)).any(1)
    if outside.any():
        row = int(np.argmax(outside))
        raise ValueError(
            f"{where}, row {row}: a crop at {tuple(corners[row].tolist())} leaves the background "
            f"of {ground.shape[1]} x {ground.shape[0]} pixels."
        )
    channels = np.ascontiguousarray(ground.transpose(2, 0, 1))
    windows = np.lib.stride_tricks.sliding_window_view(channels, (SIDE, SIDE), axis=(1, 2))  # type: ignore[call-overload]
    return windows[:, corners[:, 1], corners[:, 0]].transpose(1, 0, 2, 3)
