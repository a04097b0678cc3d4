r"""Ordered categories by cumulative logits: ``P(y <= k) = sigmoid(t_k - eta)``, t increasing.

``log P(y = k) = log s(t_k - eta) + log s(eta - t_{k-1}) + log(1 - e^{-(t_k - t_{k-1})})`` with
``s`` the sigmoid: a sum of logs that loses no digits where a difference of sigmoids would.

References:
    Regression models for ordinal data. McCullagh, 1980, https://doi.org/10.1111/j.2517-6161.1980.tb01109.x
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Size, Tensor
from torch.nn import functional

from polymodal.distributions.factorised import draw_codes
from polymodal.distributions.observed import Observed


@dataclass(frozen=True)
class Thresholds:
    """Thresholds of P ordinal columns, padded to the largest number of levels L.

    Arguments:
        lower: Threshold below each level, ``(P, L)``; -inf below the first.
        upper: Threshold above each level, ``(P, L)``; inf above the last and beyond.
        log_width: ``log(1 - exp(lower - upper))``, ``(P, L)``; -inf where there is no such level.
    """

    lower: Tensor
    upper: Tensor
    log_width: Tensor

    def score(self, eta: Tensor, codes: Tensor) -> Tensor:
        """Log-probabilities of codes in nats, ``(..., B, P), (B, P) -> (..., B, P)``."""
        codes = codes.long()
        column = torch.arange(self.lower.shape[0], device=codes.device)
        lower, upper = self.lower[column, codes], self.upper[column, codes]  # (B, P)
        return _between(eta, lower, upper) + self.log_width[column, codes]

    def score_all(self, eta: Tensor) -> Tensor:
        """Log-probabilities of all levels in nats, ``(..., B, P) -> (..., B, P, L)``."""
        return _between(eta[..., None], self.lower, self.upper) + self.log_width

    def median(self, eta: Tensor) -> Tensor:
        """The first level with ``P(y <= k) >= 1/2``, ``(..., B, P) -> (..., B, P)``, int64."""
        return (self.upper < eta[..., None]).sum(-1)  # sigmoid(upper - eta) < 1/2


def _between(eta: Tensor, lower: Tensor, upper: Tensor) -> Tensor:
    return functional.logsigmoid(upper - eta) + functional.logsigmoid(eta - lower)


class OrdinalObserved(Observed):
    """One ordered category a row; a value is its code, int64.

    Arguments:
        eta: Position on the latent line, ``(..., B, 1)``.
        thresholds: Those of one column.
    """

    def __init__(self, eta: Tensor, thresholds: Thresholds) -> None:
        self.eta, self.thresholds = eta, thresholds
        super().__init__(eta.shape[:-1], ())

    @property
    def log_probs(self) -> Tensor:
        """Log-probabilities of the levels in nats, ``(..., B, L)``."""
        return self.thresholds.score_all(self.eta)[..., 0, :]

    @property
    def mode(self) -> Tensor:
        """The most likely code, ``(..., B)``, int64."""
        return self.log_probs.argmax(-1)

    @property
    def median(self) -> Tensor:
        """The code where the cumulative probability passes 1/2, ``(..., B)``, int64."""
        return self.thresholds.median(self.eta)[..., 0]

    @property
    def statistics(self) -> Tensor:
        """The probabilities, ``(..., B, L)``."""
        return self.log_probs.exp()

    def _log_prob(self, value: Tensor, cells: Tensor | None) -> Tensor:
        return self.thresholds.score(self.eta, value[..., None])[..., 0]

    def _draw(self, sample_shape: Size) -> Tensor:
        return draw_codes(self.log_probs, sample_shape)
