r"""Temperatures of categories, measured on hidden values.

.. math:: p_\tau(c) \propto p(c)^{1/\tau}, \qquad \tau \ge 1

A network that reconstructs a category that it was shown grows as sure as the training rows let
it; told to guess a hidden one it is then too sure. The temperature is the one, among a few, under
which hidden values were most probable; evaluation has it, training does not.

References:
    Chuan Guo, Geoff Pleiss, Yu Sun, Kilian Weinberger. On Calibration of Modern Neural Networks.
    ICML 2017. https://arxiv.org/abs/1706.04599, section 4.2.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from polymodal.likelihoods.scale import FEWEST_VALUES

TEMPERATURES = (1.0, 1.15, 1.3, 1.5, 1.75, 2.0, 2.5, 3.0, 4.0, 5.0, 7.0, 10.0)


class Temperature(nn.Module):
    """One temperature a categorical column.

    Arguments:
        n_columns: How many columns.
    """

    def __init__(self, n_columns: int) -> None:
        super().__init__()
        self.value: Tensor
        self.register_buffer("value", torch.ones(n_columns))

    def forward(self, logits: Tensor) -> Tensor:
        """Logits ``(..., n, L)``; divided by the temperatures in evaluation."""
        return logits if self.training else logits / self.value[:, None]

    @torch.no_grad()
    def calibrate(self, log_probs: Tensor, codes: Tensor, there: Tensor) -> None:
        """Take the temperatures under which hidden values are most probable.

        Arguments:
            log_probs: Predictions as ``forward`` gave them, normalised, ``(K, B, n, L)``; -inf
                where a column has no such level.
            codes: The hidden values, ``(B, n)``; anything where they are not known.
            there: Which are known, bool ``(B, n)``.
        """
        logits = log_probs if self.training else log_probs * self.value[:, None]
        place = torch.where(there, codes, 0).long().expand(log_probs.shape[:-1]).unsqueeze(-1)
        scores = []
        for temperature in TEMPERATURES:
            each = (logits / temperature).log_softmax(-1).gather(-1, place)[..., 0]
            score = each.logsumexp(0) - math.log(len(each))  # (B, n)
            scores.append(torch.where(there, score, 0).sum(0))
        best = torch.stack(scores).argmax(0)
        found = torch.tensor(TEMPERATURES, device=best.device, dtype=self.value.dtype)[best]
        self.value.copy_(torch.where(there.sum(0) >= FEWEST_VALUES, found, 1.0))
