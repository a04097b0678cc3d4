r"""The evidence lower bound, for any posterior.

.. math:: \mathrm{ELBO} = \mathbb E_{q(z \mid x)}\Big[\sum_m \lambda_m \log p(x_m \mid z)\Big]
          - \beta\, \mathrm{KL}\big(q(z \mid x) \,\|\, p(z)\big)

A mixture can be treated in two ways. *Draws*: every stratum, weighted (exact in the strata), or
one stratum a row. *Divergence*: the KL of the full mixture, estimated from the draws, or its upper
bound by convexity :math:`\sum_s w_s \mathrm{KL}(q_s \| p)`, as MoPoE has it. With one stratum all
four are the same bound.

References:
    Diederik Kingma, Max Welling. Auto-Encoding Variational Bayes. ICLR 2014.
    https://arxiv.org/abs/1312.6114, eq. 3.
"""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

from polymodal.distributions.strata import Strata
from polymodal.model import MultimodalVAE, presence
from polymodal.objectives.pieces import (
    at_step,
    checked_weight,
    reconstruction_parts,
    stratum_kl,
    weighted_sum,
)
from polymodal.objectives.schedules import Schedule
from polymodal.typing import Batch, Present, Terms


class ELBO(nn.Module):
    """The negative ELBO, one value a row.

    Arguments:
        beta: Weight of the divergence: a number or a schedule of the optimiser's step.
        samples: Draws a row (and a stratum) K.
        strata: ``"all"`` strata, weighted, or ``"one"`` drawn by its weight for each row.
        divergence: ``"mixture"`` or its upper bound ``"convex"``.
        free_bits: A floor in nats of the closed-form KL, for each dimension that something present
            tells of; with ``"convex"`` only.

    References:
        Free bits: Diederik Kingma et al. Improved Variational Inference with Inverse
        Autoregressive Flow. NeurIPS 2016. https://arxiv.org/abs/1606.04934, appendix C.8.
    """

    def __init__(
        self,
        beta: float | Schedule = 1.0,
        samples: int = 1,
        strata: Literal["all", "one"] = "all",
        divergence: Literal["mixture", "convex"] = "convex",
        free_bits: float = 0.0,
    ) -> None:
        super().__init__()
        if strata not in ("all", "one") or divergence not in ("mixture", "convex"):
            raise ValueError(
                "ELBO: strata must be 'all' or 'one' and divergence 'mixture' or 'convex', got "
                f"{strata!r} and {divergence!r}."
            )
        if samples < 1 or free_bits < 0:
            raise ValueError(
                f"ELBO: samples must be at least 1 and free_bits at least 0, got {samples} and "
                f"{free_bits}."
            )
        if free_bits and divergence == "mixture":
            raise ValueError(
                "ELBO: free_bits is a floor of the closed-form KL, which a mixture has not; use "
                "divergence='convex'."
            )
        self.beta = checked_weight("ELBO", "beta", beta)
        self.samples = samples
        self.strata = strata
        self.divergence = divergence
        self.free_bits = free_bits

    def forward(self, model: MultimodalVAE, x: Batch, present: Present, step: int) -> Terms:
        """The negative ELBO of each row in nats."""
        q: Strata = model.posterior(x, present)  # pyright: ignore[reportAssignmentType]
        if self.strata == "all":
            z = q.stratified(self.samples)  # (K, S, B, D)
            weights = q.log_weights.exp() / self.samples  # (S, B)
        else:
            z = q.rsample((self.samples,))  # (K, B, D)
            weights = q.log_weights.new_full((1,), 1 / self.samples)
        log_p = model.log_likelihoods(z, x, present)
        expected = (weights * weighted_sum(model, log_p)).flatten(0, -2).sum(0)
        floor = None
        if self.free_bits:
            informed = model.layout.informed(presence(model, present))  # (B, D)
            floor = self.free_bits * informed.to(z)
        kl = self._divergence(q, model, z, weights, floor)
        parts = {**reconstruction_parts(log_p, weights), "kl": kl.detach()}
        return Terms(at_step(self.beta, step) * kl - expected, parts)

    def _divergence(
        self, q: Strata, model: MultimodalVAE, z: Tensor, weights: Tensor, floor: Tensor | None
    ) -> Tensor:
        prior = model.prior()
        if q.n_strata == 1 or self.divergence == "convex":
            draws = z if self.strata == "all" else None
            each = stratum_kl(q, prior, draws, floor)
            return each[0] if q.n_strata == 1 else (q.log_weights.exp() * each).sum(0)
        gap = q.log_prob(z) - prior.log_prob(z)
        return (weights * gap).flatten(0, -2).sum(0)
