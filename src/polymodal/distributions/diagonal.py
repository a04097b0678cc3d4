r"""Diagonal location-scale densities on the latent space.

.. math:: q(z) = \prod_d f\big((z_d - \mu_d) / s_d\big) / s_d

with :math:`f` the standard normal or the standard Laplace density. Written directly: torch's
``Independent(Normal(...))`` validates and broadcasts on every call, which costs more than the
arithmetic on the small latent spaces that this library works with.
"""

from __future__ import annotations

import math
from typing import ClassVar, Literal, get_args

import torch
from torch import Tensor
from torch.distributions import Distribution, constraints, register_kl

Family = Literal["normal", "laplace"]
FAMILIES: tuple[str, ...] = get_args(Family)

_HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)
_LOG_2 = math.log(2.0)


def standard_draw(like: Tensor, family: Family) -> Tensor:
    """Draw noise of the standard density of ``family`` with the shape and type of ``like``."""
    if family == "normal":
        return torch.randn_like(like)
    # The inverse distribution function; the end points of the open interval are cut off.
    u = torch.rand_like(like) - 0.5
    return -u.sign() * torch.log1p((-2 * u.abs()).clamp(min=-1 + torch.finfo(u.dtype).eps))


def diagonal_log_prob(z: Tensor, loc: Tensor, scale: Tensor, family: Family) -> Tensor:
    """Log density in nats, summed over the last axis; the arguments broadcast."""
    if family == "normal":
        quadratic = ((z - loc) / scale).square().sum(-1)
        norm = scale.log().sum(-1) + z.shape[-1] * _HALF_LOG_2PI
        return torch.sub(-norm, quadratic, alpha=0.5)
    norm = scale.log().sum(-1) + z.shape[-1] * _LOG_2
    return -norm - ((z - loc) / scale).abs().sum(-1)


def diagonal_kl(
    loc: Tensor, scale: Tensor, other_loc: Tensor, other_scale: Tensor, family: Family
) -> Tensor:
    r"""KL divergence of each dimension, in nats, between two members of one family, ``(..., D)``.

    .. math::
        \mathrm{KL}(N_1 \| N_2) &= \log\tfrac{s_2}{s_1}
            + \tfrac{s_1^2 + (\mu_1 - \mu_2)^2}{2 s_2^2} - \tfrac12 \\
        \mathrm{KL}(L_1 \| L_2) &= \log\tfrac{s_2}{s_1}
            + \tfrac{s_1 e^{-|\mu_1 - \mu_2| / s_1} + |\mu_1 - \mu_2|}{s_2} - 1
    """
    if family == "normal":
        # A product has a cheaper gradient than a quotient or a power.
        inverse = other_scale.reciprocal()
        ratio, gap = scale * inverse, (loc - other_loc) * inverse
        return 0.5 * (ratio * ratio + gap * gap - 1) - ratio.log()
    ratio, gap = scale / other_scale, (loc - other_loc).abs()
    return ratio * torch.exp(-gap / scale) + gap / other_scale - 1 - ratio.log()


def standard_kl(loc: Tensor, scale: Tensor, family: Family) -> Tensor:
    """KL divergence of each dimension from the family's standard member, in nats, ``(..., D)``.

    What ``diagonal_kl`` gives, without its passes over zeros and ones.
    """
    if family == "normal":
        return 0.5 * (scale * scale + loc * loc - 1) - scale.log()
    gap = loc.abs()
    return scale * torch.exp(-gap / scale) + gap - 1 - scale.log()


class Diagonal(Distribution):
    """Independent normal or Laplace variables; ``log_prob`` sums over the last axis.

    Arguments:
        loc: Locations, ``(..., D)``.
        scale: Scales, positive, ``(..., D)``: standard deviations, or Laplace's ``b``.
        family: ``"normal"`` or ``"laplace"``.
        is_standard: Whether locations are known to be 0 and scales to be 1.

    Example:
        >>> Diagonal(torch.zeros(5, 3), torch.ones(5, 3)).log_prob(torch.zeros(5, 3)).shape
        torch.Size([5])
    """

    arg_constraints: ClassVar[dict] = {}  # pyright: ignore[reportIncompatibleMethodOverride]
    support = constraints.real_vector  # pyright: ignore[reportAssignmentType]
    has_rsample = True

    def __init__(
        self,
        loc: Tensor,
        scale: Tensor,
        family: Family = "normal",
        *,
        is_standard: bool = False,
    ) -> None:
        if family not in FAMILIES:
            raise ValueError(f"family must be one of {', '.join(FAMILIES)}, got {family!r}.")
        if loc.shape != scale.shape:
            loc, scale = torch.broadcast_tensors(loc, scale)
        self.loc, self.scale = loc, scale
        self.family: Family = family
        self.is_standard = is_standard
        super().__init__(self.loc.shape[:-1], self.loc.shape[-1:], validate_args=False)

    def expand(self, batch_shape: torch.Size, _instance: object = None) -> Diagonal:
        """Repeat the distribution over a new batch shape, without copying."""
        shape = (*batch_shape, *self.event_shape)
        loc, scale = self.loc.expand(shape), self.scale.expand(shape)
        return Diagonal(loc, scale, self.family, is_standard=self.is_standard)

    @property
    def mean(self) -> Tensor:
        """The mean, ``(..., D)``."""
        return self.loc

    @property
    def mode(self) -> Tensor:
        """The mode, ``(..., D)``."""
        return self.loc

    @property
    def variance(self) -> Tensor:
        """The variance, ``(..., D)``."""
        return self.scale.square() * (1.0 if self.family == "normal" else 2.0)

    def rsample(self, sample_shape: torch.Size | tuple[int, ...] = ()) -> Tensor:
        """Draw with gradient to location and scale, ``(*sample_shape, ..., D)``."""
        loc = self.loc.expand(*sample_shape, *self.loc.shape)
        return loc + self.scale * standard_draw(loc, self.family)

    def log_prob(self, value: Tensor) -> Tensor:
        """Log density of ``value (..., D)`` in nats, ``(...)``."""
        return diagonal_log_prob(value, self.loc, self.scale, self.family)


@register_kl(Diagonal, Diagonal)
def _kl_diagonal_diagonal(p: Diagonal, q: Diagonal) -> Tensor:
    if p.family != q.family:
        raise NotImplementedError(
            f"no closed form for KL({p.family} || {q.family}); estimate it from draws."
        )
    return diagonal_kl(p.loc, p.scale, q.loc, q.scale, p.family).sum(-1)
