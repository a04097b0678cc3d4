r"""Averages over draws from a proposal, in logs, with their effective sample size.

.. math:: \log \frac1K \sum_k r(z_k), \qquad z_k \sim q, \qquad
          \mathrm{ESS} = \frac{(\sum_k r(z_k))^2}{\sum_k r(z_k)^2}

For the likelihood of :math:`x_A`, whatever the proposal q,
:math:`r(z) = p(x_A \mid z)\, p(z) / q(z)` has the mean :math:`p(x_A)`. Where q is a mixture the
draws are spread over its strata by their weights and meet the density of the *whole* mixture;
drawing from one stratum while dividing by the mixture is biased in either direction.

Private latents of modalities that play no part are drawn from their prior: what is known of them
says nothing about :math:`x_A` given the shared latent, and their ratios would only add noise.

References:
    Art Owen, Yi Zhou. Safe and effective importance sampling. Journal of the American Statistical
    Association 95, 2000. https://doi.org/10.1080/01621459.2000.10473909
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.distributions import Distribution

from polymodal.distributions.blocks import Blocks
from polymodal.distributions.dependent import PartlyTold
from polymodal.distributions.diagonal import Diagonal
from polymodal.distributions.strata import Strata
from polymodal.model import LatentModel
from polymodal.tasks.answer import draws_at_once
from polymodal.tasks.blocks import layout_told
from polymodal.typing import Batch, Present


@dataclass(frozen=True)
class LogMean:
    """The log of an average over draws.

    Arguments:
        value: In nats, ``(B,)``, float64.
        ess: Effective sample size as a share of the draws, in [1/K, 1], ``(B,)``.
    """

    value: Tensor
    ess: Tensor


def posterior_of(
    model: LatentModel, x: Batch, present: Present, shown: Sequence[str], *, answers: bool = False
) -> Distribution:
    """q(z | x of the modalities ``shown``); with none of them it is that of empty rows.

    With ``answers`` it is what questions are answered from, else any good proposal.
    """
    some = {name: present[name] for name in shown if name in present}
    if not some:
        name = next(iter(present))
        some = {name: torch.zeros_like(present[name])}
    verb = model.answer_posterior if answers else model.proposal
    return verb({name: x[name] for name in some}, some)


def proposal_for(model: LatentModel, q: Distribution, of: Sequence[str]) -> Distribution:
    """A posterior as the proposal for the likelihood of the modalities ``of``.

    It has the prior in the place of the private blocks that ``of`` does not read.
    """
    if isinstance(q, PartlyTold):
        unread = [name not in of for name in model.names]
        return q.forget(torch.tensor(unread, device=q.told.device))
    layout = layout_told(model)
    if layout is None or not isinstance(q, Strata):
        return q
    p = model.prior()
    private = p.private if isinstance(p, Blocks) else p
    if not isinstance(private, Diagonal) or private.family != q.family:
        return q
    unread = [name for name in model.names if name not in of]
    if not any(layout.private[name] for name in unread):
        return q
    idle = torch.tensor([name in unread for name in layout.private], device=q.loc.device)
    shared = torch.zeros(layout.shared, dtype=torch.bool, device=q.loc.device)
    here = torch.cat([shared, idle[layout.owner]])  # (D,)
    start = len(private.loc) - layout.private_dim
    blank = torch.ones_like(q.loc[0, 0, : layout.shared])
    loc = torch.cat([blank, private.loc[start:]])
    scale = torch.cat([blank, private.scale[start:]])
    return Strata(
        torch.where(here, loc, q.loc),
        torch.where(here, scale, q.scale),
        q.log_weights,
        q.family,
    )


def log_ratio(
    model: LatentModel, q: Distribution, z: Tensor, x: Batch, present: Present
) -> Tensor:
    """log p(x | z) + log p(z) - log q(z) at draws ``z (K, B, D)``, in nats, ``(K, B)``."""
    return log_given_z(model, z, x, present) + model.prior().log_prob(z) - q.log_prob(z)


def log_given_z(model: LatentModel, z: Tensor, x: Batch, present: Present) -> Tensor:
    """log p of all that ``present`` shows given z, true and unweighted, ``(K, B)``."""
    return torch.stack(list(model.log_likelihoods(z, x, present).values())).sum(0)


def log_means(
    q: Distribution, samples: int, terms: Callable[[Tensor], Sequence[Tensor]]
) -> list[LogMean]:
    """Averages over the same draws from ``q``, in bounded memory.

    Arguments:
        q: The proposal, batch shape ``(B,)``.
        samples: The number of draws K.
        terms: Draws ``(k, B, D)`` -> the logs of what is averaged, ``(k, B)`` each.
    """
    first: list[Tensor] = []
    second: list[Tensor] = []
    for z in _pieces(q, samples):
        logs = [term.double() for term in terms(z)]
        once = [torch.logsumexp(log, 0) for log in logs]
        twice = [torch.logsumexp(2 * log, 0) for log in logs]
        first = [*map(torch.logaddexp, first, once)] if first else once
        second = [*map(torch.logaddexp, second, twice)] if second else twice
    return [
        LogMean(one - math.log(samples), _share(2 * one - two, samples))
        for one, two in zip(first, second, strict=True)
    ]


def _share(log_ess: Tensor, samples: int) -> Tensor:
    """The share of the draws that counts; a value so wild that no draw has a density: one draw."""
    share = log_ess.exp() / samples
    return torch.where(share.isfinite(), share, 1 / samples).clamp(1 / samples, 1.0)


def _pieces(q: Distribution, samples: int) -> Iterator[Tensor]:
    """All draws from ``q``, ``(k, B, D)`` at once."""
    if not isinstance(q, Strata):
        for n in draws_at_once(samples, q.batch_shape.numel(), q.event_shape.numel()):
            yield q.sample(torch.Size((n,)))
        return
    stratum = q.proportional(samples)  # (K, B)
    width = q.n_strata * q.event_shape.numel()
    sizes = list(draws_at_once(samples, q.batch_shape.numel(), width))
    for piece in stratum.split(sizes):
        yield q.pick(piece).sample()
