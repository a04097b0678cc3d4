r"""Private latents given the shared one, from what was seen: a density by nearest neighbours.

.. math:: p(w_m \mid z) = (1 - \epsilon)\, \frac1k \sum_{n \in \mathcal N_m(z)}
          N\big(w_m \mid \bar\mu_m(z) + \tau (\mu_{nm} - \bar\mu_m(z)),\, \sigma_{nm}^2\big)
          + \epsilon\, N(w_m \mid \bar\mu_m, \Sigma_m)

:math:`\mathcal N_m(z)` are the k of the remembered rows whose shared latent is nearest to z, and
:math:`N(\mu_{nm}, \sigma_{nm}^2)` is what the encoder of modality m said of row n. With
:math:`\tau < 1` draws lie nearer to the neighbours' mean :math:`\bar\mu_m(z)` than they do: some
variety is given up for what the neighbours have in common (generators of images call it
truncation). In many dimensions such narrow pieces leave nearly all of the space without density,
so a small share :math:`\epsilon` is a normal with the moments of all that was remembered.

References:
    A prior of what the encoder says of training rows: Sajad Norouzi, David Fleet, Mohammad
    Norouzi. Exemplar VAE: Linking Generative Models, Nearest Neighbor Retrieval, and Data
    Augmentation. NeurIPS 2020. https://arxiv.org/abs/2004.04795, eq. 5. The conditional by
    neighbours: Don Loftsgaarden, Charles Quesenberry. A Nonparametric Estimate of a Multivariate
    Density Function. Annals of Mathematical Statistics 36, 1965.
    https://doi.org/10.1214/aoms/1177700079. Truncation: Andrew Brock, Jeff Donahue, Karen
    Simonyan. Large Scale GAN Training for High Fidelity Natural Image Synthesis. ICLR 2019.
    https://arxiv.org/abs/1809.11096, section 3.1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from functools import cached_property

import torch
from torch import Tensor
from torch.distributions import MultivariateNormal

from polymodal.distributions.diagonal import diagonal_log_prob

NEIGHBOURS = 10
VARIETY = 0.5
"""The tau above."""
BROAD = 0.005
_AT_ONCE = 2048


@dataclass(frozen=True)
class Neighbours:
    """p(w_m | z) of M private blocks of V numbers each, from up to E rows a block.

    A block without rows is drawn from its broad normal.

    Arguments:
        anchors: Shared latents of the rows that have each modality, ``(M, E, L)``.
        loc: What their encoders said, ``(M, E, V)``.
        scale: Their scales, ``(M, E, V)``.
        count: How many of the E are rows, int64 ``(M,)``.
        centre: Means of all, ``(M, V)``.
        tril: Cholesky factors of the covariance of all, ``(M, V, V)``.
    """

    anchors: Tensor
    loc: Tensor
    scale: Tensor
    count: Tensor
    centre: Tensor
    tril: Tensor

    def only(self, blocks: Tensor) -> Neighbours:
        """The same of some blocks, bool ``(M,)``."""
        return Neighbours(*(getattr(self, field.name)[blocks] for field in fields(self)))

    @cached_property
    def _searched(self) -> Tensor:
        """The anchors to search, ``(M, E, L)``: one block's for all where all have the same."""
        alike = (self.count == self.count[:1]).all() & (self.anchors == self.anchors[:1]).all()
        return self.anchors[:1] if bool(alike) else self.anchors

    def sample(self, z: Tensor) -> Tensor:
        """Draw all private blocks given shared latents: ``(..., L)`` -> ``(..., M V)``."""
        flat = z.reshape(-1, z.shape[-1])
        drawn = torch.cat([self._draw(some) for some in flat.split(_AT_ONCE)])
        return drawn.reshape(*z.shape[:-1], self.centre.numel())

    def log_prob(self, w: Tensor, z: Tensor) -> Tensor:
        """Log density of each block in nats: ``(..., M V)`` and ``(..., L)`` -> ``(..., M)``."""
        flat = (one.reshape(-1, one.shape[-1]).split(_AT_ONCE) for one in (w, z))
        each = [self._density(*pair) for pair in zip(*flat, strict=True)]
        return torch.cat(each).reshape(*z.shape[:-1], len(self.count))

    @torch.no_grad()
    def _pieces(self, z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Locations and scales of the neighbours' pieces, ``(M, N, k, V)``, and which there are.

        Bool ``(M, k)``: where a block has fewer than k rows the last pieces are none.
        """
        n_blocks, n_rows = self.anchors.shape[:2]
        anchors = self._searched
        far = torch.cdist(z.to(anchors).expand(len(anchors), *z.shape), anchors)
        beyond = torch.arange(n_rows, device=z.device) >= self.count.unsqueeze(1)
        far = far.masked_fill(beyond[: len(anchors)].unsqueeze(1), math.inf)
        k = min(NEIGHBOURS, n_rows)
        near = far.topk(k, largest=False).indices.expand(n_blocks, -1, -1)
        row = near.flatten(1).unsqueeze(-1).expand(-1, -1, self.loc.shape[-1])
        loc, scale = (
            one.gather(1, row).unflatten(1, near.shape[1:]) for one in (self.loc, self.scale)
        )
        real = ~beyond[:, :k]
        share = real.to(loc) / real.sum(1, keepdim=True).clamp(min=1)
        mean = (share[:, None, :, None] * loc).sum(2, keepdim=True)
        return mean + VARIETY * (loc - mean), scale, real

    def _draw(self, z: Tensor) -> Tensor:
        loc, scale, real = self._pieces(z)
        there = real.sum(1)
        u, chance = torch.rand(2, *loc.shape[:2], device=z.device)
        one = (u * there.unsqueeze(1)).long()[..., None, None]  # (M, N, 1, 1)
        one = one.expand(-1, -1, 1, loc.shape[-1])
        noise = torch.randn_like(loc[:, :, 0])
        told = loc.gather(2, one)[:, :, 0] + scale.gather(2, one)[:, :, 0] * noise
        broad = self.centre.unsqueeze(1) + noise @ self.tril.mT
        wide = (chance < BROAD) | (there == 0).unsqueeze(1)
        return torch.where(wide.unsqueeze(-1), broad, told).transpose(0, 1).flatten(1).to(z.dtype)

    def _density(self, w: Tensor, z: Tensor) -> Tensor:
        loc, scale, real = self._pieces(z)
        there = real.sum(1)
        each = w.unflatten(-1, self.centre.shape).transpose(0, 1)  # (M, N, V)
        pieces = diagonal_log_prob(each.unsqueeze(2), loc, scale, "normal")  # (M, N, k)
        known = pieces.masked_fill(~real.unsqueeze(1), -math.inf).logsumexp(2)
        known = known - there.clamp(min=1).log().unsqueeze(1)
        broad = MultivariateNormal(
            self.centre.unsqueeze(1), scale_tril=self.tril.unsqueeze(1), validate_args=False
        ).log_prob(each)
        mixed = torch.logaddexp(known + math.log1p(-BROAD), broad + math.log(BROAD))
        return torch.where((there == 0).unsqueeze(1), broad, mixed).T
