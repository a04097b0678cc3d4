r"""Mixtures over the subsets of what is present.

.. math:: q(z \mid x_S) = \frac{1}{2^{|S|} - 1} \sum_{\emptyset \ne A \subseteq S} q_A(z \mid x_A)

What one :math:`q_A` is, is the rule's own: the product of its experts (MoPoE) or their barycentre.
Both need sums over the members only, so that all subsets are one matrix product of a membership
matrix ``(S, M)`` with the experts' parameters. Above ``max_strata`` subsets, that many are drawn a
row, uniformly over the subsets of what the row has: any average over the strata is then estimated
without bias in bounded memory.

References:
    Thomas Sutter, Imant Daunhawer, Julia Vogt. Generalized Multimodal ELBO. ICLR 2021.
    https://arxiv.org/abs/2105.02470, eq. 5.
"""

from __future__ import annotations

import abc
import math
from collections.abc import Callable

import torch
from torch import Tensor

from polymodal.distributions.strata import Strata
from polymodal.fusion.experts import Experts, Fusion, anchored
from polymodal.fusion.moe import uniform_log_weights

SumOverMembers = Callable[[Tensor], Tensor]
"""Values of the experts, zero where absent, ``(M, ..., B, D)`` -> sums ``(S, ..., B, D)``."""


def membership_matrix(n_modalities: int, device: torch.device | None = None) -> Tensor:
    """All non-empty subsets, bool ``(2^M - 1, M)``.

    Example:
        >>> membership_matrix(2).int().tolist()
        [[1, 0], [0, 1], [1, 1]]
    """
    subsets = torch.arange(1, 2**n_modalities, device=device)
    return (subsets[:, None] >> torch.arange(n_modalities, device=device)) & 1 == 1


_EXACT_BITS = 52
"""Whole numbers of as many bits are exact in float64."""


def draw_subsets(on: Tensor, n_subsets: int) -> Tensor:
    """Draw non-empty subsets of what is present, uniformly: bool ``(M, ...)`` -> ``(S, M, ...)``.

    A row with nothing gets empty subsets. Beyond 52 modalities present, subsets with none of the
    first 52 are never drawn: a share of 2^-52.
    """
    count = on.sum(0).clamp(max=_EXACT_BITS)  # (...)
    high = (torch.ones_like(count) << count) - 1
    uniform = torch.rand(n_subsets, *count.shape, dtype=torch.float64, device=on.device)
    number = (uniform * high).floor().long() + 1  # 1 ... 2^n - 1
    rank = (on.long().cumsum(0) - 1).clamp(min=0)  # the place among those present
    chosen = (number.unsqueeze(1) >> rank.clamp(max=_EXACT_BITS)) & 1 == 1  # (S, M, ...)
    if len(on) > _EXACT_BITS:
        coin = torch.rand(chosen.shape, device=on.device) < 0.5
        chosen = torch.where(rank < _EXACT_BITS, chosen, coin)
    return chosen & on


class MixtureOverSubsets(Fusion):
    """The mixture over all non-empty subsets of what is present: a stratum a subset.

    Arguments:
        max_strata: The largest number of strata; with more subsets, as many are drawn a row.
    """

    def __init__(self, max_strata: int = 1023) -> None:
        super().__init__()
        if max_strata < 1:
            raise ValueError(f"max_strata must be at least 1, got {max_strata}.")
        self.max_strata = max_strata

    @abc.abstractmethod
    def _of_members(
        self, experts: Experts, total: SumOverMembers, size: Tensor, n_modalities: int
    ) -> tuple[Tensor, Tensor]:
        """Location and scale of every subset, ``(S, ..., B, D)`` each.

        Arguments:
            experts: The experts; those that are absent count in no sum.
            total: Sums over the members of each subset.
            size: The number of members, int64, broadcastable to ``(S, ..., B, 1)``.
            n_modalities: The number of modalities M.
        """

    def _fuse(self, experts: Experts) -> Strata:
        n_modalities = len(experts.on)
        if 2**n_modalities - 1 > self.max_strata:
            return self._fuse_drawn(experts)
        member = membership_matrix(n_modalities, experts.on.device)  # (S, M)
        if experts.complete:
            return self._fuse_complete(experts, member)
        absent = torch.tensordot(member.float(), (~experts.on).float(), 1)
        alive = absent == 0  # (S, ..., B)

        def total(values: Tensor) -> Tensor:
            return torch.tensordot(member.to(values.dtype), values, 1)

        size = member.sum(1).reshape(-1, *(1,) * experts.on.ndim)
        loc, scale = self._of_members(experts, total, size, n_modalities)
        if not bool(alive.all()):
            here = alive.unsqueeze(-1)
            loc = torch.where(here, loc, torch.zeros_like(loc))
            scale = torch.where(here, scale, torch.ones_like(scale))
        strata = Strata(loc, scale, uniform_log_weights(alive, loc.dtype), experts.family)
        return anchored(strata, ~experts.on.any(0))

    def _fuse_complete(self, experts: Experts, member: Tensor) -> Strata:
        """Every subset of every row exists: there is nothing to leave out."""
        weights = member.to(experts.loc.dtype)
        size = member.sum(1).reshape(-1, *(1,) * experts.on.ndim)
        loc, scale = self._of_members(
            experts, lambda values: torch.tensordot(weights, values, 1), size, member.shape[1]
        )
        equal = loc.new_full(loc.shape[:-1], -math.log(len(member)))
        return Strata(loc, scale, equal, experts.family)

    def _fuse_drawn(self, experts: Experts) -> Strata:
        chosen = draw_subsets(experts.on, self.max_strata)  # (S, M, ..., B)

        def total(values: Tensor) -> Tensor:
            return torch.einsum("sm...,m...d->s...d", chosen.to(values.dtype), values)

        size = chosen.sum(1).unsqueeze(-1)
        loc, scale = self._of_members(experts, total, size, len(experts.on))
        weights = uniform_log_weights(torch.ones_like(chosen[:, 0]), loc.dtype)
        return anchored(Strata(loc, scale, weights, experts.family), ~experts.on.any(0))
