r"""A prior that follows the aggregate posterior.

A bound is trained with p(z) = N(0, I), whose divergence has a closed form, and beside it a mixture

.. math:: \hat p(z) = \sum_c \pi_c \prod_d N(z_d \mid \mu_{c,d}, s_{c,d}^2)

learns from the very draws of the posterior, which feel nothing of it: it minimises
:math:`-\mathbb E_{q(z)} \log \hat p(z)`, so it comes as near as a mixture can to the aggregate
posterior :math:`q(z) = \mathbb E_x q(z \mid x)`, the prior with the highest bound of all. In
evaluation the prior is the mixture: new rows then come from where the decoders were trained, and
every bound rises by :math:`\mathbb E_{q(z)} \log \hat p(z) / N(z \mid 0, I)`.

References:
    Jakub Tomczak, Max Welling. VAE with a VampPrior. AISTATS 2018.
    https://arxiv.org/abs/1705.07120, eq. 6 (the best prior). Bin Dai, David Wipf. Diagnosing and
    Enhancing VAE Models. ICLR 2019. https://arxiv.org/abs/1903.05789 (a second stage for it).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from polymodal.distributions.diagonal import Diagonal
from polymodal.distributions.mixture import Mixture
from polymodal.priors.mixture import MixturePrior
from polymodal.priors.standard import StandardPrior


class FollowingPrior(nn.Module):
    """N(0, I) in training, in evaluation the mixture that followed the posterior.

    Arguments:
        dim: The size D of the latent block.
        components: How many components the mixture has.
    """

    def __init__(self, dim: int, components: int = 50) -> None:
        super().__init__()
        self.anchor = StandardPrior(dim)
        self.mixture = MixturePrior(dim, components, learn_scales=True)

    def forward(self) -> Diagonal | Mixture:
        """p(z), event shape ``(D,)``."""
        return self.anchor() if self.training else self.mixture()

    def follow(self, z: Tensor) -> Tensor:
        """What the mixture learns from draws ``(..., B, D)``: ``-log p(z)`` in nats, ``(..., B)``.

        No gradient reaches the draws.
        """
        return -self.mixture().log_prob(z.detach())


def following(prior: nn.Module) -> FollowingPrior | None:
    """The following prior in a prior of blocks, or that it is itself, if any."""
    found = [one for one in prior.modules() if isinstance(one, FollowingPrior)]
    return found[0] if found else None


def value_free(gain: Tensor) -> Tensor:
    """Zero, with the gradient of ``gain``: what is learned beside a loss and is no part of it."""
    return gain - gain.detach() if torch.is_grad_enabled() else torch.zeros_like(gain)
