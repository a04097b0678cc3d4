r"""The doubly reparameterised gradient of the loose importance-weighted bound.

The value is IWAE's. For the encoder's parameters the score :math:`\partial_\phi \log q`, whose
signal vanishes as K grows, is itself reparameterised. With one stratum

.. math:: \nabla_\phi = \mathbb E \sum_k \tilde w_k^2\, \frac{\partial \ell_k}{\partial z_k}
          \frac{\partial z_k}{\partial \phi}, \qquad \tilde w = \mathrm{softmax}_k\, \ell_k

while the decoder's gradient keeps :math:`\tilde w_k`. With several strata the draws of stratum s
meet the density of the whole mixture, whose score is
:math:`\sum_j r_j(z)\, \partial_\phi \log q_j(z)` with responsibilities :math:`r_j`. Its own part
:math:`r_s` is reparameterised, the others' parts are kept as they are:

.. math:: \nabla_\phi = \sum_s w_s \mathbb E \sum_k \Big\{
          \tilde w_k \big(1 - r_s (1 - \tilde w_k)\big) \frac{\partial \ell_k}{\partial z_k}
          \frac{\partial z_k}{\partial \phi}
          - \tilde w_k r_s \frac{\partial \log r_s}{\partial z_k}\frac{\partial z_k}{\partial\phi}
          - \tilde w_k \sum_{j \ne s} r_j\, \partial_\phi \log q_j(z_k) \Big\}

which is unbiased for every K; :math:`r_s = 1` gives the squared weights back, and for K = 1 the
last two terms vanish in expectation over the strata and are left out. Gradients are scaled by a
hook on the very tensor that decoder and densities read (on a copy it would never fire).

References:
    George Tucker, Dieterich Lawson, Shixiang Gu, Chris Maddison. Doubly Reparameterized Gradient
    Estimators for Monte Carlo Objectives. ICLR 2019. https://arxiv.org/abs/1810.04152, eq. 8.
    Matthias Bauer, Andriy Mnih. Generalized Doubly Reparameterized Gradient Estimators. ICML 2021.
    https://arxiv.org/abs/2101.11046, for scores of another density than the sampling one.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from polymodal.distributions.strata import Strata
from polymodal.model import MultimodalVAE
from polymodal.objectives.iwae import bound, parts_of
from polymodal.objectives.pieces import weighted_sum
from polymodal.typing import Batch, Present, Terms


class DReG(nn.Module):
    """IWAE's loose bound with doubly reparameterised gradients.

    Arguments:
        samples: Draws a stratum K.
    """

    def __init__(self, samples: int = 1) -> None:
        super().__init__()
        if samples < 1:
            raise ValueError(f"DReG: samples must be at least 1, got {samples}.")
        self.samples = samples

    def forward(self, model: MultimodalVAE, x: Batch, present: Present, step: int) -> Terms:
        """The negative bound of each row in nats; its gradient is the estimator above."""
        q: Strata = model.posterior(x, present)  # pyright: ignore[reportAssignmentType]
        frozen = q.detach()
        drawn = q.stratified(self.samples)  # (K, S, B, D)
        z = drawn.view_as(drawn)
        path_share: list[Tensor] = []
        several = self.samples > 1
        if several and z.requires_grad:
            z.register_hook(lambda gradient: gradient * path_share[0].unsqueeze(-1))
        log_p = model.log_likelihoods(z, x, present)
        gap = frozen.log_prob(z) - model.prior().log_prob(z)
        log_ratio = weighted_sum(model, log_p) - gap
        weight = log_ratio.detach().softmax(0)  # (K, S, B)
        surrogate = weight * log_ratio
        if several:
            own = torch.ones_like(weight)
            if q.n_strata > 1:
                own, of_mixture = mixture_scores(q, frozen, drawn, weight)
                surrogate = surrogate + of_mixture
            path_share.append(1 - own * (1 - weight))
        surrogate = (frozen.log_weights.exp() * surrogate).sum((0, 1))
        value = bound(log_ratio.detach(), frozen.log_weights, tight=False)
        # The bound's value with the estimator's gradient.
        return Terms(surrogate.detach() - surrogate - value, parts_of(q, log_p, gap))


def mixture_scores(
    q: Strata, frozen: Strata, drawn: Tensor, weight: Tensor
) -> tuple[Tensor, Tensor]:
    """The two terms that only mixtures have.

    Arguments:
        q: The posterior.
        frozen: The same without gradient to its parameters.
        drawn: Stratified draws, ``(K, S, B, D)``; no hook may stand on them.
        weight: Normalised importance weights, without gradient, ``(K, S, B)``.

    Returns:
        The responsibility of each draw's own stratum ``r_s (K, S, B)``, without gradient, and a
        surrogate ``(K, S, B)`` whose gradient is that of the last two terms.
    """
    log_weights = frozen.log_weights
    prior_share = log_weights.reshape(len(log_weights), 1, 1, log_weights.shape[-1])
    with torch.no_grad():
        share = (frozen.stratum_log_prob(drawn) + prior_share).softmax(0)  # (J, K, S, B)
        strata = torch.arange(q.n_strata, device=drawn.device)
        own = share[strata, :, strata].transpose(0, 1)  # (K, S, B)
        others = share.clone()
        others[strata, :, strata] = 0
    log_own = frozen.components.log_prob(drawn) - frozen.log_prob(drawn)
    of_others = (others * q.stratum_log_prob(drawn.detach())).sum(0)
    return own, -weight * own * log_own - weight * of_others
