r"""Product of experts.

.. math:: q(z \mid x_S) \propto a(z)^{[\cdot]} \prod_{m \in S} q_m(z \mid x_m)

For Gaussians the precisions add. The anchor :math:`a = N(0, I)` is a factor *always* (MVAE, also
for one modality alone), only for the *full* set (MoPoE's released code), or *never* (MVTCAE): the
three differ for every subset.

References:
    Mike Wu, Noah Goodman. Multimodal Generative Models for Scalable Weakly-Supervised Learning.
    NeurIPS 2018. https://arxiv.org/abs/1802.05335, section 3.
"""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor

from polymodal.distributions.diagonal import Family
from polymodal.distributions.strata import Strata
from polymodal.fusion.experts import (
    Experts,
    Fusion,
    gaussian_from_precision,
    precisions,
)

Anchor = Literal["always", "full", "never"]


def check_anchor(anchor: str) -> None:
    """Raise a ValueError if ``anchor`` is none of the three words."""
    if anchor not in get_args(Anchor):
        raise ValueError(f"anchor must be one of {', '.join(get_args(Anchor))}, got {anchor!r}.")


def anchor_precision(anchor: Anchor, is_full: Tensor) -> Tensor:
    """Precision that the anchor adds: ``is_full`` bool ``(...)`` -> ``(..., 1)``, 0 or 1."""
    if anchor == "full":
        return is_full.unsqueeze(-1)
    return torch.full_like(is_full, anchor == "always").unsqueeze(-1)


class ProductOfExperts(Fusion):
    """The product of the experts that are present: one stratum.

    Arguments:
        anchor: Whether N(0, I) is a factor ``"always"``, for the ``"full"`` set or ``"never"``.
    """

    families: tuple[Family, ...] = ("normal",)

    def __init__(self, anchor: Anchor = "always") -> None:
        super().__init__()
        check_anchor(anchor)
        self.anchor: Anchor = anchor

    def _fuse(self, experts: Experts) -> Strata:
        sets = experts.sets
        if sets is not None:
            # Sums over the members of sets are a matrix product.
            member = sets.movedim(0, -1).to(experts.loc.dtype)  # (..., M)
            precision = experts.scale.square().reciprocal()
            both = torch.stack([precision, precision * experts.loc], 1).flatten(1)
            total, weighted = (
                (member @ both).unflatten(-1, (2, *experts.loc.shape[-2:])).unbind(-3)
            )
        else:
            each, pull = precisions(experts)  # (M, ..., B, D)
            total, weighted = each.sum(0), pull.sum(0)
        if self.anchor == "always" or (self.anchor == "full" and experts.complete):
            total = total + 1
        elif self.anchor == "full":
            total = total + anchor_precision(self.anchor, experts.on.all(0))
        positive = self.anchor == "always" or experts.complete
        loc, scale = gaussian_from_precision(total, weighted, positive=positive)
        loc, scale = loc.unsqueeze(0), scale.unsqueeze(0)
        return Strata(loc, scale, loc.new_zeros(loc.shape[:-1]))
