"""What encoders said of private latents of training rows, kept to draw others from.

Nothing but latents is kept, of at most so many rows; see ``distributions/neighbours.py`` for the
density that they make.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from polymodal.distributions.neighbours import Neighbours

LEAST_ROWS = 20
"""A modality that fewer rows have keeps N(0, I)."""
_RIDGE = 1e-4


class Exemplars(nn.Module):
    """p(w_m | z) by rows that were seen; N(0, I) until it is measured.

    Arguments:
        shared: The size L of the shared block.
        n_modalities: The number of modalities M.
        size: The size V of each private block.
        most: The largest number of rows E that are kept for each modality.
    """

    def __init__(self, shared: int, n_modalities: int, size: int, most: int) -> None:
        super().__init__()
        self.most = most
        shapes = {
            "anchors": (n_modalities, most, shared),
            "loc": (n_modalities, most, size),
            "scale": (n_modalities, most, size),
            "centre": (n_modalities, size),
        }
        self.anchors: Tensor
        self.loc: Tensor
        self.scale: Tensor
        self.centre: Tensor
        self.tril: Tensor
        self.count: Tensor
        for name, shape in shapes.items():
            self.register_buffer(name, torch.zeros(shape))
        self.register_buffer("tril", torch.eye(size).repeat(n_modalities, 1, 1))
        self.register_buffer("count", torch.zeros(n_modalities, dtype=torch.long))
        self.forget()

    def forward(self) -> Neighbours:
        """p(w | z) as it was measured."""
        return Neighbours(self.anchors, self.loc, self.scale, self.count, self.centre, self.tril)

    @torch.no_grad()
    def forget(self) -> None:
        """Back to N(0, I)."""
        for buffer in (self.anchors, self.loc, self.centre, self.count):
            buffer.zero_()
        self.scale.fill_(1.0)
        self.tril.copy_(torch.eye(self.tril.shape[-1]))

    @torch.no_grad()
    def measure(
        self, z: Tensor, loc: Tensor, scale: Tensor, on: Tensor, generator: torch.Generator
    ) -> None:
        """Keep some rows of each modality.

        Arguments:
            z: Draws of the shared block given all that each row has, ``(N, L)``.
            loc: Locations of all private blocks, ``(N, M V)``.
            scale: Their scales, ``(N, M V)``.
            on: Which modalities each row has, bool ``(N, M)``.
            generator: Which rows are kept follows from it.
        """
        self.forget()
        n_modalities, size = self.centre.shape
        order = torch.randperm(len(z), generator=generator).to(z.device)
        finite = torch.isfinite(torch.cat([z, loc, scale], 1)).all(1)
        for m in range(n_modalities):
            rows = order[(on[:, m] & finite)[order]]
            if len(rows) < LEAST_ROWS:
                continue
            own = slice(m * size, (m + 1) * size)
            centre, covariance = _moments(loc[rows][:, own], scale[rows][:, own])
            self.centre[m], self.tril[m] = centre, torch.linalg.cholesky(covariance)
            kept = rows[: self.most]
            self.count[m] = len(kept)
            self.anchors[m, : len(kept)] = z[kept]
            self.loc[m, : len(kept)] = loc[kept][:, own]
            self.scale[m, : len(kept)] = scale[kept][:, own]


def _moments(loc: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and covariance of equal parts of N(loc, scale^2), ``(N, V)`` each."""
    loc, scale = loc.double(), scale.double()
    within = scale.square().mean(0) + _RIDGE
    between = torch.cov(loc.T, correction=0).reshape(loc.shape[1], loc.shape[1])
    return loc.mean(0), between + within.diag()
