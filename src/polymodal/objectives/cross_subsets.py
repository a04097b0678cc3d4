r"""Every subset explains every modality: ELBOs of random subsets with private latents.

For each row k subsets A of what it has are drawn, the size uniform, then the subset uniform:

.. math:: \mathcal L = -\mathbb E_A\, \mathbb E_{q_A(z) \prod_{m \in A} q(w_m \mid x_m)
          \prod_{m \notin A} r_m(w_m)} \Big[\sum_m \lambda_m \log p(x_m \mid z, w_m)
          - \beta \log \frac{q_A(z)}{p(z)}
          - \beta \sum_{m \in A} \log \frac{q(w_m \mid x_m)}{p(w_m)} \Big]

with :math:`q_A` the product of the experts in A. Each term is a lower bound of
:math:`\log p(x)` with auxiliary variables, whose draws from :math:`r_m` have no density in it. A
product is trained as a product, so it sharpens with more modalities; a subset must explain what it
has not seen, so it is coherent; and nothing leaks by a private block of what it has not seen.

References:
    Thomas Sutter, Imant Daunhawer, Julia Vogt. Generalized Multimodal ELBO. ICLR 2021.
    https://arxiv.org/abs/2105.02470, eq. 5 (a draw of a subset's product). Emanuele Palumbo, Imant
    Daunhawer, Julia Vogt. MMVAE+: Enhancing the Generative Quality of Multimodal VAEs without
    Compromises. ICLR 2023. https://openreview.net/forum?id=sdQGxouELX, eq. 6 (auxiliary priors).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

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
from polymodal.posteriors.fused import FusedPosterior
from polymodal.priors.auxiliary import AuxiliaryPrior
from polymodal.typing import Batch, Present, Terms


class CrossSubsetELBO(nn.Module):
    """The negative ELBO of each row, averaged over drawn subsets; needs one stratum.

    Arguments:
        auxiliary: What stands in for private latents of modalities outside the subset.
        subsets: Subsets drawn a row, k.
        beta: Weight of the divergences: a number or a schedule of the optimiser's step.
    """

    def __init__(
        self, auxiliary: AuxiliaryPrior, subsets: int = 2, beta: float | Schedule = 1.0
    ) -> None:
        super().__init__()
        if subsets < 1:
            raise ValueError(f"CrossSubsetELBO: subsets must be at least 1, got {subsets}.")
        self.auxiliary = auxiliary
        self.subsets = subsets
        self.beta = checked_weight("CrossSubsetELBO", "beta", beta)

    def forward(self, model: MultimodalVAE, x: Batch, present: Present, step: int) -> Terms:
        """The objective of each row in nats; a row with nothing costs nothing."""
        posterior: FusedPosterior = model.posterior  # pyright: ignore[reportAssignmentType]
        encoded = posterior.encode(x, present)
        chosen = draw_proper_subsets(encoded.on, self.subsets)  # (M, k, B)
        q: Strata = posterior.fuse(encoded, chosen)
        if q.n_strata != 1:
            raise ValueError(
                f"CrossSubsetELBO needs a posterior with one stratum, got {q.n_strata}. "
                "Use ProductOfExperts."
            )
        z = q.stratified(1)  # (1, 1, k, B, D)
        kl = stratum_kl(q, model.prior(), z)[0]  # (k, B)
        # A row with nothing has the anchor for posterior: it says nothing of the prior.
        kl = torch.where(encoded.on.any(0), kl, torch.zeros_like(kl))
        read = self._for_others(z[0, 0], chosen, posterior)
        log_p = model.log_likelihoods(read, x, present)
        loss = at_step(self.beta, step) * kl.mean(0) - weighted_sum(model, log_p).mean(0)
        each = kl.new_full((1,), 1 / self.subsets)
        return Terms(loss, {**reconstruction_parts(log_p, each), "kl": kl.mean(0).detach()})

    def _for_others(self, z: Tensor, chosen: Tensor, posterior: FusedPosterior) -> Tensor:
        """The draws, with auxiliary private blocks where the owner is not in the subset."""
        layout = posterior.layout
        if layout.private_dim == 0:
            return z
        other = self.auxiliary().rsample(z.shape[:-1]).to(z)
        private = torch.where(layout.private_on(chosen), z[..., layout.shared :], other)
        return torch.cat([z[..., : layout.shared], private], -1)
