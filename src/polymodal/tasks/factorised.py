"""A factorisation grid in the data's own terms: what the shared and the private latents hold.

Down a column the private part varies and the shared one stays, along a line the reverse; see
``polymodal.tasks.traverse.factorisation_grid``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from polymodal.data.codec import DataCodec
from polymodal.data.tensors import Tensors
from polymodal.model import LatentModel
from polymodal.tasks.blocks import layout_told
from polymodal.tasks.filled import contained
from polymodal.tasks.traverse import factorisation_grid
from polymodal.tasks.walked import pictures_of
from polymodal.typing import is_whole

if TYPE_CHECKING:
    from pandas import DataFrame

USUAL_ROWS, USUAL_PRIVATE = 8, 8


@dataclass(frozen=True)
class Factorised:
    """One modality decoded from R shared parts and W private ones.

    Arguments:
        codec: The model's codec.
        name: The modality.
        rows: Positions of the rows whose shared parts they are, R of them.
        decoded: Means of p(x | z) in the codec's terms, ``(W, R, ...)``: the private part is the
            same along the second axis, the shared part along the first.
    """

    codec: DataCodec
    name: str
    rows: tuple[int, ...]
    decoded: Tensor

    def frame(self) -> DataFrame:
        """A line a cell, W R in all: ``(private)``, ``(row)``, then what was decoded."""
        import pandas as pd

        n_private, n_rows = self.decoded.shape[:2]
        cells = {
            "(private)": np.repeat(np.arange(n_private), n_rows),
            "(row)": np.tile(self.rows, n_private),
        }
        raw = {self.name: self.codec.decode(self.name, self.decoded.flatten(0, 1))}
        return pd.concat([pd.DataFrame(cells), contained(self.codec, raw, "frame")], axis=1)

    def pictures(self) -> np.ndarray:
        """A picture or sound modality as pictures ``(W, R, C, H, W)`` in [0, 1].

        Raises:
            ValueError: If the modality is of another kind.
        """
        return pictures_of(self.codec, self.name, self.decoded)


def factorised(
    model: LatentModel,
    codec: DataCodec,
    source: Tensors,
    name: str,
    rows: int = USUAL_ROWS,
    private: int = USUAL_PRIVATE,
    *,
    seed: int = 0,
) -> Factorised:
    """Decode a modality from every pair of the shared part of a row and a private part.

    Arguments:
        model: A model with private latents.
        codec: Its codec.
        source: The data; the rows are spread evenly over them.
        name: The modality to decode.
        rows: How many rows give their shared parts.
        private: How many private parts are drawn from the prior.
        seed: The draws follow from it.

    Raises:
        ValueError: If there is no such modality, or a number is below 1.
        Lacking: If the model has no private latents, or cannot generate.
    """
    for what, value in (("rows", rows), ("private", private)):
        if not is_whole(value, 1):
            raise ValueError(
                f"factorisation: {what} must be at least 1, a whole number, got {value}."
            )
    chosen = np.unique(np.linspace(0, len(source) - 1, min(rows, len(source))).round().astype(int))
    positions = tuple(int(one) for one in chosen)
    grid = factorisation_grid(
        model, source.rows(torch.tensor(positions)), name, private, seed=seed
    )
    return Factorised(codec, name, positions, grid.cpu())


def tells_apart(model: LatentModel, name: str) -> bool:
    """Whether a model has shared latents and private ones of this modality."""
    layout = layout_told(model)
    return layout is not None and bool(layout.shared and layout.private[name])
