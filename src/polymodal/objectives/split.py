r"""The ELBOs of the two parts of a row: each explains all of it, and they must agree.

.. math:: \mathcal L = -\tfrac12 \mathbb E_{A \subseteq S} \sum_{P \in \{A,\, S \setminus A\}}
          \Big[\mathbb E_{q(z, w \mid x_P)} \sum_{m \in S} \lambda_m \log p(x_m \mid z, w_m)
          - \beta\, \mathrm{KL}\big(q(z \mid x_P) \,\|\, p(z)\big)
          - \beta \sum_{m \in P} \mathrm{KL}\big(q(w_m \mid x_m) \,\|\, N(0, \sigma_m^2)\big)\Big]
          + \alpha \nu\, \mathcal N\big(z_A, z_{S \setminus A}\big)

A row is split at random: the size of A is uniform, then A is. Where it is all of the row, A stands
for both parts and there is nothing to compare. Every :math:`q(z \mid x_P)` is a posterior of its
own, trained to tell what it did not see too, so each bracket is a lower bound of the row's
evidence (with :math:`\lambda = \beta = \sigma = 1`). Asked about some modalities, the product of
all that are given answers, and not a mixture that mostly looks at less. Nothing grows with the
number of subsets.

**Private latents.** A modality of P is decoded with :math:`w_m \sim q(w_m \mid x_m)`, the others
with :math:`w_m \sim N(0, I)`. The divergence of what was told is from :math:`N(0, \sigma_m^2)`
with learned scales: in training these are MMVAE+'s two private priors in other units (there that
of the told is standard and the draws for the untold are scaled). On five pictures of one digit
:math:`\sigma` ends between 2 and 8: the decoders tell draws that stand in from what was told, and
look to z. Which private prior a trained model has is not said here: with N(0, I) pictures agree in
class and all look alike, with that of the told (as MMVAE+ generates) they look real and agree no
more, and with :math:`p(w_m \mid z)` by neighbours (``priors/exemplars.py``) they do both.

**Agreement.** What modalities share is what one part of a row tells of the other. Draws of z given
the two parts therefore have to find each other among the rows of the batch: :math:`\mathcal N` is
their InfoNCE (``contrast.py``). Rows are compared with those that have the same modalities, or
else z would come to hold what is there. The weight is :math:`\alpha` times the size :math:`\nu`
of what a row has: the numbers of its modalities, the cells of its tables, the longest length of a
text. The likelihoods that it stands beside grow with that. The comparison is with the rows of one
batch of one process: it is the only term here that depends on either's size.

References:
    Thomas Sutter, Imant Daunhawer, Julia Vogt. Generalized Multimodal ELBO. ICLR 2021.
    https://arxiv.org/abs/2105.02470, eq. 7 (subsets that explain the row). Emanuele Palumbo,
    Imant Daunhawer, Julia Vogt. MMVAE+. ICLR 2023. https://openreview.net/forum?id=sdQGxouELX,
    section 3 (two private priors). Yuge Shi, Brooks Paige, Philip Torr, N. Siddharth. Relating by
    Contrasting. ICLR 2021. https://arxiv.org/abs/2007.01179 (related against unrelated rows).
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from polymodal.distributions.strata import Strata
from polymodal.latent import LatentLayout
from polymodal.model import MultimodalVAE
from polymodal.objectives.contrast import info_nce
from polymodal.objectives.pieces import (
    at_step,
    checked_weight,
    reconstruction_parts,
    stratum_kl,
    weighted_sum,
)
from polymodal.objectives.schedules import Schedule
from polymodal.objectives.subsampled import draw_proper_subsets
from polymodal.posteriors.fused import FusedPosterior
from polymodal.typing import Batch, Present, Terms


class SplitELBO(nn.Module):
    """The negative ELBO of both parts of a row that is split at random, one value a row.

    Arguments:
        beta: Weight of the divergence: a number or a schedule of the optimiser's step.
        private_dim: Size of all private blocks together: they have learned scales then. With 0
            their divergence is from the model's prior.
        agreement: The alpha above, 0 for none.
    """

    def __init__(
        self, beta: float | Schedule = 1.0, *, private_dim: int = 0, agreement: float = 0.0
    ) -> None:
        super().__init__()
        if not 0 <= agreement < math.inf:
            raise ValueError(f"SplitELBO: agreement must be at least 0, got {agreement}.")
        self.beta = checked_weight("SplitELBO", "beta", beta)
        self.agreement = agreement
        # A parameter without numbers would be one that no gradient reaches.
        self.log_scale = nn.Parameter(torch.zeros(private_dim)) if private_dim else None

    def forward(self, model: MultimodalVAE, x: Batch, present: Present, step: int) -> Terms:
        """The objective of each row in nats.

        Raises:
            ValueError: If the posterior is a mixture.
        """
        posterior: FusedPosterior = model.posterior  # pyright: ignore[reportAssignmentType]
        encoded = posterior.encode(x, present)
        parts, two = split_rows(encoded.on)
        q = posterior.fuse(encoded, parts)
        if q.n_strata != 1:
            raise ValueError(f"SplitELBO needs a posterior with one stratum, got {q.n_strata}.")
        z = q.stratified(1)[0, 0]  # (2, B, D)
        log_p = model.log_likelihoods(z, x, present)
        kl = stratum_kl(q, model.prior(), z[None, None])[0]
        if self.log_scale is not None:
            kl = kl + _own_scales(q, self.log_scale, model.layout, parts)
        loss = (at_step(self.beta, step) * kl - weighted_sum(model, log_p)).mean(0)
        said = {
            **reconstruction_parts(log_p, z.new_full((2, 1), 0.5)),
            "kl": kl.detach().mean(0),
        }
        if not self.agreement:
            return Terms(loss, said)
        one, other = z[..., : model.layout.shared].unbind(0)
        away = info_nce(one, other, alike(encoded.on, two))
        compared = self.agreement * _size(x, present, log_p) * away
        said["disagreement"] = away.detach()
        return Terms(loss + compared, said, compared.detach())


def _own_scales(q: Strata, log_scale: Tensor, layout: LatentLayout, parts: Tensor) -> Tensor:
    """What the divergence of told private blocks gains by their scales, nats ``(2, B)``."""
    loc, scale = (one[0, ..., layout.shared :] for one in (q.loc, q.scale))
    second = 0.5 * (loc.square() + scale.square())
    each = log_scale + second * ((-2 * log_scale).exp() - 1)
    return torch.where(layout.private_on(parts), each, torch.zeros_like(each)).sum(-1)


def split_rows(on: Tensor) -> tuple[Tensor, Tensor]:
    """Split what each row has into two parts, at random.

    Arguments:
        on: What is present, bool ``(M, B)``.

    Returns:
        The parts, bool ``(M, 2, B)``, and which rows have two, ``(B,)``. Where the first part is
        all of the row, so is the second.
    """
    one = draw_proper_subsets(on, 1)
    rest = on.unsqueeze(1) & ~one
    two = rest.any(0)
    return torch.cat([one, torch.where(two, rest, one)], 1), two[0]


def alike(on: Tensor, two: Tensor) -> Tensor:
    """Which rows have the same modalities and two parts each, bool ``(B, B)``.

    Arguments:
        on: What is present, bool ``(M, B)``.
        two: Which rows have two parts, bool ``(B,)``.
    """
    same = (on.unsqueeze(1) == on.unsqueeze(2)).all(0)
    return same & two & two.unsqueeze(1)


def _size(x: Batch, present: Present, names: Iterable[str]) -> Tensor:
    """How many numbers stand for what each row has, ``(B,)``."""
    each = []
    for name in names:
        there = present[name]
        each.append(there.sum(1) if there.ndim == 2 else there * math.prod(x[name].shape[1:]))
    return torch.stack(each).sum(0)
