r"""The two pieces of every bound: weighted log-likelihoods and divergences from the prior."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Protocol

import torch
from torch import Tensor
from torch.distributions import Distribution

from polymodal.distributions.diagonal import Diagonal, diagonal_kl, standard_kl
from polymodal.distributions.strata import Strata
from polymodal.likelihoods.together import stacked_scores
from polymodal.objectives.schedules import Schedule


def checked_weight(owner: str, name: str, weight: float | Schedule) -> float | Schedule:
    """A weight, if it is a finite number of at least 0 or a schedule.

    Raises:
        ValueError: If it is neither.
    """
    if callable(weight):
        return weight
    if (
        isinstance(weight, bool)
        or not isinstance(weight, int | float)
        or not 0 <= weight < math.inf
    ):
        raise ValueError(
            f"{owner}: {name} must be a finite number of at least 0 or a schedule "
            f"(step -> number), got {weight!r}."
        )
    return weight


def at_step(weight: float | Schedule, step: int) -> float:
    """A weight that may be a schedule, at an optimiser step."""
    return weight(step) if callable(weight) else weight


class Weighted(Protocol):
    """A model whose likelihoods are weighted in training."""

    weights: dict[str, float]


def weighted_sum(model: Weighted, log_p: Mapping[str, Tensor]) -> Tensor:
    r"""The training log-likelihood :math:`\sum_m \lambda_m \log p(x_m | z)`, ``(..., B)``."""
    if not log_p:
        raise ValueError("the batch names no modality of the model.")
    each, weights = stacked_scores(log_p), [model.weights[name] for name in log_p]
    if weights.count(1) == len(weights):
        return each.sum(0)
    return torch.tensordot(each.new_tensor(weights), each, 1)


def reconstruction_parts(log_p: Mapping[str, Tensor], weights: Tensor) -> dict[str, Tensor]:
    """Negative log-likelihood of each modality, averaged over draws: ``(..., B)`` -> ``(B,)``.

    Arguments:
        log_p: Log-likelihoods in nats.
        weights: What each draw counts, ``(..., B)`` or broadcastable, summing to 1 over draws.
    """
    with torch.no_grad():
        each = (stacked_scores(log_p) * -weights).flatten(1, -2).sum(1)
        return {f"-log p({name})": one for name, one in zip(log_p, each.unbind(0), strict=True)}


def closed_form_kl(q: Strata, prior: Distribution) -> Tensor | None:
    """KL(q_s || p) of every stratum and dimension in nats, ``(S, ..., B, D)``.

    None where prior and posterior are not of one family, so that there is no closed form.
    """
    if not isinstance(prior, Diagonal) or prior.family != q.family:
        return None
    if prior.is_standard:
        return standard_kl(q.loc, q.scale, q.family)
    return diagonal_kl(q.loc, q.scale, prior.loc, prior.scale, q.family)


def stratum_kl(
    q: Strata, prior: Distribution, z: Tensor | None = None, floor: Tensor | None = None
) -> Tensor:
    """KL(q_s || p) of every stratum in nats, ``(S, ..., B)``.

    In closed form where prior and posterior are of one family, else estimated by
    ``log q_s(z) - log p(z)`` from stratified draws.

    Arguments:
        q: The posterior.
        prior: The prior over the same space.
        z: Stratified draws ``(K, S, ..., B, D)``; drawn here when needed and None.
        floor: Nats below which the KL of a dimension costs nothing more, ``(B, D)``.

    Raises:
        ValueError: If a floor is asked of a prior without closed form.
    """
    each = closed_form_kl(q, prior)
    if each is not None:
        return (each if floor is None else each.clamp(min=floor)).sum(-1)
    if floor is not None:
        raise ValueError("free_bits needs a prior and a posterior of one family.")
    draws = q.stratified(1) if z is None else z
    return (q.components.log_prob(draws) - prior.log_prob(draws)).mean(0)
