"""The words that every layer shares: batches, presence, columns and the alphabet of shapes.

Shapes are written with one letter a size: ``B`` rows, ``M`` modalities, ``S`` strata, ``K``
samples, ``D`` latent dimensions, ``P`` features (cells) of one modality. Leading axes are ``...``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from torch import Tensor

Batch = Mapping[str, Tensor]
"""Modality name -> values, ``(B, ...)``. Values under a false mask may be anything, NaN too."""

Present = Mapping[str, Tensor]
"""Modality name -> bool, ``(B,)``, or ``(B, P)`` where single cells may be missing."""

ColumnKind = Literal["number", "positive", "count", "ordinal", "category"]
COLUMN_KINDS: tuple[str, ...] = get_args(ColumnKind)


@dataclass(frozen=True)
class Column:
    """What networks and likelihoods know of one column of a table.

    Arguments:
        name: The column's name.
        kind: The kind of its values.
        levels: How many levels an ordinal or category column has; 0 for the other kinds.
    """

    name: str
    kind: ColumnKind
    levels: int = 0

    def __post_init__(self) -> None:
        if self.kind not in COLUMN_KINDS:
            raise ValueError(
                f"Column {self.name!r}: kind must be one of {', '.join(COLUMN_KINDS)}, "
                f"got {self.kind!r}."
            )
        if (self.kind in ("ordinal", "category")) != (self.levels > 0):
            raise ValueError(
                f"Column {self.name!r}: {self.kind} columns take "
                f"{'levels >= 1' if self.kind in ('ordinal', 'category') else 'no levels'}, "
                f"got levels={self.levels}."
            )


def is_whole(value: object, least: int = 0) -> bool:
    """Whether a value is a whole number, numpy's too, of at least ``least``; no truth value is."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        return False
    return int(value) >= least


LARGEST_SEED = 2**63 - 1


def checked_seed(owner: str, value: object) -> int:
    """A seed that a caller gave.

    Raises:
        ValueError: If it is no whole number that a generator takes.
    """
    if not is_whole(value) or int(value) > LARGEST_SEED:  # pyright: ignore[reportArgumentType]
        raise ValueError(f"{owner} must be a whole number from 0 to 2^63 - 1, got {value!r}.")
    return int(value)  # pyright: ignore[reportArgumentType]


def rows_present(mask: Tensor) -> Tensor:
    """Rows of which anything is there: the mask itself ``(B,)``, or any cell of ``(B, P)``."""
    return mask if mask.ndim == 1 else mask.any(1)


def as_cells(mask: Tensor, values: Tensor) -> Tensor:
    """A mask of rows ``(B,)``, or of cells as far as it has axes, as one of ``values``' shape."""
    return mask.reshape(*mask.shape, *(1,) * (values.ndim - mask.ndim)).expand_as(values)


def as_width(mask: Tensor, size: int) -> Tensor:
    """A mask of rows ``(B,)``, or of cells ``(B, 1)`` or ``(B, size)``, as one ``(B, size)``."""
    return (mask if mask.ndim == 2 else mask[:, None]).expand(-1, size)


@dataclass(frozen=True)
class Terms:
    """What an objective says of a batch: one value a row, the mean is taken once, in ``fit``.

    Arguments:
        loss: What is minimised, in nats, ``(B,)``.
        parts: Each term of it, unscaled and without gradient, in nats, ``(B,)``.
        compared: What of the loss depends on the other rows of the batch, without gradient, in
            nats, ``(B,)``; None where every row stands for itself, as in any ELBO.
    """

    loss: Tensor
    parts: Mapping[str, Tensor]
    compared: Tensor | None = None
