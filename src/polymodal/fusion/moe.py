r"""Mixture of experts.

.. math:: q(z \mid x_S) = \frac{1}{|S|} \sum_{m \in S} q_m(z \mid x_m)

References:
    Yuge Shi, N. Siddharth, Brooks Paige, Philip Torr. Variational Mixture-of-Experts Autoencoders
    for Multi-Modal Deep Generative Models. NeurIPS 2019. https://arxiv.org/abs/1911.03393, eq. 2.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from polymodal.distributions.strata import Strata
from polymodal.fusion.experts import Experts, Fusion, anchored


def uniform_log_weights(alive: Tensor, dtype: torch.dtype) -> Tensor:
    """Equal log-weights over the strata that exist: bool ``(S, ...)`` -> ``(S, ...)``."""
    count = alive.sum(0).clamp(min=1).to(dtype)
    minus_infinity = torch.tensor(-torch.inf, dtype=dtype, device=alive.device)
    return torch.where(alive, -count.log(), minus_infinity)


class MixtureOfExperts(Fusion):
    """The mixture of the experts that are present, with equal weights: a stratum a modality."""

    def _fuse(self, experts: Experts) -> Strata:
        on = experts.on
        shape = (*on.shape, experts.loc.shape[-1])
        loc, scale = experts.loc.expand(shape), experts.scale.expand(shape)
        complete = experts.complete or bool(on.all())
        if not complete:
            # A stratum without weight keeps no trace of its values, in either pass.
            here = on.unsqueeze(-1)
            loc = torch.where(here, loc, torch.zeros_like(loc))
            scale = torch.where(here, scale, torch.ones_like(scale))
        if complete:
            equal = loc.new_full(on.shape, -math.log(len(on)))
            return Strata(loc, scale, equal, experts.family)
        strata = Strata(loc, scale, uniform_log_weights(on, loc.dtype), experts.family)
        return anchored(strata, ~on.any(0))
