"""Likelihood of ordered categories: the decoder gives one number, thresholds are learned."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from polymodal.distributions.ordinal import OrdinalObserved, Thresholds
from polymodal.likelihoods.base import Likelihood, check_at_least
from polymodal.likelihoods.scale import RATE, inverse_softplus

_GAP = 1e-3


class LearnedThresholds(nn.Module):
    """Ordered thresholds of P columns that start with all levels equally likely at zero.

    Arguments:
        levels: The number of levels of each column.
        rate: How many times faster than a bare parameter they move.
    """

    there: Tensor
    start: Tensor

    def __init__(self, levels: Sequence[int], *, rate: float = RATE) -> None:
        super().__init__()
        most = max(levels, default=1)
        start, there = torch.zeros(len(levels), most - 1), torch.zeros(len(levels), most - 1)
        for p, n in enumerate(levels):
            cuts = [math.log(k / (n - k)) for k in range(1, n)]  # logit(k / n)
            steps = [inverse_softplus(b - a - _GAP) for a, b in pairwise(cuts)]
            start[p, : n - 1] = torch.tensor([*cuts[:1], *steps])
            there[p, : n - 1] = 1
        self.rate = rate
        self.register_buffer("start", start, persistent=False)
        self.register_buffer("there", there > 0, persistent=False)
        self.raw = nn.Parameter(torch.zeros(len(levels), most - 1))

    def forward(self) -> Thresholds:
        """The thresholds, each table ``(P, L)``."""
        raw = self.start + self.rate * self.raw  # (P, L - 1)
        gaps = functional.softplus(raw[:, 1:]) + _GAP
        cuts = torch.cat([raw[:, :1], gaps], 1).cumsum(1)
        cuts = torch.where(self.there, cuts, torch.inf)
        edge = cuts.new_full((len(cuts), 1), torch.inf)
        # One level more than cuts that are there, and nothing beyond.
        inner = torch.where(self.there[:, 1:], (-torch.expm1(-gaps)).log(), 0)
        inside = torch.cat([edge == edge, self.there], 1)  # (P, L)
        zero = torch.zeros_like(edge)
        log_width = torch.cat([zero, inner, zero], 1)[:, : inside.shape[1]]
        return Thresholds(
            lower=torch.where(inside, torch.cat([-edge, cuts], 1), 0),
            upper=torch.cat([cuts, edge], 1),
            log_width=torch.where(inside, log_width, -torch.inf),
        )


class OrdinalLikelihood(Likelihood):
    """One ordered category a row, values are codes ``(B,)``, int64.

    Arguments:
        levels: The number of levels L.
        rate: How many times faster than a bare parameter the thresholds move.
    """

    def __init__(self, levels: int, *, rate: float = RATE) -> None:
        super().__init__((1,), ())
        check_at_least(levels, 1, "OrdinalLikelihood: levels")
        self.learned = LearnedThresholds((levels,), rate=rate)

    def _observe(self, parameters: Tensor) -> OrdinalObserved:
        return OrdinalObserved(parameters, self.learned())

    def point(self, statistics: Tensor) -> Tensor:
        """The most probable level, ``(..., L) -> (...)``, int64."""
        return statistics.argmax(-1)
