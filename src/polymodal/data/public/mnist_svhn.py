"""MNIST-SVHN and MNIST-SVHN-Text: a digit by hand, on a house, and as a word."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np

from polymodal.data.public.archives import read_arrays
from polymodal.data.public.arguments import check_choice, checked_rows, checked_seed, checked_whole
from polymodal.data.public.class_pairs import pair_by_class
from polymodal.data.public.digits import read_mnist, read_svhn
from polymodal.data.public.folders import spaced
from polymodal.data.public.labelled import Labelled, assemble
from polymodal.data.public.polymnist import DIGITS
from polymodal.data.specs import ModalitySpec

ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789-,;.!?:'\"\\/|_@#$%^&*~`+-=<>()[]{} \n"
"""The 71 characters of the text modality; ``-`` stands twice, as in the published alphabet."""

WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
LENGTH = 8
BLANK = "_"

Index = str | Path | tuple[Any, Any] | list[Any]
"""Paired rows of MNIST and SVHN: two arrays, or an .npz file with ``mnist`` and ``svhn``."""


def mnist_svhn(
    folder: str | Path,
    split: Literal["train", "test"] = "train",
    *,
    text: bool = False,
    multiply: int = 5,
    most: int = 10_000,
    seed: int = 0,
    index: Index | None = None,
    n: int | None = None,
) -> Labelled:
    """Pairs of MNIST and SVHN digits of the same class, with their English word if wanted.

    Of each class the first ``min(count, count, most)`` digits of both are paired by ``multiply``
    random permutations. Published results differ in ``multiply`` (20 and 30, or 5), which matters
    together with the number of epochs; so say it beside a result. A pair takes 3.9 kB: 20 times
    the training rows are 4 GB.

    The text has 8 characters: blanks, and the word at a random place, drawn once a row.

    Shi et al., 2019, https://arxiv.org/abs/1911.03393; text: Sutter, Daunhawer, Vogt, 2020,
    https://arxiv.org/abs/2006.08242.

    Arguments:
        folder: Has ``train-images-idx3-ubyte`` and its kin, packed by gzip or not, also under
            ``MNIST/raw``; and ``train_32x32.mat``, ``test_32x32.mat``, also under ``SVHN``.
        split: Which rows.
        text: Whether the word is a third modality.
        multiply: Permutations a class.
        most: Most digits of a class.
        seed: The same seed gives the same pairs and words.
        index: Pairs made elsewhere, instead of drawn ones; their labels are checked.
        n: At most so many rows, at equal distances, since rows lie by class.

    Returns:
        Modalities ``mnist``, uint8 (N, 28, 28), ``svhn``, uint8 (N, 3, 32, 32) and ``text``; the
        label is the digit.

    Raises:
        FileNotFoundError: If a file is not there.
        ValueError: If a file is damaged, or pairs made elsewhere join two digits.
    """
    check_choice("MNIST-SVHN", "split", split, ("train", "test"))
    n = checked_rows("MNIST-SVHN", n)
    multiply = checked_whole("MNIST-SVHN", "multiply", multiply)
    most, seed = checked_whole("MNIST-SVHN", "most", most), checked_seed("MNIST-SVHN: seed", seed)
    images, labels = read_mnist(folder, split)
    houses, numbers = read_svhn(folder, split)
    if index is None:
        rng = np.random.default_rng(seed)
        left, right = pair_by_class(labels, numbers, multiply, most, rng)
    else:
        left, right = _given_pairs(index, labels, numbers)
    rows = spaced(len(left), n)
    left, right = left[rows], right[rows]
    arrays = {"mnist": images[left], "svhn": houses[right]}
    kinds: dict[str, ModalitySpec | str] = {"mnist": "image", "svhn": "image"}
    if text:
        arrays["text"] = digit_texts(labels[left], seed)
        kinds["text"] = ModalitySpec("text", column="text", tokenizer="char")
    return assemble("MNIST-SVHN", arrays, kinds, labels[left], DIGITS)


def digit_texts(digits: np.ndarray, seed: int) -> np.ndarray:
    """English words of digits in strings of 8 characters, each at a random place.

    The first character is at 0 to 7 - length, each as likely, so the last is always blank. A
    blank is written as an underscore: texts here begin and end with no white space.

    Example:
        >>> digit_texts(np.array([3]), seed=0)[0].strip("_")
        'three'
    """
    # a stream of its own: the pairs are the same with and without text
    draws = np.random.default_rng([seed, 1]).random(len(digits))
    texts = np.full(len(digits), "", dtype=object)
    for row, digit in enumerate(digits):
        word = WORDS[digit]
        start = int(draws[row] * (LENGTH - len(word)))
        texts[row] = (BLANK * start + word).ljust(LENGTH, BLANK)
    return texts


def _two_arrays(index: object) -> tuple[np.ndarray, np.ndarray]:
    if isinstance(index, tuple | list | np.ndarray) and len(index) == 2:
        try:
            return np.asarray(index[0]), np.asarray(index[1])
        except ValueError:
            pass
    raise ValueError(
        "MNIST-SVHN: index must be two arrays of row numbers, of MNIST and of SVHN, or the path "
        f"of an .npz file with them, got {index!r:.60}."
    )


def _given_pairs(
    index: Index, labels: np.ndarray, numbers: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    if not isinstance(index, str | Path):
        left, right = _two_arrays(index)
    else:
        path = Path(index)
        if path.suffix != ".npz":
            raise ValueError(
                f"{path}: pairs are read from .npz only (a .pt file is a pickle, which can run "
                "code); save them elsewhere by numpy.savez(path, mnist=rows, svhn=rows)."
            )
        if not path.is_file():
            raise FileNotFoundError(f"MNIST-SVHN: there is no file of pairs {str(path)!r}.")
        left, right = read_arrays(path, ["mnist", "svhn"]).values()
    for rows, known, name in ((left, labels, "MNIST"), (right, numbers, "SVHN")):
        if rows.ndim != 1 or rows.dtype.kind not in "iu" or len(rows) != len(left):
            raise ValueError(
                f"MNIST-SVHN: pairs must be two arrays of as many row numbers, got {rows.dtype} "
                f"{rows.shape} for {name}."
            )
        if len(rows) and (rows.min() < 0 or rows.max() >= len(known)):
            raise ValueError(f"MNIST-SVHN: a pair names a row that {name} has not.")
    wrong = labels[left] != numbers[right]
    if wrong.any():
        row = int(np.argmax(wrong))
        raise ValueError(
            f"MNIST-SVHN: pair {row} joins the digit {labels[left[row]]} (MNIST row {left[row]}) "
            f"with {numbers[right[row]]} (SVHN row {right[row]}); the pairs are of other files."
        )
    return left, right
