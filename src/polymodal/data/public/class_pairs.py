"""Pairs of two labelled collections: a row of each with the same label."""

from __future__ import annotations

import numpy as np


def pair_by_class(
    one: np.ndarray,
    other: np.ndarray,
    multiply: int,
    most: int,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Rows of two collections that show the same class.

    Of each class the first ``min(count of one, count of other, most)`` rows of both are paired
    ``multiply`` times, each time by a new random permutation of either side.

    Shi et al., "Variational Mixture-of-Experts Autoencoders for Multi-Modal Deep Generative
    Models", 2019, https://arxiv.org/abs/1911.03393

    Arguments:
        one: Labels of the first collection, (N,).
        other: Labels of the second, (M,).
        multiply: Permutations a class.
        most: Most rows of a class that are used.
        rng: The random numbers.

    Returns:
        Rows of the first and rows of the second, int64 (pairs,) each, class by class.

    Raises:
        ValueError: If a class is in one collection only.
    """
    lone = np.setxor1d(one, other)
    if len(lone):
        raise ValueError(
            f"pairs: the class {lone[0]} is in one of the two collections only; both must have "
            "the same classes."
        )
    firsts, seconds = [], []
    for label in np.unique(one):
        first, second = np.flatnonzero(one == label), np.flatnonzero(other == label)
        count = min(len(first), len(second), most)
        for _ in range(multiply):
            firsts.append(rng.permutation(first[:count]))
            seconds.append(rng.permutation(second[:count]))
    return np.concatenate(firsts), np.concatenate(seconds)
