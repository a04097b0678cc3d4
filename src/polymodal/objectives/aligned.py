r"""The ELBO with unimodal posteriors drawn to the joint one: JMVAE-kl.

.. math:: \mathcal L = -\mathrm{ELBO}(S) + \gamma \sum_{m \in S}
          \mathrm{KL}\big(q(z \mid x_S) \,\|\, q(z \mid x_m)\big)

The joint posterior receives the gradient of the alignment too. With more than two modalities the
posterior must also answer sets between one and all: a random one a row is aligned likewise (weight
:math:`\gamma`), which the paper, with two modalities, has no need of.

References:
    Masahiro Suzuki, Kotaro Nakayama, Yutaka Matsuo. Joint Multimodal Learning with Deep Generative
    Models. 2016. https://arxiv.org/abs/1611.01891, eq. 5.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from polymodal.distributions.diagonal import diagonal_kl
from polymodal.distributions.strata import Strata
from polymodal.model import MultimodalVAE
from polymodal.objectives.pieces import (
    at_step,
    checked_weight,
    reconstruction_parts,
    stratum_kl,
    weighted_sum,
)
from polymodal.objectives.schedules import Schedule
from polymodal.objectives.subsampled import draw_proper_subsets
from polymodal.posteriors.fused import Encoded
from polymodal.posteriors.joint import JointPosterior
from polymodal.typing import Batch, Present, Terms


class JointToUnimodal(nn.Module):
    """The negative ELBO plus the divergence of unimodal posteriors from the joint one.

    Arguments:
        gamma: Weight of the alignment (the paper's alpha).
        beta: Weight of the divergence from the prior: a number or a schedule of the step.
        subsets: Random sets between one and all that are aligned, a row.
    """

    def __init__(self, gamma: float = 1.0, beta: float | Schedule = 1.0, subsets: int = 1) -> None:
        super().__init__()
        if gamma < 0 or subsets < 0:
            raise ValueError(
                f"JointToUnimodal: gamma and subsets must be at least 0, got {gamma}, {subsets}."
            )
        self.gamma = gamma
        self.beta = checked_weight("JointToUnimodal", "beta", beta)
        self.subsets = subsets

    def forward(self, model: MultimodalVAE, x: Batch, present: Present, step: int) -> Terms:
        """The objective of each row in nats."""
        posterior: JointPosterior = model.posterior  # pyright: ignore[reportAssignmentType]
        encoded = posterior.encode(x, present)
        q = posterior.fuse(encoded)
        z = q.stratified(1).squeeze(0)  # (1, B, D)
        log_p = model.log_likelihoods(z, x, present)
        kl = stratum_kl(q, model.prior()).squeeze(0)
        alignment = self._alignment(posterior, encoded, q)
        loss = at_step(self.beta, step) * kl + self.gamma * alignment
        parts = {
            **reconstruction_parts(log_p, z.new_ones(1)),
            "kl": kl.detach(),
            "alignment": alignment.detach(),
        }
        return Terms(loss - weighted_sum(model, log_p).squeeze(0), parts)

    def _alignment(self, posterior: JointPosterior, encoded: Encoded, q: Strata) -> Tensor:
        """The divergences of the shared block, summed, ``(B,)``."""
        shared = posterior.layout.shared
        loc, scale = (one.squeeze(0)[:, :shared] for one in (q.loc, q.scale))
        experts, on = encoded.experts, encoded.on
        each = diagonal_kl(loc, scale, experts.loc, experts.scale, q.family).sum(-1)  # (M, B)
        if not experts.complete:
            each = torch.where(on, each, torch.zeros_like(each))
        total = each.sum(0)
        if len(on) <= 2 or not self.subsets:
            return total
        chosen = draw_proper_subsets(on, self.subsets)  # (M, k, B)
        between = (chosen.sum(0) > 1) & (chosen.sum(0) < on.sum(0))
        partial = posterior.joint(encoded, chosen)
        each = diagonal_kl(
            loc, scale, partial.loc[0, ..., :shared], partial.scale[0, ..., :shared], q.family
        ).sum(-1)  # (k, B)
        return total + torch.where(between, each, torch.zeros_like(each)).sum(0)
