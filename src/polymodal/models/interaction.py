r"""An energy over one latent vector a modality.

.. math:: \log q(z_1..z_M) = -\tfrac12 \sum_m |z_m|^2 + \sum_m \nu_m^\top T(z_m)
          + \sum_{m<n} T(z_m)^\top G_{mn} T(z_n) - \log Z, \qquad T(z) = (z, z^2)

With :math:`\nu = 0` it is the prior. Given the others, a block is a diagonal Gaussian with natural
parameters :math:`\eta_m = \nu_m + \sum_n G_{mn} T(z_n)`: precision :math:`1 - 2\eta_m^{(2)}` and
mean :math:`\eta_m^{(1)}` over it.

**Why it can be normalised.** Let a pair of latent numbers a, b of two modalities meet as
:math:`f = \alpha ab + \beta ab^2 + \gamma a^2b - \kappa a^2b^2` with :math:`\kappa > 0` and
:math:`\beta^2, \gamma^2 \le 2\kappa c^2 / N`, where each number meets :math:`N = (M-1) d` others
and c < 1. If both exceed a large R in size, :math:`f \le a^2b^2(-\kappa + O(1/R)) \le 0`. If
:math:`|b| \le R`, then :math:`a^2(\gamma b - \kappa b^2) \le a^2 \gamma^2 / 4\kappa \le
a^2 c^2 / 2N` and the rest is linear in a; so too with a and b exchanged. Hence
:math:`f \le (c^2 / 2N + \epsilon)(a^2 + b^2) + C`, and the sum over all pairs is at most
:math:`(c^2 / 2 + N\epsilon) |z|^2 + C'`, less than the :math:`|z|^2 / 2` that the Gaussian takes
off. :math:`\alpha` is free. Completing the square in b shows as well that the precision of every
conditional is at least :math:`1 - c^2`, whatever the state. Evidence with :math:`\nu^{(2)} \le 0`
changes neither.

References:
    The blocks are those of POISE-VAE, https://github.com/gongziyida/POISEVAE, for two modalities;
    there each number meets d others, here (M - 1) d.
"""

from __future__ import annotations

import math
from itertools import combinations

import torch
from torch import Tensor, nn

BOUND = 0.99
"""The c above."""
LEAST_PRECISION = (1 - BOUND**2) / 2
_START = 0.1  # what a number's precision gains at the start when the others have variance one
_SPREAD = 0.05
_RATE = 5.0  # how many times faster than a bare parameter the blocks move: they lag behind else


def statistics(z: Tensor) -> Tensor:
    """T(z), ``(..., M, d) -> (..., M, 2 d)``."""
    return torch.cat([z, z.square()], -1)


def moments(natural: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and precision of the conditionals, ``(..., 2 d) -> (..., d)`` each."""
    first, second = natural.chunk(2, -1)
    # The bound holds in exact arithmetic; sums of large numbers round.
    precision = (1 - 2 * second).clamp(min=LEAST_PRECISION)
    return first / precision, precision


class Interaction(nn.Module):
    """The matrices G of all pairs of modalities, kept where the energy can be normalised.

    Arguments:
        n_modalities: The number of modalities M.
        dim: Size d of each latent vector.
    """

    def __init__(self, n_modalities: int, dim: int) -> None:
        super().__init__()
        if n_modalities < 1 or dim < 1:
            raise ValueError(
                f"Interaction: n_modalities and dim must be at least 1, got {n_modalities}, {dim}."
            )
        self.n_modalities, self.dim = n_modalities, dim
        pairs = list(combinations(range(n_modalities), 2))
        shape = (len(pairs), dim, dim)
        self.meets = max((n_modalities - 1) * dim, 1)
        self.linear = nn.Parameter(_SPREAD / _RATE / math.sqrt(dim) * torch.randn(shape))
        self.mixed = nn.Parameter(_SPREAD / _RATE * torch.randn(2, *shape))
        self.log_square = nn.Parameter(torch.zeros(shape))
        # Which block each two modalities have: a pair's, its transpose, and none with themselves.
        where = torch.full((n_modalities, n_modalities), 2 * len(pairs))
        for at, (one, other) in enumerate(pairs):
            where[one, other], where[other, one] = at, at + len(pairs)
        self.where: Tensor
        self.register_buffer("where", where.flatten(), persistent=False)

    def forward(self) -> Tensor:
        """All blocks as one symmetric matrix over ``[T(z_1) .. T(z_M)]``, ``(2 M d, 2 M d)``."""
        square = _START / 2 / self.meets * (_RATE * self.log_square).exp()
        mixed = BOUND * (2 * square / self.meets).sqrt() * (_RATE * self.mixed).tanh()
        blocks = torch.stack([_RATE * self.linear, mixed[0], mixed[1], -square], 1)
        blocks = blocks.unflatten(1, (2, 2))  # (pairs, 2, 2, d, d): T's half of one, of the other
        turned = blocks.transpose(1, 2).mT
        every = torch.cat([blocks, turned, blocks.new_zeros(1, *blocks.shape[1:])])
        m, size = self.n_modalities, 2 * self.n_modalities * self.dim
        whole = every.index_select(0, self.where).unflatten(0, (m, m))
        return whole.permute(0, 2, 4, 1, 3, 5).reshape(size, size)


def natural(matrix: Tensor, evidence: Tensor, told: Tensor) -> Tensor:
    """Natural parameters of every block given all the others, ``(..., M, 2 d)``.

    Arguments:
        matrix: All blocks of G, ``(2 M d, 2 M d)``.
        evidence: What the data say, nu, ``(..., M, 2 d)``.
        told: T(z), ``(..., M, 2 d)``.
    """
    return evidence + (told.flatten(-2) @ matrix).reshape(told.shape)
