"""Simple baselines that a model has to beat before anyone should believe it.

The mean (of categories the most frequent one), a linear model (ridge regression with its penalty
chosen by leave-one-out; logistic regression for categories) and the average of the 5 nearest
training rows. They are fitted on the training rows in which the target is known, at most
``MOST_ROWS`` of them, and are deterministic.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from polymodal.random import derive_seed

NEIGHBOURS = 5
MOST_ROWS = 10_000
_MOST_VALUES = 20_000_000
_PENALTIES = np.logspace(-2, 5, 15)
_DISTANCES_AT_ONCE = 20_000_000


@dataclass(frozen=True)
class Predicted:
    """What the baselines predict for N test rows, in the space of the targets.

    Arguments:
        mean: Mean, most frequent category or most frequent text, ``(N, ...)``.
        linear: Ridge or logistic regression; None for texts.
        knn: 5 nearest neighbours; of texts, that of the nearest.
    """

    mean: Tensor
    linear: Tensor | None
    knn: Tensor

    def named(self) -> dict[str, Tensor]:
        """Those that there are, by name."""
        found = {"mean": self.mean, "linear": self.linear, "knn": self.knn}
        return {name: values for name, values in found.items() if values is not None}


def predict(
    kind: str,
    inputs: np.ndarray,
    target: Tensor,
    known: Tensor,
    asked: np.ndarray,
    *,
    seed: int = 0,
) -> Predicted | None:
    """Fit the baselines of a target's kind on training rows and predict test rows.

    Arguments:
        kind: That of a table's column, or of the modality.
        inputs: What is given in the training rows, ``(T, F)``.
        target: What was asked for, in the training rows, ``(T, ...)``.
        known: Which of it is known, bool ``(T,)`` or ``(T, P)``.
        asked: What is given in the test rows, ``(N, F)``.
        seed: Which training rows are taken if there are too many follows from it.

    Returns:
        The predictions, or None if no training row has the target.
    """
    rows = known if known.ndim == 1 else known.any(1)
    index = torch.arange(len(target))[rows.cpu()]
    most = max(1, min(MOST_ROWS, _MOST_VALUES // max(1, target[:1].numel(), inputs.shape[1])))
    if len(index) > most:
        generator = torch.Generator().manual_seed(derive_seed(seed, len(index)))
        index = index[torch.randperm(len(index), generator=generator)[:most].sort().values]
    if not len(index):
        return None
    given, values = inputs[index.numpy()], target.detach().cpu()[index]
    if kind == "text":
        return _texts(given, values, asked)
    if kind in ("ordinal", "category"):
        return _categories(given, values, asked)
    cells = known.cpu()[index] if known.ndim == 2 else None
    return _numbers(kind, given, values, cells, asked)


def nearest_rows(given: np.ndarray, asked: np.ndarray, k: int) -> np.ndarray:
    """The k nearest of the rows ``given (T, F)`` to each row asked for; ``(N, min(k, T))``.

    Of equally near rows the first ones are taken, so the answer is the same on every machine.
    """
    k = min(k, len(given))
    squares = np.einsum("tf,tf->t", given, given)
    size = max(1, _DISTANCES_AT_ONCE // max(1, len(given)))
    found = [
        np.argsort(
            # Rounded, as rows that are equal come out with distances that differ in the last bit.
            np.round(squares - 2 * part @ given.T, 9),
            axis=1,
            kind="stable",
        )[:, :k]
        for part in (asked[start : start + size] for start in range(0, len(asked), size))
    ]
    return np.concatenate([np.zeros((0, k), np.int64), *found])


def _numbers(
    kind: str, given: np.ndarray, values: Tensor, cells: Tensor | None, asked: np.ndarray
) -> Predicted:
    """Mean, ridge and neighbours of P outputs; absent cells get their column's mean."""
    flat = values.reshape(len(values), -1).double().numpy()
    here = np.ones(flat.shape, bool) if cells is None else cells.numpy()
    centre = np.where(here, flat, 0.0).sum(0) / np.maximum(here.sum(0), 1)
    flat = np.where(here, flat, centre)
    mean = np.broadcast_to(centre, (len(asked), flat.shape[1]))
    found = [mean, _ridge(given, flat, asked), _average(given, flat, asked)]
    counted = kind == "series" and flat.min() >= 0 and (flat[here] == flat[here].round()).all()
    if kind == "count" or counted:
        found = [part.clip(min=0) for part in found]
    if kind in ("image", "tags"):
        found = [part.clip(0, 1) for part in found]
    shape = (len(asked), *values.shape[1:])
    return Predicted(*(torch.from_numpy(part.copy()).reshape(shape) for part in found))


def _ridge(given: np.ndarray, values: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """Ridge regression, a penalty an output chosen by leave-one-out; ``(N, P)``."""
    if len(given) < 3 or not given.shape[1]:
        return np.broadcast_to(values.mean(0), (len(asked), values.shape[1]))
    from sklearn.linear_model import RidgeCV

    ridge = RidgeCV(_PENALTIES, alpha_per_target=True).fit(given, values)
    return ridge.predict(asked).reshape(len(asked), values.shape[1])


def _average(given: np.ndarray, values: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """Mean of the nearest neighbours; ``(N, P)``."""
    near = nearest_rows(given, asked, NEIGHBOURS)
    total = np.zeros((len(asked), values.shape[1]))
    for column in near.T:
        total += values[column]
    return total / near.shape[1]


def _categories(given: np.ndarray, values: Tensor, asked: np.ndarray) -> Predicted:
    """Most frequent category, logistic regression and the vote of the neighbours."""
    codes = values.long().numpy()
    mode = np.full(len(asked), np.bincount(codes).argmax())
    votes = codes[nearest_rows(given, asked, NEIGHBOURS)]  # (N, k)
    counts = (votes[:, :, None] == np.arange(codes.max() + 1)).sum(1)
    found = [mode, _logistic(given, codes, asked), counts.argmax(1)]
    return Predicted(*(torch.from_numpy(part.astype(np.float64)) for part in found))


def _logistic(given: np.ndarray, codes: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """Logistic regression over all levels at once; ``(N,)``."""
    if len(np.unique(codes)) < 2 or not given.shape[1]:
        return np.full(len(asked), np.bincount(codes).argmax())
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    with warnings.catch_warnings():
        # Categories that can be told apart without error have no finite optimum worth waiting for.
        warnings.simplefilter("ignore", ConvergenceWarning)
        return LogisticRegression(max_iter=200, tol=1e-3).fit(given, codes).predict(asked)


def _texts(given: np.ndarray, values: Tensor, asked: np.ndarray) -> Predicted:
    """The most frequent text (the first of equally frequent ones) and that of the nearest row."""
    tokens = values.numpy()
    _, first, counts = np.unique(tokens, axis=0, return_index=True, return_counts=True)
    mode = tokens[first[counts == counts.max()].min()]
    near = nearest_rows(given, asked, 1)[:, 0]
    return Predicted(
        torch.from_numpy(np.repeat(mode[None], len(asked), axis=0)),
        None,
        torch.from_numpy(tokens[near]),
    )
