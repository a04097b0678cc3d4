"""Likelihoods of yes/no vectors and images, and of a lone category."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from polymodal.distributions.factorised import BernoulliObserved, CategoricalObserved
from polymodal.distributions.observed import Observed
from polymodal.likelihoods.base import Likelihood, as_shape, check_at_least
from polymodal.likelihoods.scale import FEWEST_VALUES
from polymodal.likelihoods.temperature import TEMPERATURES
from polymodal.typing import as_cells


class BernoulliLikelihood(Likelihood):
    r"""Bernoulli of each cell; the decoder gives logits. Values between 0 and 1 are scored too.

    .. math:: \operatorname{logit} p = f(z) + \operatorname{logit} r, \qquad
              r_p = \frac{n_{1p} + \bar r}{n_p + 1}

    The base rates r are those of the training rows, each drawn a little to the rate of all cells
    together, so that none is 0 or 1. A decoder that has learned nothing then says them: of a cell
    that is 1 in one row of a hundred, few rows would never teach it that. What a decoder says
    beyond them is divided by a temperature (see temperature.py) that is measured on hidden values,
    one for all cells, and that evaluation has and training has not: the highest of which the rows
    do not show, by one standard error, that it is worse than the best.

    Arguments:
        shape: Shape of one value; an integer P stands for ``(P,)``.
        base_rates: Whether training begins at base rates; else logits are the decoder's alone.
    """

    level: Tensor | None
    temperature: Tensor

    def __init__(self, shape: tuple[int, ...] | int, *, base_rates: bool = False) -> None:
        shape = as_shape(shape, "BernoulliLikelihood")
        super().__init__(shape, shape)
        self.register_buffer("level", torch.zeros(shape) if base_rates else None)
        self.register_buffer("temperature", torch.ones(()) if base_rates else None)

    def _observe(self, parameters: Tensor) -> BernoulliObserved:
        if self.level is not None:
            cooled = parameters if self.training else parameters / self.temperature
            parameters = self.level + cooled
        return BernoulliObserved(parameters, self.value_shape)

    @torch.no_grad()
    def start_from(self, value: Tensor, cells: Tensor | None = None) -> None:
        """Measure the base rates, where they are asked for; see the base class."""
        if self.level is None:
            return
        everywhere = torch.ones_like(value, dtype=torch.bool)
        there = everywhere if cells is None else as_cells(cells, value)
        n, ones = there.sum(0).double(), torch.where(there, value, 0).double().sum(0)
        overall = (ones.sum() + 0.5) / (n.sum() + 1)
        self.level.copy_(((ones + overall) / (n + 1)).logit())

    @torch.no_grad()
    def calibrate(self, predicted: Observed, value: Tensor, mask: Tensor) -> None:
        """Take the highest temperature under which hidden values are as probable as under any."""
        if self.level is None or not isinstance(predicted, BernoulliObserved):
            return
        there = as_cells(mask, value)
        beyond = predicted.logits - self.level  # (K, B, *shape)
        beyond = beyond if self.training else beyond * self.temperature
        truth = torch.where(there, value, 0).to(beyond.dtype).expand_as(beyond)
        scores = []
        for temperature in TEMPERATURES:
            logits = self.level + beyond / temperature
            each = -binary_cross_entropy_with_logits(logits, truth, reduction="none")
            scores.append(torch.where(there, each.logsumexp(0), 0).double().flatten(1).sum(1))
        some = int(there.sum()) >= FEWEST_VALUES and len(value) > 1
        best = _warmest(torch.stack(scores)) if some else 0
        self.temperature.fill_(TEMPERATURES[best])

    def point(self, statistics: Tensor) -> Tensor:
        """Probabilities as values, ``(..., P) -> (..., *value_shape)``."""
        return statistics.unflatten(-1, self.value_shape)


class CategoricalLikelihood(Likelihood):
    """One category a row; the decoder gives logits, values are codes ``(B,)``, int64.

    Arguments:
        levels: The number of categories L.
    """

    def __init__(self, levels: int) -> None:
        super().__init__((check_at_least(levels, 1, "CategoricalLikelihood: levels"),), ())

    def _observe(self, parameters: Tensor) -> CategoricalObserved:
        return CategoricalObserved(parameters)

    def point(self, statistics: Tensor) -> Tensor:
        """The most probable category, ``(..., L) -> (...)``, int64."""
        return statistics.argmax(-1)


def _warmest(scores: Tensor) -> int:
    """The last of the temperatures that is within one standard error of the best, ``(T, B)``."""
    lost = scores[scores.sum(1).argmax()] - scores
    error = lost.std(1) / lost.shape[1] ** 0.5
    held = (lost.mean(1) <= error).nonzero()
    return int(held.max()) if len(held) else 0  # none in a run that has diverged
