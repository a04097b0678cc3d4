"""A VAE whose prior is measured when its training ends (priors/ex_post.py)."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor
from torch.distributions import Distribution

from polymodal.distributions.dependent import PartlyTold
from polymodal.distributions.strata import Strata
from polymodal.model import MultimodalVAE, presence
from polymodal.priors.ex_post import ExPostPrior
from polymodal.typing import Batch, Present


class ExPostVAE(MultimodalVAE):
    """A multimodal VAE that fits its prior, an ``ExPostPrior``, to its posterior's draws.

    Who trains it without the estimator calls ``end_with`` when that is over.
    """

    @property
    def _prior(self) -> ExPostPrior:
        return self.prior  # pyright: ignore[reportReturnType]

    def enter(self, stage: int) -> None:
        """Begin training: what was measured before is true no longer."""
        super().enter(stage)
        self._prior.forget()

    def proposal(self, x: Batch, present: Present) -> Distribution:
        """The posterior, whose untold private blocks are as in the measured prior."""
        q: Strata = self.posterior(x, present)  # pyright: ignore[reportAssignmentType]
        private = self._prior.private()
        if private is None:
            return q
        return PartlyTold(q, presence(self, present).T, private)

    def answer_posterior(self, x: Batch, present: Present) -> Distribution:
        """The same as ``proposal``."""
        return self.proposal(x, present)

    def for_points(self, z: Tensor, present: Present) -> Tensor:
        """Draws with N(0, I) in private blocks of which nothing was told.

        Decoders have learned to say there what all rows with this shared latent have in common,
        which is nearer to each of them than any one manner.
        """
        if self._prior.private() is None:
            return z
        told = self.layout.private_on(presence(self, present))  # (B, W)
        shared, own = z[..., : self.layout.shared], z[..., self.layout.shared :]
        return torch.cat([shared, torch.where(told, own, torch.randn_like(own))], -1)

    @torch.no_grad()
    def end_with(self, batches: Iterable[tuple[Batch, Present]], step: int) -> None:
        """Measure the prior on one draw a training row, given all that it has."""
        prior, shared = self._prior, self.layout.shared
        drawn = [torch.zeros(0, self.layout.dim, device=self.device)]
        said, scales, there = [drawn[0]], [drawn[0]], []
        for x, present in batches:
            on = presence(self, present).T
            some = on.any(1)
            q: Strata = self.posterior(x, present)  # pyright: ignore[reportAssignmentType]
            for kept, one in ((drawn, q.sample()), (said, q.mean), (scales, q.variance.sqrt())):
                kept.append(one[some])
            there.append(on[some])
        z = torch.cat(drawn)[:, :shared]
        prior.measure(z)
        if prior.exemplars is not None and there:
            loc, scale = (torch.cat(one)[:, shared:] for one in (said, scales))
            generator = torch.Generator().manual_seed(0)
            prior.exemplars.measure(z, loc, scale, torch.cat(there), generator)
