"""Tables with holes: every column as numbers an MLP can read, and which cells are there.

A present cell gives, by its kind:

    number, positive    x                                  (standardised by the codec)
    count               log(1 + x) / 3                     (a fixed scale: no running statistics)
    ordinal             2 code / (levels - 1) - 1, and a one-hot code
    category            a one-hot code, so that the first layer's columns are its embedding

An absent cell gives zeros. Each cell's presence is read too, so the first layer learns a token for
"absent" a column. Columns are laid side by side by index: no loop over columns.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from polymodal.networks.mlp import ActivationName, MLPEncoder
from polymodal.typing import Column

COUNT_SCALE = 3.0


class TableInputs(nn.Module):
    """What networks read of a table's present cells: numbers, then one-hot codes.

    Arguments:
        columns: The table's columns, P of them.

    Attributes:
        owner: The column of each input, int64.
    """

    columns: tuple[Column, ...]
    scaled: Tensor
    scale: Tensor
    shift: Tensor
    counts: Tensor
    coded: Tensor
    code: Tensor
    owner: Tensor

    def __init__(self, columns: Sequence[Column]) -> None:
        super().__init__()
        self.columns = tuple(columns)
        if not self.columns:
            raise ValueError(
                f"{type(self).__name__}: a table needs at least one column, got none."
            )
        scaled = [i for i, column in enumerate(self.columns) if column.kind != "category"]
        levels = [(i, k) for i, column in enumerate(self.columns) for k in range(column.levels)]
        ordinal = [self.columns[i].kind == "ordinal" for i in scaled]
        steps = [max(self.columns[i].levels - 1, 1) for i in scaled]
        pairs = list(zip(ordinal, steps, strict=True))
        self._keep("scaled", torch.tensor(scaled, dtype=torch.long))
        self._keep("scale", torch.tensor([2.0 / step if o else 1.0 for o, step in pairs]))
        self._keep("shift", torch.tensor([-1.0 if o else 0.0 for o, _ in pairs]))
        self._keep("counts", torch.tensor([self.columns[i].kind == "count" for i in scaled]))
        self._keep("coded", torch.tensor([i for i, _ in levels], dtype=torch.long))
        self._keep("code", torch.tensor([float(k) for _, k in levels]))
        self.has_counts = any(column.kind == "count" for column in self.columns)
        self.has_ordinals = any(ordinal)
        self._keep("owner", torch.tensor([*scaled, *(i for i, _ in levels)], dtype=torch.long))

    def _keep(self, name: str, value: Tensor) -> None:
        # The columns say it all; a file of weights need not.
        self.register_buffer(name, value, persistent=False)

    def inputs(self, x: Tensor, cells: Tensor) -> list[Tensor]:
        """The inputs in the order of ``owner``, in one or two pieces ``(B, ...)``; absent: zero.

        Arguments:
            x: Values, (B, P); anything, NaN too, where the cell is absent.
            cells: Which cells are there, bool (B, P).
        """
        values = torch.where(cells, x, 0.0)
        parts = []
        if len(self.scaled) == len(self.columns):
            parts.append(self._numbers(values, cells))
        elif len(self.scaled):
            parts.append(self._numbers(values[:, self.scaled], cells[:, self.scaled]))
        if len(self.coded):
            hot = (values[:, self.coded] == self.code) & cells[:, self.coded]
            parts.append(hot.to(values.dtype))
        return parts

    def _numbers(self, values: Tensor, cells: Tensor) -> Tensor:
        """Numbers, counts and ordinals on one scale, 0 where absent."""
        if self.has_counts:
            logs = torch.log1p(values.clamp_min(0.0)) / COUNT_SCALE
            values = torch.where(self.counts, logs, values)
        if self.has_ordinals:
            values = torch.where(cells, values * self.scale + self.shift, 0.0)
        return values


class TableEncoder(TableInputs):
    """(B, P) values and (B, P) cells -> (B, F).

    Arguments:
        columns: The table's columns, P of them.
        hidden: Sizes of the hidden layers.
        activation: "silu", "relu" or "leaky_relu".
        dropout: Share of the hidden units dropped in training.
        norm: Whether a layer norm stands before each activation.
    """

    def __init__(
        self,
        columns: Sequence[Column],
        hidden: Sequence[int] = (128, 128),
        *,
        activation: ActivationName = "silu",
        dropout: float = 0.0,
        norm: bool = False,
    ) -> None:
        super().__init__(columns)
        n_coded = sum(column.levels > 0 for column in self.columns)
        self.layers = MLPEncoder(
            len(self.owner) + len(self.columns),
            hidden,
            activation=activation,
            dropout=dropout,
            norm=norm,
            # Of a one-hot code one input is on: counting all would start its weights too small.
            active_inputs=len(self.scaled) + n_coded + len(self.columns),
        )
        self.out_features = self.layers.out_features

    def forward(self, x: Tensor, cells: Tensor) -> Tensor:
        """Features of each row.

        Arguments:
            x: Values, (B, P); anything, NaN too, where the cell is absent.
            cells: Which cells are there, bool (B, P).
        """
        return self.layers(torch.cat([cells.to(x.dtype), *self.inputs(x, cells)], 1))
