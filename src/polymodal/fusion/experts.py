"""Experts and the contract of fusion: unimodal posteriors + presence -> strata."""

from __future__ import annotations

import abc
import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from polymodal.distributions.diagonal import Family
from polymodal.distributions.strata import Strata


@dataclass(frozen=True)
class Experts:
    """The unimodal posteriors q_m(z | x_m) of a batch and which of them exist.

    The axes ``...`` of ``on`` may be more than those of the parameters: a whole set of subsets is
    fused in one call by broadcasting.

    Arguments:
        loc: Locations, finite, ``(M, ..., B, D)``.
        scale: Scales, positive, ``(M, ..., B, D)``.
        on: Whether the expert exists, bool ``(M, ..., B)``.
        family: The family of every expert.
        complete: Whether every expert is known to exist; if not, nothing is known.
    """

    loc: Tensor
    scale: Tensor
    on: Tensor
    family: Family = "normal"
    complete: bool = False

    @property
    def sets(self) -> Tensor | None:
        """Which experts each set holds, bool ``(M, ...)``, if seen to be one for all rows."""
        on = self.on
        return on[..., 0] if on.ndim > 2 and on.shape[-1] > 1 and on.stride(-1) == 0 else None

    def only(self, on: Tensor) -> Experts:
        """The same experts with another presence, bool ``(M, ..., B)``."""
        extra = on.ndim + 1 - self.loc.ndim
        if extra <= 0:
            return Experts(self.loc, self.scale, on, self.family)
        shape = (self.loc.shape[0], *(1,) * extra, *self.loc.shape[1:])
        return Experts(self.loc.reshape(shape), self.scale.reshape(shape), on, self.family)


class Fusion(nn.Module, abc.ABC):
    """A rule that turns experts into a posterior, written once for any number of modalities.

    Where nothing at all is present the posterior is the anchor, a standard member of the family.

    Arguments:
        families: The families of experts for which the rule has a closed form.
    """

    families: tuple[Family, ...] = ("normal", "laplace")

    def forward(self, experts: Experts) -> Strata:
        """Fuse the experts that exist.

        Raises:
            ValueError: If the rule has no closed form for the experts' family.
        """
        if experts.family not in self.families:
            raise ValueError(
                f"{type(self).__name__} needs experts of the family "
                f"{' or '.join(self.families)}, got {experts.family!r}."
            )
        device = experts.loc.device.type
        if not torch.is_autocast_enabled(device):
            return self._fuse(experts)
        # Matrix products of precisions lose their digits in bf16; a context must not force that.
        with torch.autocast(device, enabled=False):
            return self._fuse(experts)

    @abc.abstractmethod
    def _fuse(self, experts: Experts) -> Strata:
        """Fuse experts whose family is one of ``families``."""


def precisions(experts: Experts) -> tuple[Tensor, Tensor]:
    """Precision and precision-weighted location of each expert, zero where it is absent.

    Returns:
        Two tensors ``(M, ..., B, D)``.
    """
    on = experts.on.unsqueeze(-1)
    if experts.complete or bool(on.all()):
        precision = experts.scale.square().reciprocal()
        weighted = precision * experts.loc
        if on.shape[:-1] == precision.shape[:-1]:
            return precision, weighted
        shape = (*on.shape[:-1], precision.shape[-1])
        return precision.expand(shape), weighted.expand(shape)
    # Before any arithmetic: the gradient of a reciprocal of NaN is NaN even where it is not used.
    # Arithmetic is done once an expert, whatever the number of subsets that hold it.
    extra = tuple(i for i, size in enumerate(experts.loc.shape) if i and size < on.shape[i])
    held = on.any(extra, keepdim=True) if extra else on
    zero = experts.scale.new_zeros(())
    scale, loc = experts.scale, experts.loc
    if not (extra and bool(held.all())):
        scale, loc = torch.where(held, scale, zero + 1), torch.where(held, loc, zero)
    precision = scale.square().reciprocal()
    return torch.where(on, precision, zero), torch.where(on, precision * loc, zero)


def gaussian_from_precision(
    precision: Tensor, weighted: Tensor, *, positive: bool = False
) -> tuple[Tensor, Tensor]:
    """Location and scale from precision and precision-weighted location.

    Where the precision is zero (no expert, no anchor) the answer is the anchor N(0, 1).

    Arguments:
        precision: Precisions.
        weighted: Precision-weighted locations.
        positive: Whether no precision is known to be zero.
    """
    if not positive:
        precision = torch.where(precision == 0, torch.ones_like(precision), precision)
    return weighted / precision, precision.rsqrt()


def anchored(strata: Strata, empty: Tensor) -> Strata:
    """Put the anchor in the place of every stratum of the rows with nothing present.

    Arguments:
        strata: The posterior; the rows that are empty may hold any finite values.
        empty: bool ``(..., B)``.
    """
    if not bool(empty.any()):
        return strata
    here = empty.unsqueeze(-1)
    uniform = torch.full_like(strata.log_weights, -math.log(strata.n_strata))
    return Strata(
        torch.where(here, torch.zeros_like(strata.loc), strata.loc),
        torch.where(here, torch.ones_like(strata.scale), strata.scale),
        torch.where(empty, uniform, strata.log_weights),
        strata.family,
    )
