r"""Mutual supervision: each modality's encoder is the conditional prior of the others'.

For an ordered pair of modalities, with :math:`q(z \mid s)` the encoder of s, :math:`p(z \mid t)`
that of t, :math:`q(t \mid z)` the decoder of t and :math:`q(t|s) = \mathbb E_{q(z|s)}\, q(t|z)`,

.. math:: L(s, t) = \mathbb E_{q(z \mid s)} \Big[ \frac{q(t \mid z)}{q(t \mid s)} \log
          \frac{p(s \mid z)\, p(z \mid t)}{q(z \mid s)\, q(t \mid z)} \Big] + \log q(t \mid s)
          \;\le\; \log p(s \mid t)

and with the constant :math:`\log p(t)` a bound of :math:`\log p(s, t)`. Where t is missing its
conditional prior gives way to the mixture over t's pseudo-inputs:
:math:`L(s) = \mathbb E_{q(z|s)} \log p(s|z)\, p_t(z) / q(z|s)`. The objective is the mean of both
over all t other than s, and then over the s that a row has; with two modalities that is
:math:`\tfrac12 (L(s,t) + L(t,s))`.

:math:`q(t|s)` is averaged over K fresh draws and the draw z itself, which keeps the ratio below
K + 1; no gradient passes the ratio.

References:
    Tom Joy, Yuge Shi, Philip Torr, Tom Rainforth, Sebastian Schmon, N. Siddharth. Learning
    Multimodal VAEs through Mutual Supervision. ICLR 2022. https://arxiv.org/abs/2106.12570,
    eqs. 4 to 7.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from polymodal.distributions.strata import Strata
from polymodal.model import MultimodalVAE, presence
from polymodal.priors.vamp import VampPrior
from polymodal.typing import Batch, Present, Terms


class MutualSupervision(nn.Module):
    """The negative bound of each row, averaged over its pairs of modalities.

    Arguments:
        samples: Fresh draws K for q(t | s), beside z itself.
        supervision: Weight of log q(t | s).
    """

    def __init__(self, samples: int = 10, supervision: float = 1.0) -> None:
        super().__init__()
        if samples < 1 or not (supervision > 0 and math.isfinite(supervision)):
            raise ValueError(
                "MutualSupervision: samples must be at least 1 and supervision must be positive, "
                f"got {samples} and {supervision}."
            )
        self.samples = samples
        self.supervision = float(supervision)

    def forward(self, model: MultimodalVAE, x: Batch, present: Present, step: int) -> Terms:
        """The negative bound of each row in nats; a row with nothing costs nothing."""
        q: Strata = model.posterior(x, present)  # pyright: ignore[reportAssignmentType]
        prior: VampPrior = model.prior  # pyright: ignore[reportAssignmentType]
        on = presence(model, present)  # (M, B)
        z = q.stratified(self.samples + 1)  # (K + 1, S, B, D)
        own = torch.eye(len(on), dtype=torch.bool, device=z.device)
        pairs = own if len(on) == 1 else ~own
        first = z[0]  # (S, B, D)
        log_p, said = _log_likelihoods(model, z, x, present, pairs)  # log q(t|s): (T, S, B) each
        weight = log_p.new_tensor([model.weights[name] for name in model.names])[:, None, None]
        ratio = (log_p - said).detach().exp()
        conditional = q.stratum_log_prob(first)  # log p(z|t), (T, S, B)
        posterior = conditional[own]  # log q(z|s), (S, B)
        reconstruction = (weight * log_p)[own]
        paired = reconstruction + conditional - posterior - weight * log_p
        paired = ratio * paired + self.supervision * weight * said
        pseudo = prior.log_prob_of_each(first)  # (T, S, B)
        alone = reconstruction + pseudo - posterior
        each = torch.where(on.unsqueeze(1), paired, alone)
        share = _shares(pairs, on, each.dtype)
        loss = -(share * each).sum((0, 1))
        parts = {
            f"-log p({name})": -_mean_over(log_p[i], on) for i, name in enumerate(model.names)
        }
        parts["-log q(t|s)"] = -(share * torch.where(on.unsqueeze(1), said, 0.0)).sum((0, 1))
        parts = {name: value.detach() for name, value in parts.items()}
        return Terms(loss + _fit_of_pseudo_inputs(prior, first, on), parts)


def _log_likelihoods(
    model: MultimodalVAE, z: Tensor, x: Batch, present: Present, pairs: Tensor
) -> tuple[Tensor, Tensor]:
    """log p(t | z_s) at the first draw, and of its mean over all draws, ``(T, S, B)`` each.

    Arguments:
        model: The model.
        z: Draws of every encoder s, ``(K + 1, S, B, D)``.
        x: Values.
        present: What is there.
        pairs: Which t are averaged over the draws of which s, bool ``(T, S)``, of each t as many;
            of the others the first draw alone is decoded, and stands for the mean.
    """
    samples, n = len(z), len(pairs)
    partners = pairs.nonzero()[:, 1].reshape(n, -1)
    own = z[:, partners].movedim(1, 0).flatten(1, 2)  # (T, (K + 1) P, B, D)
    single = (~pairs).nonzero()[:, 1].reshape(n, -1)
    own = torch.cat([own, z[0, single]], 1)
    named = [t for t, name in enumerate(model.names) if name in present]
    found = model.log_likelihoods(own[named], x, present, each=True).together
    log_p = found.new_zeros(n, *found.shape[1:])
    log_p[named] = found
    averaged, alone = log_p.split([own.shape[1] - single.shape[1], single.shape[1]], 1)
    averaged = averaged.unflatten(1, (samples, -1))  # (T, K + 1, P, B)
    mean = averaged.logsumexp(1) - math.log(samples)
    each = []
    for of_pairs in (averaged[:, 0], mean):
        laid = of_pairs.new_zeros(*pairs.shape, of_pairs.shape[-1])
        laid[pairs], laid[~pairs] = of_pairs.flatten(0, 1), alone.flatten(0, 1)
        each.append(laid)
    return each[0], each[1]


def _shares(pairs: Tensor, on: Tensor, dtype: torch.dtype) -> Tensor:
    """What each pair counts: bool ``(T, S)`` and ``(S, B)`` -> ``(T, S, B)``, summing to one."""
    count = pairs.sum(0)[:, None] * on.sum(0).clamp(min=1)  # (S, B)
    return (pairs.unsqueeze(-1) & on).to(dtype) / count


def _mean_over(value: Tensor, on: Tensor) -> Tensor:
    """The mean over the strata that exist: ``(S, B)`` -> ``(B,)``."""
    return torch.where(on, value, torch.zeros_like(value)).sum(0) / on.sum(0).clamp(min=1)


def _fit_of_pseudo_inputs(prior: VampPrior, z: Tensor, on: Tensor) -> Tensor:
    """A term of value zero that fits the pseudo-inputs, and nothing else, to posterior draws.

    Complete rows do not use the mixture over pseudo-inputs; without this it would be a prior that
    nothing was ever drawn to.
    """
    fit = -_mean_over(prior.with_frozen_heads().log_prob(z.detach()), on)
    return fit - fit.detach()
