r"""The total-correlation objective of MVTCAE.

.. math:: \mathcal L = -\frac{n - \alpha}{n} \sum_{m \in S} \lambda_m \log p(x_m \mid z)
          + \beta \Big[\frac{\alpha}{n} \sum_{m \in S}
            \mathrm{KL}\big(q(z \mid x_S) \,\|\, q_m(z \mid x_m)\big)
          + (1 - \alpha)\, \mathrm{KL}\big(q(z \mid x_S) \,\|\, p(z)\big)\Big]

with :math:`z \sim q(z \mid x_S)` and n the number of modalities that the row has (the paper knows
complete rows only). Private blocks, which the paper has not, cost
:math:`\beta\,\mathrm{KL}(q(w_m \mid x_m) \| p(w_m))`.

References:
    HyeongJoo Hwang, Geon-Hyeong Kim, Seunghoon Hong, Kee-Eung Kim. Multi-View Representation
    Learning via Total Correlation Objective. NeurIPS 2021.
    https://openreview.net/forum?id=Q_eu4uXTpa, eq. 8.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from polymodal.distributions.diagonal import diagonal_kl
from polymodal.distributions.strata import Strata
from polymodal.model import MultimodalVAE
from polymodal.objectives.pieces import (
    at_step,
    checked_weight,
    closed_form_kl,
    reconstruction_parts,
    weighted_sum,
)
from polymodal.objectives.schedules import Schedule
from polymodal.posteriors.fused import FusedPosterior
from polymodal.typing import Batch, Present, Terms


class TotalCorrelation(nn.Module):
    """MVTCAE's objective, one value a row; needs a posterior with one stratum.

    Arguments:
        alpha: Between 0 (an ELBO) and 1 (only the unimodal posteriors regularise).
        beta: Weight of the divergences: a number or a schedule of the optimiser's step.
    """

    def __init__(self, alpha: float = 5 / 6, beta: float | Schedule = 1.0) -> None:
        super().__init__()
        if not 0 <= alpha <= 1:
            raise ValueError(f"TotalCorrelation: alpha must be between 0 and 1, got {alpha}.")
        self.alpha = alpha
        self.beta = checked_weight("TotalCorrelation", "beta", beta)

    def forward(self, model: MultimodalVAE, x: Batch, present: Present, step: int) -> Terms:
        """The objective of each row in nats."""
        posterior: FusedPosterior = model.posterior  # pyright: ignore[reportAssignmentType]
        encoded = posterior.encode(x, present)
        q = posterior.fuse(encoded)
        z = q.stratified(1).squeeze(0)  # (1, B, D)
        log_p = model.log_likelihoods(z, x, present)
        shared, experts = model.layout.shared, encoded.experts
        to_experts = diagonal_kl(
            q.loc[..., :shared], q.scale[..., :shared], experts.loc, experts.scale, q.family
        ).sum(-1)  # (M, B)
        count: Tensor | float = float(len(to_experts))
        if not experts.complete:
            count = encoded.on.sum(0).clamp(min=1).to(z.dtype)  # (B,)
            to_experts = torch.where(encoded.on, to_experts, torch.zeros_like(to_experts))
        backward = to_experts.sum(0)
        to_prior, private = split_kl(q, model.prior(), shared)
        divergence = self.alpha / count * backward + (1 - self.alpha) * to_prior
        if private is not None:
            divergence, to_prior = divergence + private, to_prior + private
        share = (count - self.alpha) / count
        loss = at_step(self.beta, step) * divergence - share * weighted_sum(model, log_p).squeeze(
            0
        )
        parts = {
            **reconstruction_parts(log_p, z.new_ones(1)),
            "kl to experts": backward.detach(),
            "kl": to_prior.detach(),
        }
        return Terms(loss, parts)


def split_kl(q: Strata, prior: Distribution, shared: int) -> tuple[Tensor, Tensor | None]:
    """KL of the shared block and of the private blocks, each ``(B,)``, of a one-stratum posterior.

    Where there are no private blocks, theirs is None.

    Raises:
        ValueError: If there is no closed form.
    """
    each = closed_form_kl(q, prior)
    if each is None or q.n_strata != 1:
        raise ValueError(
            "TotalCorrelation needs one stratum and a standard prior of the posterior's family, "
            f"got {q.n_strata} strata and {type(prior).__name__}."
        )
    each = each.squeeze(0)
    if shared == each.shape[-1]:
        return each.sum(-1), None
    return each[..., :shared].sum(-1), each[..., shared:].sum(-1)
