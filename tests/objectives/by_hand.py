"""The linear model with private latents, and the terms of its objectives in torch's own words.

Every draw is its posterior's location and ``EPS`` scales: a sum over terms then has one value.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.distributions import Independent, Normal, kl_divergence

from polymodal.testing.linear import ExpertKind, LinearGaussian, LinearHead

TRUTH = LinearGaussian({"a": 3, "b": 4, "c": 3}, 2, private_dim=1)
SHARED = 2
WEIGHTS = {"a": 0.5, "b": 2.0, "c": 1.5}
LAMBDA = torch.tensor([0.5, 2.0, 1.5], dtype=torch.float64).unsqueeze(-1)
ROWS = 24
X, PRESENT = TRUTH.sample(ROWS), TRUTH.present(ROWS, 0.25)
ON = torch.stack(list(PRESENT.values()))  # (M, B)
EPS = torch.tensor([0.7, -1.1, 0.4, -0.6, 1.3], dtype=torch.float64)
PRIOR = Independent(Normal(torch.zeros(ROWS, 5).double(), torch.ones(ROWS, 5).double()), 1)
ALONE = [ON & (torch.arange(3) == m).unsqueeze(-1) for m in range(3)]


def eps(shape: torch.Size) -> Tensor:
    """The noise of every draw, for ``tests.helpers.noise``."""
    return EPS


class Normals:
    """What each modality says alone: normals over ``[shared | private]``, ``(M, B, 3)``.

    Arguments:
        heads: One head a modality.
    """

    def __init__(self, heads: Sequence[LinearHead]) -> None:
        said = [head(X[name]) for head, name in zip(heads, TRUTH.names, strict=True)]
        self.loc = torch.stack([one.loc for one in said])
        self.scale = torch.stack([one.scale for one in said])

    def product(self, held: Tensor, prior: bool) -> Independent:
        """The posterior of the sets ``held (M, B)`` whose shared block is a product."""
        here = held.unsqueeze(-1)
        precision = self.scale[..., :SHARED] ** -2
        total = torch.where(here, precision, 0.0).sum(0)
        pulled = torch.where(here, precision * self.loc[..., :SHARED], 0.0).sum(0)
        total = total + prior
        total = torch.where(held.any(0).unsqueeze(-1), total, 1.0)  # of nothing it is the prior
        return self.whole(pulled / total, total**-0.5, held)

    def whole(self, loc: Tensor, scale: Tensor, held: Tensor) -> Independent:
        """A shared block and the private ones: the prior's where a modality is not held."""
        here = held.T  # one private latent a modality, in order
        own_loc = torch.where(here, self.loc[..., SHARED].T, 0.0)
        own_scale = torch.where(here, self.scale[..., SHARED].T, 1.0)
        return normal(torch.cat([loc, own_loc], -1), torch.cat([scale, own_scale], -1))


def normal(loc: Tensor, scale: Tensor) -> Independent:
    return Independent(Normal(loc, scale), 1)


def draw(q: Independent) -> Tensor:
    """The draw at ``EPS``, ``(B, D)``."""
    return q.base_dist.loc + q.base_dist.scale * EPS


def log_p(z: Tensor) -> Tensor:
    """log p(x_m | z), ``(M, B)``; the weights of others' private latents are zero."""
    each = [
        Normal(z @ m.weight.T + m.offset, m.noise).log_prob(X[name]).sum(-1)
        for name, m in TRUTH.modalities.items()
    ]
    return torch.stack(each)


def fit(z: Tensor, held: Tensor) -> Tensor:
    """The weighted log-likelihoods of what is held, ``(B,)``."""
    return torch.where(held, LAMBDA * log_p(z), 0.0).sum(0)


def to_prior(q: Independent) -> Tensor:
    """KL(q || p) of all latents, ``(B,)``."""
    return kl_divergence(q, PRIOR)


def heads(inflate: float, kind: ExpertKind = "factor") -> list[LinearHead]:
    """The heads of ``TRUTH.build(..., expert=kind, inflate=inflate)``."""
    found = [TRUTH.head(name, kind) for name in TRUTH.names]
    for head in found:
        head.log_scale.data.add_(math.log(inflate))
    return found
