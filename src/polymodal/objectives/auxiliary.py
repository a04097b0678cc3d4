r"""The importance-weighted bound with private latents and auxiliary priors: MMVAE+.

With :math:`z^k \sim q_m(z \mid x_m)`, :math:`w_m^k \sim q(w_m \mid x_m)` and, for the other
modalities, :math:`\tilde w_n^k \sim r_n`,

.. math::
    \ell_{m,k} = \log p(x_m \mid z^k, w_m^k) + \sum_{n \ne m} \log p(x_n \mid z^k, \tilde w_n^k)
        + \beta \Big[ \log \frac{p(z^k)}{\tfrac1M \sum_j q_j(z^k)}
        + \log \frac{p(w_m^k)}{q(w_m^k \mid x_m)} \Big]

.. math:: \mathcal L = \frac1M \sum_m \log \frac1K \sum_k e^{\ell_{m,k}}

:math:`\beta` stands inside the importance weight. The draws of :math:`r_n` are auxiliary and
have no density in the bound. M and all sums are over the modalities that a row has.

``"dreg"`` has the same value with doubly reparameterised gradients. The score of
:math:`q(w_m \mid x_m)`, :math:`-\beta\,\tilde w_k\, \partial_\phi \log q`, is reparameterised, and
that of the mixture as ``objectives/dreg.py`` derives it, with :math:`\beta` in front: the path of
:math:`w_m` then carries :math:`\tilde w_k (1 - \beta (1 - \tilde w_k))`, that of z
:math:`\tilde w_k (1 - \beta r_m (1 - \tilde w_k))` with :math:`r_m` the responsibility of the
draw's own stratum, and that of :math:`\tilde w_n`, which has no score, :math:`\tilde w_k`.

With a mixture prior this is also CMVAE's bound: where :math:`q(c \mid z)` is the prior's own
posterior of the cluster, :math:`\sum_c q(c|z) \log [\pi_c\, p(z|c) / q(c|z)] = \log p(z)`.

References:
    Emanuele Palumbo, Imant Daunhawer, Julia Vogt. MMVAE+: Enhancing the Generative Quality of
    Multimodal VAEs without Compromises. ICLR 2023. https://openreview.net/forum?id=sdQGxouELX,
    eq. 6. Gradients: Tucker et al., https://arxiv.org/abs/1810.04152, eq. 8.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from polymodal.distributions.blocks import Blocks
from polymodal.distributions.diagonal import Diagonal
from polymodal.distributions.strata import Strata
from polymodal.latent import LatentLayout
from polymodal.model import MultimodalVAE, presence
from polymodal.objectives.dreg import mixture_scores
from polymodal.objectives.iwae import bound, parts_of
from polymodal.objectives.pieces import at_step, checked_weight, weighted_sum
from polymodal.objectives.schedules import Schedule
from polymodal.priors.auxiliary import AuxiliaryPrior
from polymodal.typing import Batch, Present, Terms

Estimator = Literal["dreg", "iwae"]


@dataclass(frozen=True)
class _Draws:
    """Draws of every stratum, and which private numbers are the stratum's own, bool ``(S, W)``."""

    z: Tensor
    own: Tensor


