r"""Visible units: what a Boltzmann machine reads of a modality, and writes.

A row is a flat vector ``[numbers | yes or no | one-hot groups]`` and the units are independent
given the layer above, whose pull is the field :math:`f = b + \sigma W(h - \tfrac12)`, with
:math:`\sigma = 1` but for numbers:

.. math:: v \sim N(f, \sigma^2), \qquad v \sim \mathrm{Bernoulli}(f), \qquad
          v \sim \mathrm{softmax}(f), \qquad v \sim \mathrm{multinomial}(n, \mathrm{softmax}(f))

the last for the words of a text of n tokens (replicated softmax). A likelihood that is no such
family (counts, grades) reads its standardised numbers, and writes through a line that is learned.

References:
    Numbers with their own scale: KyungHyun Cho, Alexander Ilin, Tapani Raiko. Improved Learning of
    Gaussian-Bernoulli Restricted Boltzmann Machines. ICANN 2011, eq. 2. Words: Ruslan
    Salakhutdinov, Geoffrey Hinton. Replicated Softmax. NIPS 2009, eq. 3.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot, softplus

from polymodal.distributions.factorised import draw_codes
from polymodal.distributions.observed import Observed
from polymodal.likelihoods.base import Likelihood
from polymodal.likelihoods.scale import LearnedScale
from polymodal.model import row_log_prob
from polymodal.typing import as_cells, rows_present

_FEWEST = 1e-3  # probabilities start no nearer to 0 and 1


class Visible(nn.Module):
    """The units of one modality; children say how its values become units and the reverse.

    Arguments:
        likelihood: What is written.
        numbers: Gaussian units whose mean the likelihood takes as it is.
        lined: Gaussian units whose mean goes through a line first.
        binary: Bernoulli units.
        groups: Sizes of the one-hot groups.

    Attributes:
        size: How many units.
    """

    bias: nn.Parameter
    offset: Tensor
    shift: Tensor
    spread: Tensor

    def __init__(
        self,
        likelihood: Likelihood,
        *,
        numbers: int = 0,
        lined: int = 0,
        binary: int = 0,
        groups: Sequence[int] = (),
    ) -> None:
        super().__init__()
        self.likelihood = likelihood
        self.sizes = (numbers + lined, binary, sum(groups))
        self.size, self.groups = sum(self.sizes), tuple(groups)
        self.numbers, self.lined = numbers, lined
        self.bias = nn.Parameter(torch.zeros(self.size))
        start = torch.cat(
            [torch.zeros(self.sizes[0]), torch.full((binary,), 0.5)]
            + [torch.full((n,), 1 / n) for n in groups]
        )
        self.register_buffer("offset", start)
        self.line_scale = LearnedScale((lined,)) if lined else None
        self.gain = nn.Parameter(torch.ones(lined)) if lined else None
        self.register_buffer("shift", torch.zeros(lined))
        self.register_buffer("spread", torch.ones(lined))
        most = max(groups, default=1)
        there = torch.arange(most) < torch.tensor(groups).reshape(-1, 1)  # (g, L)
        self.register_buffer("_there", there, persistent=False)
        slots = torch.where(there, there.flatten().long().cumsum(0).reshape(there.shape) - 1, 0)
        self.register_buffer("_slots", slots, persistent=False)
        self.register_buffer("_levels", there.flatten().nonzero()[:, 0], persistent=False)

    def values(self, x: Tensor) -> Tensor:
        """Units ``(B, V)`` of values without holes, before standardising."""
        raise NotImplementedError

    def cells(self, mask: Tensor) -> Tensor:
        """Which units are there, ``(B,)`` or ``(B, P)`` -> bool ``(B, V)``."""
        raise NotImplementedError

    def number_scale(self) -> Tensor:
        """Standard deviations of the first ``numbers`` units."""
        return torch.ones(self.numbers, dtype=self.bias.dtype, device=self.bias.device)

    def parameters_of(self, field: Tensor) -> Tensor:
        """The likelihood's parameters from the field, ``(..., V)``."""
        return self.through_lines(field)

    def read(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Units and which of them are there, ``(B, V)`` each; 0 where they are not."""
        there = self.cells(mask)
        full = as_cells(mask, x)
        v = self.values(torch.where(full, x, torch.zeros((), dtype=x.dtype, device=x.device)))
        v = self.standardised(v.to(self.bias.dtype))
        return torch.where(there, v, 0.0), there

    def trials(self, x: Tensor, mask: Tensor) -> Tensor:
        """How many tokens a row has, ``(B,)``; 1 but for texts."""
        return torch.ones(len(mask), dtype=self.bias.dtype, device=self.bias.device)

    def usual_trials(self, n: int) -> Tensor:
        """How many tokens rows have of which nothing is known, ``(n,)``."""
        return torch.ones(n, dtype=self.bias.dtype, device=self.bias.device)

    def absent_trials(self, n: int) -> Tensor:
        """How many tokens a row is taken to have where it has no text, ``(n,)``."""
        return torch.ones(n, dtype=self.bias.dtype, device=self.bias.device)

    def line_score(self, p: Observed, x: Tensor, mask: Tensor) -> Tensor:
        """Log-likelihood of the lined values in nats, ``(B,)``."""
        return row_log_prob(p, x, mask)

    def standardised(self, v: Tensor) -> Tensor:
        """The lined units with mean 0 and spread 1."""
        if not self.lined:
            return v
        first, lined, rest = v.split((self.numbers, self.lined, self.size - self.sizes[0]), -1)
        return torch.cat([first, (lined - self.shift) / self.spread, rest], -1)

    def through_lines(self, field: Tensor) -> Tensor:
        """The field, its lined part multiplied by the learned gains."""
        if self.gain is None:
            return field
        first, lined, rest = field.split((self.numbers, self.lined, self.size - self.sizes[0]), -1)
        return torch.cat([first, self.gain * lined, rest], -1)

    def write(self, field: Tensor) -> Observed:
        """p(x | h) as the likelihood has it, batch shape ``(...)``."""
        return self.likelihood(self.parameters_of(field))

    def scale(self) -> Tensor:
        """Standard deviations of the Gaussian units, ``(G,)``."""
        scale = self.number_scale()
        return (
            scale if self.line_scale is None else torch.cat([scale, self.line_scale.as_learned()])
        )

    def units(self) -> Tensor:
        """What a unit's value is measured in where it meets a weight, ``(V,)``."""
        return torch.cat([self.scale(), self.bias.new_ones(self.size - self.sizes[0])])

    @property
    def active(self) -> int:
        """How many units of a row are not zero, about."""
        return max(self.sizes[0] + self.sizes[1] + len(self.groups), 1)

    def mean(self, field: Tensor, trials: Tensor) -> Tensor:
        """Expected units given the field, ``(..., V)``; ``trials (...)``."""
        number, binary, rest = field.split(self.sizes, -1)
        return torch.cat(
            [number, binary.sigmoid(), trials[..., None] * self._log_softmax(rest).exp()], -1
        )

    def sample(self, field: Tensor, trials: Tensor) -> Tensor:
        """Units drawn given the field, ``(..., V)``."""
        number, binary, rest = field.split(self.sizes, -1)
        number = number + self.scale() * torch.randn_like(number)
        return torch.cat([number, torch.bernoulli(binary.sigmoid()), self._hot(rest, trials)], -1)

    def unary(self, v: Tensor) -> Tensor:
        """The energy of each unit alone in nats, ``(..., V)``."""
        number, rest = v.split((self.sizes[0], self.size - self.sizes[0]), -1)
        bias = self.bias.split((self.sizes[0], self.size - self.sizes[0]))
        gap = (number - bias[0]).square() / (2 * self.scale().square())
        return torch.cat([gap, -bias[1] * rest], -1)

    def entropy(self, field: Tensor, trials: Tensor) -> Tensor:
        """Entropy of each unit given the field in nats, ``(..., V)``; a group's is their sum."""
        number, binary, rest = field.split(self.sizes, -1)
        log_p = self._log_softmax(rest)
        normal = 0.5 * math.log(2 * math.pi * math.e) + self.scale().log()
        return torch.cat(
            [
                normal.expand_as(number),
                softplus(binary) - binary * binary.sigmoid(),
                -trials[..., None] * log_p.exp() * log_p,
            ],
            -1,
        )

    def spread_energy(self) -> Tensor:
        """What the noise of a Gaussian unit adds to its expected energy, ``(V,)``.

        One half; in the gradient, the noise is held and the scale of the energy is not.
        """
        scale = self.scale()
        half = scale.detach().square() / (2 * scale.square())
        return torch.cat([half, half.new_zeros(self.size - self.sizes[0])])

    @torch.no_grad()
    def start_from(self, x: Tensor, mask: Tensor) -> None:
        """Begin at the means and spreads of what is there, ``(B, ...)``."""
        rows = rows_present(mask)
        if not bool(rows.any()):
            return
        x, mask = x[rows], mask[rows]
        self.likelihood.start_from(x, mask if mask.ndim == 2 else None)
        if self.lined:
            self.shift.zero_()
            self.spread.fill_(1)
        v, there = self.read(x, mask)
        n = there.sum(0).clamp(min=1)
        mean = v.sum(0) / n
        spread = (torch.where(there, v - mean, 0).square().sum(0) / n).sqrt().clamp(min=1e-2)
        if self.gain is not None:
            block = slice(self.numbers, self.sizes[0])
            self.shift.copy_(mean[block])
            self.spread.copy_(spread[block])
            self.gain.copy_(spread[block])
            mean[block] = 0
        self._begin(mean, spread[: self.numbers])

    def _begin(self, mean: Tensor, spread: Tensor) -> None:
        number, binary, rest = mean.split(self.sizes)
        p = binary.clamp(_FEWEST, 1 - _FEWEST)
        self.offset.copy_(mean)
        self.bias.copy_(torch.cat([number, p.logit(), rest.clamp(min=_FEWEST).log()]))
        self.begin_scale(spread)

    def begin_scale(self, spread: Tensor) -> None:
        """Take the spread of the numbers as the first scale, where it is learned."""

    def _log_softmax(self, rest: Tensor) -> Tensor:
        """Log-probabilities within each group, ``(..., S) -> (..., S)``."""
        if not self.groups:
            return rest
        return self._padded(rest).flatten(-2)[..., self.get_buffer("_levels")]

    def _padded(self, rest: Tensor) -> Tensor:
        there = self.get_buffer("_there")
        padded = torch.where(there, rest[..., self.get_buffer("_slots")], -torch.inf)
        return padded.log_softmax(-1)  # (..., g, L)

    def _hot(self, rest: Tensor, trials: Tensor) -> Tensor:
        """One-hot draws of each group."""
        if not self.groups:
            return rest
        log_p = self._padded(rest)
        hot = one_hot(draw_codes(log_p, torch.Size(())), log_p.shape[-1])
        return hot.flatten(-2)[..., self.get_buffer("_levels")].to(rest.dtype)
