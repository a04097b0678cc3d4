"""Answering for any modality given any others: what impute, translate and reconstruct share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from polymodal.distributions.decoding import Decoding
from polymodal.distributions.observed import Observed
from polymodal.distributions.tokens import TextObserved
from polymodal.likelihoods.base import Likelihood
from polymodal.likelihoods.tokens import TokenLikelihood
from polymodal.model import LatentModel
from polymodal.tasks.given_nothing import prior_where_nothing
from polymodal.tasks.hmc import refine as refined_draws
from polymodal.tasks.latent_draws import posterior_draws
from polymodal.typing import Batch, Present

POINT_DRAWS = 50
"""Draws of z, at least, over which a point estimate is averaged."""

_LEAST_POINTS = 10
_DECODED_ROWS = 8192
_LARGEST = 2**24


@dataclass(frozen=True)
class Answer:
    """What a model says of some rows and modalities.

    Arguments:
        point: Name -> point estimates ``(B, ...)``: means of numbers, the likeliest category.
        statistics: Name -> averaged expectations ``(B, Q)``; not for autoregressive text.
        draws: Name -> values sampled from the likelihood, ``(n, B, ...)``; the draws of one index
            share their z over all modalities and cells of a row.
        ess: Effective sample size as a share of the proposals, ``(B,)``.
        acceptance: Of the chains that refined the draws, ``(B,)``; None where nothing did.
    """

    point: dict[str, Tensor]
    statistics: dict[str, Tensor]
    draws: dict[str, Tensor]
    ess: Tensor
    acceptance: Tensor | None = None


def answer(
    model: LatentModel,
    x: Batch,
    present: Present,
    names: Sequence[str],
    *,
    draws: int,
    proposals: int,
    refine: int = 0,
    text: Decoding | None = None,
) -> Answer:
    """Point estimates and draws of the modalities ``names`` given what is present.

    With no proposals, z is drawn from the amortised posterior itself. With ``refine`` chains of so
    many steps go on from these draws. ``text`` says how texts are written; None is greedy for the
    point and a plain sample for a draw.
    """
    n_points = max(draws, POINT_DRAWS)
    if proposals:
        n_proposals = enough_proposals(draws, proposals)
        least = max(draws, _LEAST_POINTS) / n_proposals
        z, ess = posterior_draws(model, x, present, n_points, n_proposals, least)
    else:
        z = model.answer_posterior(x, present).sample((n_points,))
        z = prior_where_nothing(model, z, present)
        ess = z.new_ones(z.shape[1])
    acceptance = None
    if refine:
        refined = refined_draws(model, x, present, n_points, steps=refine, start=z)
        z, acceptance = refined.z, refined.acceptance
    point, statistics, drawn = {}, {}, {}
    for_points = model.for_points(z, present)
    for name in names:
        likelihood = model.likelihood(name)
        at, typical = z, for_points
        if name in model.at_mean:
            at = typical = mean_given_others(model, x, present, name, draws)
        p = model.decode(typical, (name,))[name]
        if p.averages:
            statistics[name] = p.statistics.mean(0)
            point[name] = averaged_point(likelihood, statistics[name], text)
            if draws:
                same = typical is at and draws == len(at)
                some = p if same else model.decode(at[:draws], (name,))[name]
                drawn[name] = value_drawn(some, text)
            continue
        # Text has no mean: the likeliest words at one z that stands for the row.
        centre = typical.mean(0, keepdim=True)
        nearest = (typical - centre).square().sum(-1).argmin(0)  # (B,)
        middle = typical[nearest, torch.arange(at.shape[1], device=at.device)]
        point[name] = value_at(model.decode(middle, (name,))[name], text)
        if draws:
            drawn[name] = value_drawn(model.decode(at[:draws], (name,))[name], text)
    return Answer(point, statistics, drawn, ess, acceptance)


def value_at(p: Observed, text: Decoding | None) -> Tensor:
    """The likeliest value at one z, a text as ``text`` says."""
    return p.write(text) if text is not None and isinstance(p, TextObserved) else p.mode


def value_drawn(p: Observed, text: Decoding | None) -> Tensor:
    """A sample; of texts one that is written as ``text`` says, or drawn."""
    return p.write(text or Decoding("sample")) if isinstance(p, TextObserved) else p.sample()


def averaged_point(likelihood: Likelihood, statistics: Tensor, text: Decoding | None) -> Tensor:
    """Values from averaged expectations, a text as ``text`` says."""
    if text is None or not isinstance(likelihood, TokenLikelihood):
        return likelihood.point(statistics)
    return likelihood.averaged(statistics).write(text)


def mean_given_others(
    model: LatentModel, x: Batch, present: Present, name: str, copies: int = 1
) -> Tensor:
    """The posterior's mean where one modality is never given, ``(max(copies, 1), B, D)``."""
    others = dict(present)
    if name in others:
        others[name] = torch.zeros_like(others[name])
    mean = model.answer_posterior(x, others).mean
    return mean.expand(max(copies, 1), *mean.shape)


def enough_proposals(draws: int, proposals: int) -> int:
    """How many proposals a row gets: several for every draw, or there would be no choice."""
    return max(proposals, 4 * draws if proposals else draws, POINT_DRAWS)


def chunks(n_rows: int, copies: int, device: torch.device) -> Iterator[Tensor]:
    """Row indices in pieces that bound memory, when each row is decoded ``copies`` times."""
    size = max(1, _DECODED_ROWS // max(copies, 1))
    for start in range(0, n_rows, size):
        yield torch.arange(start, min(start + size, n_rows), device=device)


def draws_at_once(samples: int, n_rows: int, width: int) -> Iterator[int]:
    """Numbers of draws that add up to ``samples`` and bound memory.

    Arguments:
        samples: Draws a row.
        n_rows: Rows, each decoded once a draw.
        width: Numbers that a draw of a row takes beside.
    """
    most = max(1, min(_DECODED_ROWS // max(n_rows, 1), _LARGEST // max(n_rows * width, 1)))
    for start in range(0, samples, most):
        yield min(most, samples - start)
