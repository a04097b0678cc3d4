"""PolyMNIST and its kin: one digit on several backgrounds, a PNG file each."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np

from polymodal.data.public.arguments import check_choice, checked_rows, checked_whole
from polymodal.data.public.folders import (
    Source,
    entries,
    numbered,
    refuse_lone,
)
from polymodal.data.public.labelled import Labelled, assemble
from polymodal.data.public.pictures import read_pictures

SOURCE = Source("PolyMNIST", "https://github.com/thomassutter/MoPoE")
DIGITS = tuple(str(digit) for digit in range(10))


def polymnist(
    folder: str | Path,
    split: Literal["train", "test"] = "train",
    *,
    modalities: int | None = None,
    n: int | None = None,
) -> Labelled:
    """PolyMNIST, translated PolyMNIST and extended PolyMNIST.

    The files are ``m{k}/{i}.{digit}.png`` in ``MMNIST/train`` and ``MMNIST/test``: picture
    ``i`` of a digit on background ``k``. The names are the pairing, so every folder must have the
    same ones; rows are in the order of ``i``, then of the digit, whatever order the disk has.

    Sutter, Daunhawer, Vogt, "Generalized Multimodal ELBO", 2021,
    https://arxiv.org/abs/2105.02470; translated: Daunhawer et al., "On the Limitations of
    Multimodal VAEs", 2022, https://arxiv.org/abs/2110.04121.

    Arguments:
        folder: Where ``MMNIST`` is, or the folder that has ``train`` and ``test``, or m0, m1, ...
            themselves.
        split: Which rows.
        modalities: How many of the folders m0, m1, ... are read; None reads all (5, extended 10).
        n: At most so many rows, the first.

    Returns:
        Modalities ``m0``, ``m1``, ...: RGB, uint8 (N, 3, 28, 28); the label is the digit.

    Raises:
        FileNotFoundError: If the folders are not there.
        ValueError: If a file has no partner of the same number and digit in another folder, or is
            no picture of the same size; names the file.
    """
    check_choice("PolyMNIST", "split", split, ("train", "test"))
    n = checked_rows("PolyMNIST", n)
    modalities = checked_whole("PolyMNIST", "modalities", modalities, or_none=True)
    places = [f"{place}/m0" for place in (f"MMNIST/{split}", f"PolyMNIST/MMNIST/{split}", split)]
    home = SOURCE.find(folder, [*places, "m0"], "folder of pictures").parent
    folders = _folders(home, modalities)
    files = {path.name: _files(path) for path in folders}
    first = folders[0].name
    for name, one in files.items():
        refuse_lone(files[first], one, (f"picture in {first}", f"picture in {name}"), "PolyMNIST")
    keys = list(files[first])[:n]
    if not keys:
        raise SOURCE.missing("pictures", home, [f"{first}/0.0.png"])
    arrays = {name: read_pictures([one[key] for key in keys], None) for name, one in files.items()}
    labels = np.array([digit for _, digit in keys])
    return assemble("PolyMNIST", arrays, dict.fromkeys(arrays, "image"), labels, DIGITS)


def _folders(home: Path, modalities: int | None) -> list[Path]:
    """m0, m1, ... without a gap, in the order of their numbers."""
    found = {
        number: path for (number,), path in numbered(home, r"m(\d+)").items() if path.is_dir()
    }
    count = len(found) if modalities is None else modalities
    for number in range(count):
        if number not in found:
            raise SOURCE.missing(f"folder m{number}", home, [f"m{number}"])
    return [found[number] for number in range(count)]


def _files(folder: Path) -> dict[tuple[int, ...], Path]:
    """(i, digit) -> file, in the order of i, then of the digit."""
    files = numbered(folder, r"(\d+)\.(\d)\.png")
    strange = {path for path in entries(folder) if path.suffix == ".png"} - set(files.values())
    if strange:
        raise ValueError(
            f"PolyMNIST: {min(strange)} is named otherwise than number.digit.png; remove it."
        )
    return files
