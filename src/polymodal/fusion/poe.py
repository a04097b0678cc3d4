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
        precision, weighted = precisions(experts)  # (M, ..., B, D)
        total = precision.sum(0) + anchor_precision(self.anchor, experts.on.all(0))
        loc, scale = gaussian_from_precision(total, weighted.sum(0))
        return Strata(loc[None], scale[None], loc.new_zeros((1, *loc.shape[:-1])))
