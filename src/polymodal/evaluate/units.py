"""The data's own units: errors are read in grams and years, not in standard deviations."""

from __future__ import annotations

from typing import Any, Protocol

import torch
from torch import Tensor

from polymodal.data.cells import numbers
from polymodal.evaluate.inputs import Described


class Decodes(Described, Protocol):
    """A codec: it describes its modalities and turns their tensors back into values."""

    def decode(self, name: str, values: Tensor) -> Any:  # noqa: ANN401
        """Tensor space ``(N, ...)`` -> raw values."""
        ...


def in_own_units(codec: Decodes, name: str, values: Tensor) -> Tensor:
    """A modality's values ``(..., N, P)`` in the units of the data.

    Numbers (dates in days), positive numbers and counts of a table are decoded; categories stay
    codes, features of vectors stay standardised (or 0 and 1), pixels stay in [0, 1], texts stay
    tokens.
    """
    if codec.kind(name) != "table":
        return values
    columns = codec.columns(name)
    numeric = [j for j, column in enumerate(columns) if column.levels == 0]
    if not numeric:
        return values.double()
    flat = values.reshape(-1, len(columns))
    decoded = codec.decode(name, flat.float())
    own = flat.double().clone()
    for j in numeric:
        column = columns[j].name
        own[:, j] = torch.from_numpy(numbers(decoded[column], f"{name}, {column}").copy())
    return own.reshape(values.shape)