class AuxiliaryBound(nn.Module):
    """The negative bound of each row, every stratum decoding every modality.

    Arguments:
        auxiliary: The private priors that stand in for other modalities' private latents.
        samples: Draws a stratum K.
        beta: Weight of the densities in the importance weight: a number or a schedule.
        estimator: ``"dreg"`` or ``"iwae"``: one value, two gradients.
    """

    def __init__(
        self,
        auxiliary: AuxiliaryPrior,
        samples: int = 1,
        beta: float | Schedule = 1.0,
        estimator: Estimator = "dreg",
    ) -> None:
        super().__init__()
        if samples < 1 or estimator not in get_args(Estimator):
            raise ValueError(
                "AuxiliaryBound: samples must be at least 1 and estimator must be 'dreg' or "
                f"'iwae', got {samples} and {estimator!r}."
            )
        self.auxiliary = auxiliary
        self.samples = samples
        self.beta = checked_weight("AuxiliaryBound", "beta", beta)
        self.estimator: Estimator = estimator

    def forward(self, model: MultimodalVAE, x: Batch, present: Present, step: int) -> Terms:
        """The negative bound of each row in nats; a row with nothing costs nothing."""
        q: Strata = model.posterior(x, present)  # pyright: ignore[reportAssignmentType]
        if q.n_strata != len(model.names):
            raise ValueError(
                "AuxiliaryBound needs a stratum a modality, got "
                f"{q.n_strata} strata of {len(model.names)} modalities. Use MixtureOfExperts."
            )
        beta = at_step(self.beta, step)
        drawn = self._draw(q, model.layout)
        if self.estimator == "iwae":
            log_ratio, log_p, gap = _log_ratio(model, q, drawn.z, x, present, beta)
            value = bound(log_ratio, q.log_weights, tight=False)
            return Terms(-value, parts_of(q, log_p, gap))
        return self._dreg(model, q, drawn, x, present, beta)

    def _draw(self, q: Strata, layout: LatentLayout) -> _Draws:
        """Draws ``(K, S, B, D)``: own private blocks from q, the others from r."""
        z = q.stratified(self.samples)
        strata = torch.arange(q.n_strata, device=z.device)
        own = layout.owner == strata.unsqueeze(-1)  # (S, W)
        if layout.private_dim == 0:
            return _Draws(z, own)
        other = self.auxiliary().rsample(z.shape[:-1]).to(z)  # (K, S, B, W)
        private = torch.where(own.unsqueeze(1), z[..., layout.shared :], other)
        return _Draws(torch.cat([z[..., : layout.shared], private], -1), own)

    def _dreg(
        self,
        model: MultimodalVAE,
        q: Strata,
        drawn: _Draws,
        x: Batch,
        present: Present,
        beta: float,
    ) -> Terms:
        """The bound's value with the doubly reparameterised gradient."""
        frozen, shared = q.detach(), model.layout.shared
        z = drawn.z.view_as(drawn.z)
        path_share: list[Tensor] = []
        several = self.samples > 1
        if several and z.requires_grad:
            z.register_hook(lambda gradient: gradient * path_share[0])
        log_ratio, log_p, gap = _log_ratio(model, frozen, z, x, present, beta)
        weight = log_ratio.detach().softmax(0)  # (K, S, B)
        surrogate = weight * log_ratio
        if several:
            responsible, of_mixture = mixture_scores(
                _leading(q, shared), _leading(frozen, shared), drawn.z[..., :shared], weight
            )
            surrogate = surrogate + beta * of_mixture
            of_shared = (beta * responsible * (1 - weight)).unsqueeze(-1)
            of_own = drawn.own.unsqueeze(1) * (beta * (1 - weight)).unsqueeze(-1)
            of_shared = of_shared.expand(*of_shared.shape[:-1], shared)
            path_share.append(1 - torch.cat([of_shared, of_own], -1))
        surrogate = (frozen.log_weights.exp() * surrogate).sum((0, 1))
        value = bound(log_ratio.detach(), frozen.log_weights, tight=False)
        return Terms(surrogate.detach() - surrogate - value, parts_of(q, log_p, gap))


def _log_ratio(
    model: MultimodalVAE, q: Strata, z: Tensor, x: Batch, present: Present, beta: float
) -> tuple[Tensor, Mapping[str, Tensor], Tensor]:
    """The log-weights ``(K, S, B)``, the log-likelihoods, and log q - log p ``(K, S, B)``."""
    log_p = model.log_likelihoods(z, x, present)
    prior: Blocks = model.prior()  # pyright: ignore[reportAssignmentType]
    if not isinstance(prior, Blocks):
        raise TypeError(
            f"AuxiliaryBound needs a prior made of blocks, got {type(prior).__name__}. "
            "Put the prior of the shared block in a BlockPrior."
        )
    layout = model.layout
    shared = z[..., : layout.shared]
    gap = _leading(q, layout.shared).log_prob(shared) - prior.shared.log_prob(shared)
    if layout.private_dim:
        gap = gap + _own_private_gap(q, prior.private, z, layout)
    # A row with nothing has the anchor for posterior: it says nothing of the prior.
    gap = torch.where(presence(model, present).any(0), gap, torch.zeros_like(gap))
    return weighted_sum(model, log_p) - beta * gap, log_p, gap


def _own_private_gap(q: Strata, prior: Diagonal, z: Tensor, layout: LatentLayout) -> Tensor:
    """log q(w_m | x_m) - log p(w_m) of each stratum's own private block, ``(K, S, B)``."""
    owner, at = layout.owner, torch.arange(layout.shared, layout.dim, device=z.device)
    value = z[:, owner, :, at].unsqueeze(-1)  # (W, K, B, 1): each dimension in its own stratum
    loc, scale = (one[owner, :, at][:, None, :, None] for one in (q.loc, q.scale))
    gap = Diagonal(loc, scale, q.family).log_prob(value)
    loc, scale = (one[:, None, None, None] for one in (prior.loc, prior.scale))
    gap = gap - Diagonal(loc, scale, prior.family).log_prob(value)  # (W, K, B)
    own = owner == torch.arange(q.n_strata, device=z.device).unsqueeze(-1)  # (S, W)
    own = own[:, :, None, None]
    return torch.where(own, gap, torch.zeros_like(gap)).sum(1).transpose(0, 1)


def _leading(q: Strata, dim: int) -> Strata:
    """The strata of the leading dimensions."""
    return Strata(q.loc[..., :dim], q.scale[..., :dim], q.log_weights, q.family)
