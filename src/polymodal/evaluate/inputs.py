"""What the baselines see: the very inputs of the model, as one plain matrix.

Blocks, one a modality and one a column of a table: numbers standardised, categories one-hot,
images flattened, texts as counts of their most frequent words. Absent values are filled by the
mean of the training rows, and an indicator column says so. Blocks of more than ``WIDE`` columns
are reduced to ``COMPONENTS`` principal components, which keeps the baselines quick.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from polymodal.distributions.special_tokens import END
from polymodal.metrics.text import words_of
from polymodal.typing import Batch, Column, Present, rows_present

WIDE = {"image": 100, "audio": 100, "vector": 1000, "embedding": 1000, "series": 1000, "text": 500}
WIDE["tags"] = 500
COMPONENTS = 100
WORDS = 500
"""Words counted in a text: the most frequent ones of the training rows."""


class Described(Protocol):
    """What is asked of a codec here: which modalities there are, and of what kind."""

    @property
    def names(self) -> Sequence[str]:
        """The modalities."""
        ...

    def kind(self, name: str) -> str:
        """table, vector, image or text."""
        ...

    def columns(self, name: str) -> Sequence[Column]:
        """A table's columns."""
        ...


Part = tuple[str, str | None]
"""A modality, and the column of it where it is a table."""


@dataclass(frozen=True)
class Block:
    """How one part becomes columns of the matrix; fitted on training rows.

    Arguments:
        name: The modality.
        kind: table, vector, image or text.
        index: The column's place in its table; None for other kinds.
        levels: Levels of a category, 0 for numbers.
        words: Tokens counted, ``(W,)``; empty but for text.
        centre: Mean of each raw column, ``(F,)``.
        scale: What each is divided by, ``(F,)``.
        flagged: Raw columns whose absence gets an indicator.
        axes: Principal axes, ``(F, C)``, or None.
    """

    name: str
    kind: str
    index: int | None
    levels: int
    words: np.ndarray
    centre: np.ndarray
    scale: np.ndarray
    flagged: np.ndarray
    axes: np.ndarray | None

    def transform(self, x: Batch, present: Present) -> np.ndarray:
        """Rows -> float64 ``(N, F')``."""
        raw, known = _raw(self.kind, self.index, self.levels, self.words, x, present, self.name)
        values = np.where(known, (raw - self.centre) / self.scale, 0.0)
        if self.axes is not None:
            values = values @ self.axes
        return np.concatenate([values, ~known[:, self.flagged]], axis=1)


def fit_block(codec: Described, name: str, index: int | None, x: Batch, present: Present) -> Block:
    """Learn means, scales, words and axes of one part from training rows."""
    kind = codec.kind(name)
    levels = codec.columns(name)[index].levels if index is not None else 0
    words = _frequent_words(x[name], present[name]) if kind == "text" else np.zeros(0, np.int64)
    raw, known = _raw(kind, index, levels, words, x, present, name)
    counts = known.sum(0)
    centre = np.where(known, raw, 0.0).sum(0) / np.maximum(counts, 1)
    squares = np.where(known, (raw - centre) ** 2, 0.0).sum(0) / np.maximum(counts, 1)
    if kind in ("image", "audio", "text", "embedding"):
        squares = np.full_like(squares, squares.mean() if squares.size else 1.0)
    elif levels:
        squares = np.ones_like(squares)
    # A constant column, up to rounding, says nothing; divided by its rounding errors it would.
    scale = np.where(squares > 1e-10 * (1 + centre**2), np.sqrt(squares), 1.0)
    flagged = _flagged(known)
    axes = None
    if raw.shape[1] > WIDE.get(kind, raw.shape[1]):
        axes = _principal_axes(np.where(known, (raw - centre) / scale, 0.0))
    return Block(name, kind, index, levels, words, centre, scale, flagged, axes)


def _flagged(known: np.ndarray) -> np.ndarray:
    """Columns that are sometimes absent, one of those that are absent together."""
    counts = known.sum(0)
    sometimes = np.flatnonzero((counts > 0) & (counts < len(known)))
    _, first = np.unique(known[:, sometimes], axis=1, return_index=True)
    return sometimes[np.sort(first)]


def fit_blocks(codec: Described, x: Batch, present: Present) -> dict[Part, Block]:
    """A block for every modality, and for every column of a table."""
    blocks: dict[Part, Block] = {}
    for name in codec.names:
        if name not in x:
            continue
        if codec.kind(name) != "table":
            blocks[name, None] = fit_block(codec, name, None, x, present)
            continue
        for index, column in enumerate(codec.columns(name)):
            blocks[name, column.name] = fit_block(codec, name, index, x, present)
    return blocks


def matrix(matrices: Mapping[Part, np.ndarray], hidden: Part, n_rows: int) -> np.ndarray:
    """The blocks' columns side by side, without those of what is asked for.

    Arguments:
        matrices: Part -> its columns ``(N, F)``.
        hidden: The part asked for; a column None stands for all columns of the modality.
        n_rows: Number of rows, N.
    """
    kept = [
        values
        for (name, column), values in matrices.items()
        if name != hidden[0] or (hidden[1] is not None and column != hidden[1])
    ]
    return np.concatenate([np.zeros((n_rows, 0)), *kept], axis=1)


def _raw(
    kind: str,
    index: int | None,
    levels: int,
    words: np.ndarray,
    x: Batch,
    present: Present,
    name: str,
) -> tuple[np.ndarray, np.ndarray]:
    """Values and which of them are known, ``(N, F)`` both."""
    values, mask = x[name].detach().cpu(), present[name].cpu()
    if kind == "text":
        raw = _count_words(values, words)
    elif index is not None:
        raw = values[:, index : index + 1].double().numpy()
        if mask.ndim == 2:
            mask = mask[:, index]
        if levels:
            raw = (raw == np.arange(levels)).astype(np.float64)
    else:
        raw = values.flatten(1).double().numpy()
    known = mask.numpy()
    known = known if known.ndim == 2 else np.broadcast_to(known[:, None], raw.shape)
    return np.where(known, raw, 0.0), known


def _frequent_words(tokens: Tensor, present: Tensor) -> np.ndarray:
    """The most frequent words of the rows that have a text, by count, then by token."""
    here = tokens[rows_present(present)].cpu()
    counts = torch.bincount(here[words_of(here)], minlength=END + 1).numpy()
    order = np.argsort(-counts, kind="stable")[:WORDS]
    return np.sort(order[counts[order] > 0])


def _count_words(tokens: Tensor, words: np.ndarray) -> np.ndarray:
    """How often each of the words is in each text, ``(N, W)``."""
    counts = np.zeros((len(tokens), len(words)))
    row, place = np.nonzero(words_of(tokens).numpy())
    found = tokens.numpy()[row, place]
    at = np.searchsorted(words, found)
    if len(words):
        hit = words[np.minimum(at, len(words) - 1)] == found
        np.add.at(counts, (row[hit], at[hit]), 1.0)
    return counts


def _principal_axes(values: np.ndarray) -> np.ndarray | None:
    """The first principal axes ``(F, C)`` of centred rows ``(T, F)``."""
    n_axes = min(COMPONENTS, *values.shape)
    if n_axes < 1:
        return None
    from sklearn.decomposition import PCA

    with np.errstate(invalid="ignore"):  # rows without any variance have no shares of it
        found = PCA(n_axes, svd_solver="randomized", random_state=0).fit(values)
    return np.asarray(found.components_).T
