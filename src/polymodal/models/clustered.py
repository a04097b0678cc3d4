r"""A VAE with a mixture prior that ends its training by pruning the clusters nobody is in.

Where training is over, posterior draws of the training rows choose the clusters that are kept, as
``priors/pruning.py`` has it, with the objective's last :math:`\beta` as the weight of the entropy.
The draws of a complete row come from every stratum of its posterior alike, that is, from every
modality.

References:
    Emanuele Palumbo, Laura Manduchi, Sonia Laguna, Daphne Chopard, Julia Vogt. Deep Generative
    Clustering with Multimodal Diffusion Variational Autoencoders. ICLR 2024.
    https://openreview.net/forum?id=k5THrhXDV3, section 3.2.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch

from polymodal.distributions.strata import Strata
from polymodal.model import MultimodalVAE, presence
from polymodal.objectives.auxiliary import AuxiliaryBound
from polymodal.objectives.pieces import at_step
from polymodal.priors.mixture import MixturePrior
from polymodal.priors.pruning import prune_clusters
from polymodal.typing import Batch, Present


class ClusteredVAE(MultimodalVAE):
    """A multimodal VAE that prunes the mixture prior of its shared block when training ends.

    Its prior is a ``BlockPrior`` of a ``MixturePrior`` and its objective an ``AuxiliaryBound``.
    """

    @torch.no_grad()
    def end_with(self, batches: Iterable[tuple[Batch, Present]], step: int) -> None:
        """Put the clusters out of use that the rows do not use; see the base class."""
        clusters: MixturePrior = self.prior.shared  # pyright: ignore[reportAssignmentType]
        objective: AuxiliaryBound = self.objective  # pyright: ignore[reportAssignmentType]
        drawn = []
        for x, present in batches:
            q: Strata = self.posterior(x, present)  # pyright: ignore[reportAssignmentType]
            z = q.pick(q.proportional(len(self.names))).sample()  # (M, B, D)
            drawn.append(z[:, presence(self, present).any(0), : self.layout.shared])
        z = torch.cat(drawn, 1)
        if z.numel():
            clusters.keep(prune_clusters(clusters(), z, at_step(objective.beta, step)).kept)
