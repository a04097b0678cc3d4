r"""Cluster rows by the components of a mixture prior.

.. math:: q(c \mid x_S) = \mathbb E_{q(z \mid x_S)} \frac{\pi_c\, p_c(z)}{\sum_{c'} \pi_{c'}
          p_{c'}(z)}

estimated by draws of the shared block; of a row with nothing it is the weight of the cluster.

References:
    Emanuele Palumbo, Laura Manduchi, Sonia Laguna, Daphne Chopard, Julia Vogt. Deep Generative
    Clustering with Multimodal Diffusion Variational Autoencoders. ICLR 2024.
    https://openreview.net/forum?id=k5THrhXDV3, section 3.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from polymodal.data.tensors import Tensors
from polymodal.distributions.blocks import Blocks
from polymodal.distributions.mixture import Mixture
from polymodal.model import Lacking, LatentModel, presence
from polymodal.tasks.answer import chunks
from polymodal.tasks.asking import asking

if TYPE_CHECKING:
    from pandas import DataFrame, Index


@dataclass(frozen=True)
class Clusters:
    """Which cluster each row belongs to.

    Arguments:
        probabilities: q(c | what the row has) of every cluster, ``(N, C)``; 0 of those out of use.
    """

    probabilities: Tensor

    @property
    def cluster(self) -> Tensor:
        """The likeliest cluster, int64 ``(N,)``: its place among all that the prior began with."""
        return self.probabilities.argmax(-1)

    @property
    def probability(self) -> Tensor:
        """The probability of the likeliest cluster, ``(N,)``."""
        return self.probabilities.amax(-1)

    def frame(self, index: Index) -> DataFrame:
        """Columns ``cluster`` and ``probability``."""
        import pandas as pd

        said = {"cluster": self.cluster.cpu(), "probability": self.probability.cpu()}
        return pd.DataFrame({name: one.numpy() for name, one in said.items()}, index=index)


def mixture_of(model: LatentModel) -> Mixture:
    """The mixture that is the prior of the leading latent dimensions.

    Raises:
        Lacking: If the prior is no mixture, or there is none.
    """
    model.check_offers("cluster")
    prior = None if "generate" in model.lacks else model.prior()
    if isinstance(prior, Blocks):
        prior = prior.shared
    if not isinstance(prior, Mixture):
        raise Lacking(
            "cluster: the model's prior is no mixture that was trained with it, so that it has no "
            "clusters; fit one with the recipe cmvae."
        )
    return prior


@torch.no_grad()
def cluster(
    model: LatentModel, source: Tensors, *, draws: int = 100, seed: int | None = None
) -> Clusters:
    """The probability of every cluster given all that a row has.

    Arguments:
        model: A model whose prior is a mixture.
        source: The rows.
        draws: Draws of the latent vector a row.
        seed: All draws follow from it; None draws from the caller's random state.

    Raises:
        Lacking: If the model's prior is no mixture.
        ValueError: If ``draws`` is below 1.
    """
    if draws < 1:
        raise ValueError(f"draws must be at least 1, got {draws}.")
    found = []
    with asking(model, seed):
        mixture = mixture_of(model)
        dim = mixture.event_shape[0]
        for rows in chunks(len(source), draws, source.device):
            x, present = source.gather(rows)
            z = model.answer_posterior(x, present).sample(torch.Size((draws,)))[..., :dim]
            each = mixture.responsibilities(z).mean(0)  # (B, C)
            some = presence(model, present).any(0).unsqueeze(-1)
            found.append(torch.where(some, each, mixture.log_weights.exp()))
    return Clusters(torch.cat(found))
