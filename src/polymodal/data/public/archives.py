"""Arrays of an .npz file, never of a pickle."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np


def read_arrays(path: Path, names: Sequence[str]) -> dict[str, np.ndarray]:
    """Some arrays of a file.

    Raises:
        ValueError: If the file is damaged, lacks one of them, or holds objects instead of numbers.
    """
    try:
        with np.load(path, allow_pickle=False) as held:
            lacking = [name for name in names if name not in held.files]
            if not lacking:
                return {name: held[name] for name in names}
            there = ", ".join(held.files)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as fault:
        raise ValueError(f"{path}: no arrays can be read ({fault}).") from None
    raise ValueError(f"{path}: expected an array {lacking[0]!r}, got {there or 'none'}.")
