r"""Mixture of products of experts.

.. math:: q(z \mid x_S) = \frac{1}{2^{|S|} - 1} \sum_{\emptyset \ne A \subseteq S}
          q_A(z \mid x_A), \qquad q_A \propto \prod_{m \in A} q_m(z \mid x_m)

All products are one matrix product of a membership matrix ``(S, M)`` with the precisions. Above
``max_strata`` subsets, that many are drawn a row, uniformly over the subsets of what the row has:
any average over the strata is then estimated without bias in bounded memory.

References:
    Thomas Sutter, Imant Daunhawer, Julia Vogt. Generalized Multimodal ELBO. ICLR 2021.
    https://arxiv.org/abs/2105.02470, eq. 5.
"""

from __future__ import annotations

import torch
from torch import Tensor

from polymodal.distributions.diagonal import Family
from polymodal.distributions.strata import Strata
from polymodal.fusion.experts import (
    Experts,
    Fusion,
    anchored,
    gaussian_from_precision,
    precisions,
)
from polymodal.fusion.moe import uniform_log_weights
from polymodal.fusion.poe import Anchor, anchor_precision, check_anchor


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


class MixtureOfProducts(Fusion):
    """The mixture over all non-empty subsets of what is present: a stratum a subset.

    Arguments:
        anchor: Whether N(0, I) is a factor of every product (``"always"``), of the product of all
            modalities only (``"full"``, as released) or of none (``"never"``).
        max_strata: The largest number of strata; with more subsets, as many are drawn a row.
    """

    families: tuple[Family, ...] = ("normal",)

    def __init__(self, anchor: Anchor = "full", max_strata: int = 1023) -> None:
        super().__init__()
        check_anchor(anchor)
        if max_strata < 1:
            raise ValueError(f"max_strata must be at least 1, got {max_strata}.")
        self.anchor: Anchor = anchor
        self.max_strata = max_strata

    def _fuse(self, experts: Experts) -> Strata:
        precision, weighted = precisions(experts)  # (M, ..., B, D)
        if 2 ** precision.shape[0] - 1 > self.max_strata:
            return self._fuse_drawn(experts, precision, weighted)
        member = membership_matrix(precision.shape[0], precision.device)  # (S, M)
        alive = self._alive(member, experts.on)  # (S, ..., B)
        matrix = member.to(precision.dtype)
        total = torch.tensordot(matrix, precision, 1)
        total = total + self._anchor(member.all(1), total)
        loc, scale = gaussian_from_precision(total, torch.tensordot(matrix, weighted, 1))
        if not bool(alive.all()):
            here = alive.unsqueeze(-1)
            loc = torch.where(here, loc, torch.zeros_like(loc))
            scale = torch.where(here, scale, torch.ones_like(scale))
        strata = Strata(loc, scale, uniform_log_weights(alive, loc.dtype))
        return anchored(strata, ~experts.on.any(0))

    def _anchor(self, is_full: Tensor, like: Tensor) -> Tensor:
        shape = (len(is_full), *(1,) * (like.ndim - 1))
        return anchor_precision(self.anchor, is_full).reshape(shape)

    @staticmethod
    def _alive(member: Tensor, on: Tensor) -> Tensor:
        """Whether all of a subset is present: ``(S, M)``, ``(M, ...)`` -> ``(S, ...)``."""
        absent = torch.tensordot(member.float(), (~on).float(), 1)
        return absent == 0

    def _fuse_drawn(self, experts: Experts, precision: Tensor, weighted: Tensor) -> Strata:
        chosen = draw_subsets(experts.on, self.max_strata)  # (S, M, ..., B)
        matrix = chosen.to(precision.dtype)
        total = torch.einsum("sm...,m...d->s...d", matrix, precision)
        total = total + anchor_precision(self.anchor, chosen.all(1))
        loc, scale = gaussian_from_precision(
            total, torch.einsum("sm...,m...d->s...d", matrix, weighted)
        )
        weights = uniform_log_weights(torch.ones_like(chosen[:, 0]), loc.dtype)
        return anchored(Strata(loc, scale, weights), ~experts.on.any(0))
