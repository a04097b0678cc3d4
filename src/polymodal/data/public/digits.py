"""MNIST's idx files and SVHN's cropped digits, as their authors publish them."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Literal

import numpy as np

from polymodal.data.public.folders import Source

MNIST = Source("MNIST", "http://yann.lecun.com/exdb/mnist/")
SVHN = Source("SVHN", "http://ufldl.stanford.edu/housenumbers/")
_MNIST_PLACES = ("", "MNIST/raw/", "raw/", "MNIST/", "mnist/")
_SVHN_PLACES = ("", "SVHN/", "svhn/")

Split = Literal["train", "test"]


def read_mnist(folder: str | Path, split: Split) -> tuple[np.ndarray, np.ndarray]:
    """Pictures, uint8 (N, 28, 28), and digits, uint8 (N,), of ``train-images-idx3-ubyte[.gz]``.

    Raises:
        FileNotFoundError: If a file is not there.
        ValueError: If one is no idx file, or there are more pictures than labels or fewer.
    """
    start = "train" if split == "train" else "t10k"
    images, labels = (
        read_idx(_mnist_file(folder, f"{start}-{name}"), axes)
        for name, axes in (("images-idx3-ubyte", 3), ("labels-idx1-ubyte", 1))
    )
    if len(images) != len(labels):
        raise ValueError(
            f"MNIST: {start}-images-idx3-ubyte has {len(images)} pictures, "
            f"{start}-labels-idx1-ubyte {len(labels)} labels; they must be as many."
        )
    return images, labels


def _mnist_file(folder: str | Path, name: str) -> Path:
    # some archives write a point before idx
    names = [
        f"{place}{one}{suffix}"
        for place in _MNIST_PLACES
        for one in (name, name.replace("-idx", ".idx"))
        for suffix in ("", ".gz")
    ]
    return MNIST.find(folder, names, "file of digits")


def read_idx(path: Path, axes: int) -> np.ndarray:
    """An array of bytes in the idx format: 0, 0, 8, number of axes, sizes (big-endian), bytes.

    Y. LeCun, C. Cortes, C. Burges, "The MNIST database", http://yann.lecun.com/exdb/mnist/

    Raises:
        ValueError: If the file is damaged or something else; names it.
    """
    try:
        held = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError) as fault:
        raise ValueError(f"{path}: the file can not be unpacked ({fault}).") from None
    begin = 4 + 4 * axes
    if len(held) < begin or held[:4] != bytes((0, 0, 8, axes)):
        raise ValueError(f"{path}: expected an idx file of bytes with {axes} axes, got another.")
    sizes = np.frombuffer(held, dtype=">u4", count=axes, offset=4).astype(np.int64)
    if len(held) - begin != sizes.prod():
        raise ValueError(
            f"{path}: expected {sizes.prod()} bytes after the sizes {tuple(sizes.tolist())}, got "
            f"{len(held) - begin}; the file is cut or damaged."
        )
    return np.frombuffer(held, dtype=np.uint8, offset=begin).reshape(sizes)


def read_svhn(folder: str | Path, split: Split) -> tuple[np.ndarray, np.ndarray]:
    """Pictures, uint8 (N, 3, 32, 32), and digits, uint8 (N,), of ``train_32x32.mat``.

    The file writes the digit 0 as 10.

    Netzer et al., "Reading Digits in Natural Images with Unsupervised Feature Learning", 2011,
    http://ufldl.stanford.edu/housenumbers/

    Raises:
        FileNotFoundError: If the file is not there.
        ValueError: If it does not hold ``X`` (32, 32, 3, N) and ``y`` (N, 1) of 1 to 10.
    """
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    name = f"{split}_32x32.mat"
    path = SVHN.find(folder, [f"{place}{name}" for place in _SVHN_PLACES], "file of digits")
    try:
        held = loadmat(path, variable_names=["X", "y"])
    except (OSError, ValueError, TypeError, NotImplementedError, MatReadError) as fault:
        raise ValueError(f"{path}: the file can not be read as .mat ({fault}).") from None
    images, labels = held.get("X"), held.get("y")
    if images is None or labels is None:
        raise ValueError(f"{path}: expected the arrays 'X' and 'y', got {sorted(held)}.")
    if images.ndim != 4 or images.shape[2] != 3 or images.dtype != np.uint8:
        raise ValueError(
            f"{path}: expected X of uint8 (32, 32, 3, N), got {images.dtype} {images.shape}."
        )
    digits = labels.reshape(-1).astype(np.int64)
    if len(digits) != images.shape[3]:
        raise ValueError(f"{path}: {images.shape[3]} pictures but {len(digits)} labels.")
    if len(digits) and (digits.min() < 1 or digits.max() > 10):
        raise ValueError(f"{path}: labels must be 1 to 10 (10 for the digit 0).")
    return np.ascontiguousarray(images.transpose(3, 2, 0, 1)), (digits % 10).astype(np.uint8)
