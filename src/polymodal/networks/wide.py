r"""A linear path beside a network: what is linear need not be learned by layers.

.. math:: h(x) = [f(x), x], \qquad g(z) = f(z) + A z

The views of small tabular data are often linear functions of each other; a network alone learns
that from thousands of rows, a linear path from hundreds.

References:
    Heng-Tze Cheng et al. Wide & Deep Learning for Recommender Systems. 2016.
    https://arxiv.org/abs/1606.07792.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn


class WideEncoder(nn.Module):
    """An encoder's features with the input itself beside them.

    Arguments:
        encoder: ``(x)`` or ``(x, cells)`` -> features ``(B, F)``.
        in_features: How many numbers a row of the input has.
        counts: Whether these are counts, which are read as log(1 + x).
    """

    def __init__(self, encoder: nn.Module, in_features: int, *, counts: bool = False) -> None:
        super().__init__()
        self.encoder = encoder
        self.counts = counts
        self.out_features = int(encoder.out_features) + in_features  # pyright: ignore[reportArgumentType]

    def forward(self, x: Tensor, cells: Tensor | None = None) -> Tensor:
        """Features ``(B, F + P)``; cells that are not there read as zero."""
        if cells is None:
            return torch.cat([self.encoder(x), x.flatten(1)], -1)
        values = torch.where(cells, x, 0)
        values = values.clamp(min=0).log1p() if self.counts else values
        return torch.cat([self.encoder(x, cells), values], -1)


class WideDecoder(nn.Module):
    """A decoder plus a linear map of the latent.

    Arguments:
        decoder: ``(N, D)`` -> ``(N, *shape)``.
        latent_dim: The size D of what it reads.
        shape: The shape of one row's output.
    """

    def __init__(self, decoder: nn.Module, latent_dim: int, shape: Sequence[int]) -> None:
        super().__init__()
        self.decoder = decoder
        self.linear = nn.Linear(latent_dim, math.prod(shape), bias=False)
        self.shape = tuple(shape)
        nn.init.normal_(self.linear.weight, std=0.1 / math.sqrt(latent_dim))

    def forward(self, z: Tensor) -> Tensor:
        """The parameters, ``(N, *shape)``."""
        return self.decoder(z) + self.linear(z).unflatten(-1, self.shape)
