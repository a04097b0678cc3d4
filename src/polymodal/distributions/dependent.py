r"""Latent vectors whose private blocks depend on the shared one: a prior and a posterior.

.. math:: p(z, w) = p(z) \prod_m p(w_m \mid z), \qquad
          q(z, w \mid x_S) = q(z \mid x_S) \prod_{m \in S} q(w_m \mid x_m)
          \prod_{m \notin S} p(w_m \mid z)

What is decoded for a modality of which nothing was told so has the manner of a real row, and of
one that goes with the shared latent.
"""

from __future__ import annotations

import math
from functools import cached_property
from typing import ClassVar

import torch
from torch import Tensor
from torch.distributions import Distribution, constraints

from polymodal.distributions.neighbours import Neighbours
from polymodal.distributions.strata import Strata


class DependentBlocks(Distribution):
    """p(z, w): private blocks are drawn given the shared one.

    Arguments:
        shared: Over the shared block, batch shape ``()``, event shape ``(L,)``.
        private: Over the private blocks given it.
    """

    arg_constraints: ClassVar[dict] = {}  # pyright: ignore[reportIncompatibleMethodOverride]
    support = constraints.real_vector  # pyright: ignore[reportAssignmentType]

    def __init__(self, shared: Distribution, private: Neighbours) -> None:
        self.shared, self.private = shared, private
        self.shared_dim = shared.event_shape[0]
        dim = self.shared_dim + private.centre.numel()
        super().__init__(torch.Size(), torch.Size((dim,)), validate_args=False)

    def sample(self, sample_shape: torch.Size | tuple[int, ...] = ()) -> Tensor:
        """Draw without gradient, ``(*sample_shape, D)``."""
        z = self.shared.sample(torch.Size(sample_shape))
        return torch.cat([z, self.private.sample(z)], -1)

    def log_prob(self, value: Tensor) -> Tensor:
        """Log density of ``value (..., D)`` in nats, ``(...)``."""
        z, w = value[..., : self.shared_dim], value[..., self.shared_dim :]
        return self.shared.log_prob(z) + self.private.log_prob(w, z).sum(-1)


class PartlyTold(Distribution):
    """q(z, w | x_S): of what nothing was told, private blocks are drawn given the shared one.

    Arguments:
        q: The posterior of normal components in which such blocks are N(0, I), batch ``(B,)``.
        told: Which modalities were told, bool ``(B, M)``.
        private: Over the private blocks given the shared one.
    """

    arg_constraints: ClassVar[dict] = {}  # pyright: ignore[reportIncompatibleMethodOverride]
    support = constraints.real_vector  # pyright: ignore[reportAssignmentType]

    def __init__(self, q: Strata, told: Tensor, private: Neighbours) -> None:
        self.q, self.told, self.private = q, told, private
        self.shared_dim = q.event_shape[0] - private.centre.numel()
        self._open = ~told.all(0)
        self._all_told = not bool(self._open.any())
        super().__init__(q.batch_shape, q.event_shape, validate_args=False)

    @cached_property
    def _untold(self) -> Neighbours:
        """The blocks that some row has not told: to search for others would be for nothing."""
        return self.private.only(self._open)

    @property
    def mean(self) -> Tensor:
        """The mean of what was told, ``(B, D)``; blocks of which nothing was told are 0."""
        return self.q.mean

    def sample(self, sample_shape: torch.Size | tuple[int, ...] = ()) -> Tensor:
        """Draw without gradient, ``(*sample_shape, B, D)``."""
        drawn = self.q.sample(torch.Size(sample_shape))
        if self._all_told:
            return drawn
        z, w = drawn[..., : self.shared_dim], drawn[..., self.shared_dim :]
        filled = torch.empty_like(w)
        filled[..., self._numbers(self._open)] = self._untold.sample(z)
        return torch.cat([z, torch.where(self._numbers(self.told), w, filled)], -1)

    def log_prob(self, value: Tensor) -> Tensor:
        """Log density of ``value (..., B, D)`` in nats, ``(..., B)``."""
        if self._all_told:
            return self.q.log_prob(value)
        z, w = value[..., : self.shared_dim], value[..., self.shared_dim :]
        # In q such a block is standard in every stratum: a factor that can be taken out again.
        told = self._numbers(self.told)
        log_q = self.q.log_prob(torch.cat([z, torch.where(told, w, 0.0)], -1))
        each = self._untold.log_prob(w[..., self._numbers(self._open)], z)
        given_z = torch.where(self.told[:, self._open], 0.0, each).sum(-1)
        standing = (~told).sum(-1)
        return log_q + standing * 0.5 * math.log(2 * math.pi) + given_z

    def forget(self, names: Tensor) -> PartlyTold:
        """The same as if nothing had been told of some modalities, bool ``(M,)``."""
        gone = torch.cat([names.new_zeros(self.shared_dim), self._numbers(names)])
        q = Strata(
            self.q.loc.masked_fill(gone, 0.0),
            self.q.scale.masked_fill(gone, 1.0),
            self.q.log_weights,
            self.q.family,
        )
        return PartlyTold(q, self.told & ~names, self.private)

    def _numbers(self, blocks: Tensor) -> Tensor:
        """Which private numbers are of these blocks, ``(..., M)`` -> ``(..., W)``."""
        return blocks.repeat_interleave(self.private.centre.shape[-1], -1)
