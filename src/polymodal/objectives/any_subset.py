r"""The ELBO of one random subset a row, which explains all that the row has.

.. math:: \mathcal L = -\mathbb E_{A \subseteq S} \Big[\mathbb E_{q(z \mid x_A)}
          \sum_{m \in S} \lambda_m \log p(x_m \mid z)
          - \beta\, \mathrm{KL}\big(q(z \mid x_A) \,\|\, p(z)\big)\Big]

Every :math:`q(z \mid x_A)` is a posterior of its own, trained to tell what was not seen too, so
the bracket is a lower bound of the row's evidence (with unit weights). With all subsets alike its
expectation is MoPoE's bound; what differs is who answers afterwards: the posterior of all that is
given, and not a mixture that mostly looks at less. And nothing grows with the number of subsets.

References:
    Thomas Sutter, Imant Daunhawer, Julia Vogt. Generalized Multimodal ELBO. ICLR 2021.
    https://arxiv.org/abs/2105.02470, eq. 7 (the bound).
"""

from __future__ import annotations

from typing import Literal, get_args

from torch import Tensor, nn

from polymodal.fusion.subsets import draw_subsets
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
from polymodal.typing import Batch, Present, Terms

Draw = Literal["subset", "size"]


class AnySubsetELBO(nn.Module):
    """The negative ELBO of a random subset of what a row has, one value a row.

    Arguments:
        beta: Weight of the divergence: a number or a schedule of the optimiser's step.
        draw: All subsets alike (``"subset"``), or all sizes alike and then the subsets of that
            size (``"size"``), which asks more often about one modality alone and about all.
    """

    def __init__(self, beta: float | Schedule = 1.0, draw: Draw = "subset") -> None:
        super().__init__()
        if draw not in get_args(Draw):
            raise ValueError(
                f"AnySubsetELBO: draw must be one of {', '.join(get_args(Draw))}, got {draw!r}."
            )
        self.beta = checked_weight("AnySubsetELBO", "beta", beta)
        self.draw: Draw = draw

    def forward(self, model: MultimodalVAE, x: Batch, present: Present, step: int) -> Terms:
        """The objective of each row in nats.

        Raises:
            ValueError: If the posterior is a mixture.
        """
        posterior: FusedPosterior = model.posterior  # pyright: ignore[reportAssignmentType]
        encoded = posterior.encode(x, present)
        q = posterior.fuse(encoded, self._subset(encoded.on))
        if q.n_strata != 1:
            raise ValueError(
                f"AnySubsetELBO needs a posterior with one stratum, got {q.n_strata}."
            )
        z = q.stratified(1)[0, 0]  # (1, B, D)
        log_p = model.log_likelihoods(z, x, present)
        kl = stratum_kl(q, model.prior(), z[None, None])[0, 0]
        loss = at_step(self.beta, step) * kl - weighted_sum(model, log_p).squeeze(0)
        parts = {**reconstruction_parts(log_p, z.new_ones(1)), "kl": kl.detach()}
        return Terms(loss, parts)

    def _subset(self, on: Tensor) -> Tensor:
        """A subset a row of what is present, ``(M, B)`` -> ``(M, 1, B)``."""
        if self.draw == "size":
            return draw_proper_subsets(on, 1)
        return draw_subsets(on, 1).transpose(0, 1)
