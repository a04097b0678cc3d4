"""A row of a table whose columns are of several kinds, independent given z.

``log p(x | z) = sum over the columns that are there of log p(x_c | z)``, one block a kind: numbers
Gaussian, counts negative binomial, ordinal by cumulative logits, categories by a softmax. No loop
over columns: thresholds and logits are padded to the largest number of levels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Size, Tensor

from polymodal.distributions.counts import NegativeBinomialObserved
from polymodal.distributions.factorised import draw_codes, pick
from polymodal.distributions.observed import Observed
from polymodal.distributions.ordinal import Thresholds


@dataclass(frozen=True)
class MixedLayout:
    """Where each block of a table is.

    Arguments:
        sizes: How many number, count, ordinal and category columns there are.
        columns: Columns in the order of the blocks, int64 ``(P,)``.
        places: Place in that order of each column, int64 ``(P,)``; the inverse of ``columns``.
        levels: Entries of the padded probabilities that exist, blocks ordinal and category one
            after the other and flattened, in the order of the columns, int64.
        slots: Entry of ``[means | levels]`` for each statistic, by column, int64.
    """

    sizes: tuple[int, int, int, int]
    columns: Tensor
    places: Tensor
    levels: Tensor
    slots: Tensor


class MixedObserved(Observed):
    """p(x | z) of a table's rows, values ``(B, P)`` float with codes of categories as floats.

    Arguments:
        loc: Means of the numbers, ``(..., B, n)``.
        scale: Their scales, ``(n,)``.
        counts: Distribution of the counts, ``(..., B)`` over ``(n,)``.
        eta: Positions of the ordinal columns, ``(..., B, n)``.
        thresholds: Their thresholds.
        logits: Log-probabilities of the categories, ``(..., B, n, L)``; -inf where there is no
            such level.
        layout: Where each block is.
    """

    def __init__(
        self,
        loc: Tensor,
        scale: Tensor,
        counts: NegativeBinomialObserved,
        eta: Tensor,
        thresholds: Thresholds,
        logits: Tensor,
        layout: MixedLayout,
    ) -> None:
        self.loc, self.scale, self.counts = loc, scale, counts
        self.eta, self.thresholds, self.logits, self.layout = eta, thresholds, logits, layout
        super().__init__(loc.shape[:-1], (sum(layout.sizes),))

    @property
    def mode(self) -> Tensor:
        """Means of numbers, the most likely counts and codes, ``(..., B, P)``."""
        return self._values(self.counts.mode, self._ordinal().argmax(-1))

    @property
    def median(self) -> Tensor:
        """Medians of numbers, counts and ordinal codes, likeliest categories, ``(..., B, P)``."""
        return self._values(self.counts.median, self.thresholds.median(self.eta))

    @property
    def statistics(self) -> Tensor:
        """For each column its mean or the probabilities of its levels, ``(..., B, Q)``."""
        levels = torch.cat([self._ordinal().flatten(-2), self.logits.flatten(-2)], -1)
        levels = levels[..., self.layout.levels].exp()
        return torch.cat([self.loc, self.counts.mean, levels], -1)[..., self.layout.slots]

    def cell_log_prob(self, value: Tensor, cells: Tensor | None = None) -> Tensor:
        """Log-density of each cell in nats, ``(..., B, P)``, zero where it is not there.

        Arguments:
            value: ``(B, P)``.
            cells: What is there, bool ``(B, P)``; None for all.
        """
        if cells is not None:
            value = torch.where(cells, value, 0)
        score = self._blocks(value)[..., self.layout.places]
        return score if cells is None else torch.where(cells, score, 0)

    def _log_prob(self, value: Tensor, cells: Tensor | None) -> Tensor:
        score = self._blocks(value)
        if cells is not None:
            score = torch.where(cells[..., self.layout.columns], score, 0)
        return score.sum(-1)

    def _blocks(self, value: Tensor) -> Tensor:
        """Log-density of each cell, ``(..., B, P)`` in the order of the blocks."""
        x = value[..., self.layout.columns].split(self.layout.sizes, -1)
        gap = (x[0] - self.loc) / self.scale
        return torch.cat(
            [
                -0.5 * gap.square() - (self.scale.log() + 0.5 * math.log(2 * math.pi)),
                self.counts.cell_log_prob(x[1]),
                self.thresholds.score(self.eta, x[2]),
                pick(self.logits, x[3]),
            ],
            -1,
        )

    def _ordinal(self) -> Tensor:
        return self.thresholds.score_all(self.eta)  # (..., B, n, L)

    def _draw(self, sample_shape: Size) -> Tensor:
        loc = self.loc.expand(*sample_shape, *self.loc.shape)
        codes = [draw_codes(table, sample_shape) for table in (self._ordinal(), self.logits)]
        return self._columns(
            [loc + self.scale * torch.randn_like(loc), self.counts.sample(sample_shape), *codes]
        )

    def _values(self, counts: Tensor, ordinal: Tensor) -> Tensor:
        """Values by column, of numbers and categories the likeliest."""
        return self._columns([self.loc, counts, ordinal, self.logits.argmax(-1)])

    def _columns(self, blocks: list[Tensor]) -> Tensor:
        """Values by kind to values by column."""
        return torch.cat([b.to(self.loc.dtype) for b in blocks], -1)[..., self.layout.places]
