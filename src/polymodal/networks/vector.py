"""Vectors with holes: an MLP that sees the values, 0 where absent, and which of them are there."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from polymodal.networks.mlp import ActivationName, MLPEncoder, check_sizes
from polymodal.networks.weights import started


class VectorEncoder(nn.Module):
    """(B, P) values and (B, P) cells -> (B, F).

    The MLP reads [where(cells, x, 0), cells]. For more than ``mask_limit`` features that would
    double the largest layer for little, so the cells are then summed up: a linear map of the
    *absent* ones to ``mask_features`` numbers, and the share that is there.

    Arguments:
        features: The number of features P.
        hidden: Sizes of the hidden layers.
        activation: "silu", "relu" or "leaky_relu".
        dropout: Share of the hidden units dropped in training.
        norm: Whether a layer norm stands before each activation.
        mask_limit: Up to how many features the MLP sees every cell's presence.
        mask_features: How many numbers the presence is summed up in beyond that.
    """

    def __init__(
        self,
        features: int,
        hidden: Sequence[int] = (256, 256),
        *,
        activation: ActivationName = "silu",
        dropout: float = 0.0,
        norm: bool = False,
        mask_limit: int = 500,
        mask_features: int = 32,
    ) -> None:
        super().__init__()
        check_sizes((features, mask_features), "features and mask_features")
        self.features = features
        self.absent: nn.Linear | None = None
        seen = features
        if features > mask_limit:
            # Few or many cells may be absent: start at a size right for half of them.
            absent = nn.Linear(features, mask_features, bias=False)
            self.absent = started(absent, gain=1.0, inputs=features / 2)
            seen = mask_features + 1
        self.layers = MLPEncoder(
            features + seen, hidden, activation=activation, dropout=dropout, norm=norm
        )
        self.out_features = self.layers.out_features

    def forward(self, x: Tensor, cells: Tensor) -> Tensor:
        """Features of each row.

        Arguments:
            x: Values, (B, P); anything, NaN too, where the cell is absent.
            cells: Which cells are there, bool (B, P).
        """
        values = torch.where(cells, x, 0.0)
        there = cells.to(values.dtype)
        if self.absent is None:
            return self.layers(torch.cat([values, there], 1))
        share = there.mean(1, keepdim=True)
        return self.layers(torch.cat([values, self.absent(1 - there), share], 1))
