"""A VAE whose prior is measured when its training ends (priors/ex_post.py)."""

from __future__ import annotations

from collections.abc import Iterable

import torch

from polymodal.distributions.strata import Strata
from polymodal.model import MultimodalVAE, presence
from polymodal.priors.ex_post import ExPostPrior
from polymodal.typing import Batch, Present


class ExPostVAE(MultimodalVAE):
    """A multimodal VAE that fits its prior, an ``ExPostPrior``, to its posterior's draws.

    Who trains it without the estimator calls ``end_with`` when that is over.
    """

    def enter(self, stage: int) -> None:
        """Begin training: what was measured before is true no longer."""
        super().enter(stage)
        prior: ExPostPrior = self.prior  # pyright: ignore[reportAssignmentType]
        prior.measured.fill_(False)

    @torch.no_grad()
    def end_with(self, batches: Iterable[tuple[Batch, Present]], step: int) -> None:
        """Measure the prior on one draw a training row, given all that it has."""
        prior: ExPostPrior = self.prior  # pyright: ignore[reportAssignmentType]
        drawn = [torch.zeros(0, self.layout.shared, device=self.device)]
        for x, present in batches:
            q: Strata = self.posterior(x, present)  # pyright: ignore[reportAssignmentType]
            drawn.append(q.sample()[presence(self, present).any(0), : self.layout.shared])
        prior.measure(torch.cat(drawn))
