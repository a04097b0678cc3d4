r"""The standard prior: independent, location 0.

.. math:: p(z) = \prod_d f(z_d / s_d) / s_d

with :math:`f` normal or Laplace and :math:`s_d = 1`, or learned scales held to a mean of one by a
softmax, as MMVAE has them: the constraint keeps prior and posterior from shrinking together.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from polymodal.distributions.diagonal import FAMILIES, Diagonal, Family


class StandardPrior(nn.Module):
    """Independent standard variables, the usual prior.

    Arguments:
        dim: The size D of the latent space.
        family: ``"normal"`` or ``"laplace"``.
        learn_scale: Learn the scales, their mean held at one.
    """

    def __init__(self, dim: int, family: Family = "normal", learn_scale: bool = False) -> None:
        super().__init__()
        if dim < 1 or family not in FAMILIES:
            raise ValueError(
                f"StandardPrior: dim must be at least 1 and family one of {', '.join(FAMILIES)}, "
                f"got {dim} and {family!r}."
            )
        self.family: Family = family
        self.loc: Tensor
        self.register_buffer("loc", torch.zeros(dim), persistent=False)
        self.logits = nn.Parameter(torch.zeros(dim)) if learn_scale else None

    def forward(self) -> Distribution:
        """p(z), event shape ``(D,)``."""
        if self.logits is None:
            return Diagonal(self.loc, torch.ones_like(self.loc), self.family, is_standard=True)
        return Diagonal(self.loc, self.logits.softmax(0) * len(self.logits), self.family)
