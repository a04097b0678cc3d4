r"""A mixture that keeps its components: the type of every posterior.

.. math:: q(z \mid x) = \sum_s w_s \, q_s(z \mid x), \qquad q_s \text{ diagonal}

A product of experts is one stratum, a mixture of experts a stratum a modality, a mixture of
products a stratum a subset. ELBO, importance weighting, sampling and likelihoods are then written
once. Draws can be taken from every stratum (stratified), which a bare mixture cannot offer and
which the estimators of mixture posteriors need: drawing from one component while dividing by the
mixture's density is biased.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor
from torch.distributions import Distribution, constraints

from polymodal.distributions.diagonal import (
    Diagonal,
    Family,
    diagonal_log_prob,
    standard_draw,
)

_BELOW_ONE = 1 - 2.0**-53


class Strata(Distribution):
    """A mixture of diagonal components that stay accessible.

    A stratum that does not exist for a row (its modalities are absent) has log-weight ``-inf`` and
    finite parameters, so it takes part in no value and no gradient.

    Arguments:
        loc: Locations, ``(S, ..., B, D)``.
        scale: Scales, positive, ``(S, ..., B, D)``.
        log_weights: Log-weights in nats that sum to one over the strata, ``(S, ..., B)``.
        family: The family of every component.
    """

    arg_constraints: ClassVar[dict] = {}  # pyright: ignore[reportIncompatibleMethodOverride]
    support = constraints.real_vector  # pyright: ignore[reportAssignmentType]
    has_rsample = True

    def __init__(
        self, loc: Tensor, scale: Tensor, log_weights: Tensor, family: Family = "normal"
    ) -> None:
        if loc.shape != scale.shape or loc.shape[:-1] != log_weights.shape:
            raise ValueError(
                "Strata: loc and scale must be (S, ..., B, D) and log_weights (S, ..., B); got "
                f"{tuple(loc.shape)}, {tuple(scale.shape)} and {tuple(log_weights.shape)}."
            )
        self.loc, self.scale, self.log_weights = loc, scale, log_weights
        self.family: Family = family
        super().__init__(loc.shape[1:-1], loc.shape[-1:], validate_args=False)

    @property
    def n_strata(self) -> int:
        """The number of strata S."""
        return self.loc.shape[0]

    @property
    def components(self) -> Diagonal:
        """All strata as one batched distribution, batch shape ``(S, ..., B)``."""
        return Diagonal(self.loc, self.scale, self.family)

    @property
    def mean(self) -> Tensor:
        """The mean of the mixture, ``(..., B, D)``."""
        if self.n_strata == 1:
            return self.loc[0]
        return (self.log_weights.exp().unsqueeze(-1) * self.loc).sum(0)

    @property
    def variance(self) -> Tensor:
        """The variance of the mixture: within strata plus between strata, ``(..., B, D)``."""
        within = self.components.variance
        if self.n_strata == 1:
            return within[0]
        weights = self.log_weights.exp().unsqueeze(-1)
        return (weights * (within + (self.loc - self.mean).square())).sum(0)

    def pick(self, stratum: Tensor) -> Diagonal:
        """One stratum a row: ``stratum`` int64 ``(..., B)`` -> a distribution over ``(..., B)``.

        Leading axes of ``stratum`` beyond the batch shape are sample axes.
        """
        if self.n_strata == 1:
            shape = (*stratum.shape, self.loc.shape[-1])
            return Diagonal(self.loc[0].expand(shape), self.scale[0].expand(shape), self.family)
        index = stratum.reshape(-1, *self.batch_shape, 1)
        index = index.expand(*index.shape[:-1], self.loc.shape[-1])
        shape = (*stratum.shape, self.loc.shape[-1])
        loc = self.loc.gather(0, index).reshape(shape)
        return Diagonal(loc, self.scale.gather(0, index).reshape(shape), self.family)

    def draw_stratum(self, sample_shape: torch.Size | tuple[int, ...] = ()) -> Tensor:
        """Draw the index of a stratum by its weight, int64 ``(*sample_shape, ..., B)``."""
        if self.n_strata == 1:
            return self.loc.new_zeros((*sample_shape, *self.batch_shape), dtype=torch.long)
        # Gumbel's trick needs no normalised copy of the weights and leaves -inf out exactly.
        shape = (*sample_shape, *self.log_weights.shape)
        gumbel = -torch.empty(shape, device=self.loc.device).exponential_().log()
        return (self.log_weights.detach() + gumbel).argmax(len(sample_shape))

    def rsample(self, sample_shape: torch.Size | tuple[int, ...] = ()) -> Tensor:
        """Draw from the mixture, ``(*sample_shape, ..., B, D)``.

        The gradient flows to the parameters of the drawn stratum, not to the weights.
        """
        return self.pick(self.draw_stratum(sample_shape)).rsample()

    def stratified(self, n_samples: int) -> Tensor:
        """Draw ``n_samples`` from every stratum, with gradient: ``(K, S, ..., B, D)``."""
        one = self.loc.unsqueeze(0)
        loc = one if n_samples == 1 else one.expand(n_samples, *self.loc.shape)
        return loc + self.scale * standard_draw(loc, self.family)

    def proportional(self, n_samples: int) -> Tensor:
        """Which stratum each of ``n_samples`` draws comes from, int64 ``(K, ..., B)``.

        The numbers follow the weights as closely as whole numbers can (systematic sampling), so
        that a stratum without weight costs nothing: each draw alone is one from the mixture, all
        together spread over the strata. For ``pick``.
        """
        if self.n_strata == 1:
            return self.loc.new_zeros((n_samples, *self.batch_shape), dtype=torch.long)
        upto = self.log_weights.detach().double().exp().cumsum(0).movedim(0, -1).contiguous()
        upto = upto / upto[..., -1:]  # (..., B, S)
        start = torch.rand(self.batch_shape, dtype=torch.float64, device=upto.device)
        step = torch.arange(n_samples, dtype=torch.float64, device=upto.device)
        points = ((start.unsqueeze(-1) + step) / n_samples).clamp(max=_BELOW_ONE)  # (..., B, K)
        return torch.searchsorted(upto, points, right=True).movedim(-1, 0)

    def stratum_log_prob(self, value: Tensor) -> Tensor:
        """Log density of ``value (..., B, D)`` under every stratum, in nats, ``(S, ..., B)``."""
        n_extra = value.ndim - self.loc.ndim + 1
        shape = (self.n_strata, *(1,) * n_extra, *self.loc.shape[1:])
        return diagonal_log_prob(
            value, self.loc.reshape(shape), self.scale.reshape(shape), self.family
        )

    def log_prob(self, value: Tensor) -> Tensor:
        """Log density of the full mixture at ``value (..., B, D)``, in nats, ``(..., B)``."""
        if self.n_strata == 1:
            return diagonal_log_prob(value, self.loc[0], self.scale[0], self.family)
        each = self.stratum_log_prob(value)
        n_extra = each.ndim - self.log_weights.ndim
        shape = (self.n_strata, *(1,) * n_extra, *self.log_weights.shape[1:])
        return torch.logsumexp(each + self.log_weights.reshape(shape), 0)

    def detach(self) -> Strata:
        """The same distribution with no gradient to its parameters."""
        return Strata(
            self.loc.detach(), self.scale.detach(), self.log_weights.detach(), self.family
        )
