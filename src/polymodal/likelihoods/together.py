"""Log-likelihoods of several modalities: kept in one tensor, and scored in one where they can be.

Gaussian and Laplace likelihoods that differ in nothing but the value of their scale judge equal
shapes in one pass; for small modalities the calls cost more than the arithmetic.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor, nn

from polymodal.distributions.observed import Observed
from polymodal.likelihoods.location_scale import (
    GaussianLikelihood,
    LaplaceLikelihood,
    LocationScaleLikelihood,
)
from polymodal.networks.side_by_side import Watch
from polymodal.networks.stacks import Stack, Stacking


class Scores(Mapping[str, Tensor]):
    """log p(x_m | z) by name, in nats; all of them are one tensor.

    Arguments:
        names: The modalities.
        together: Their log-likelihoods, ``(M, ..., B)``.
    """

    def __init__(self, names: Sequence[str], together: Tensor) -> None:
        self.together = together
        self._place = {name: i for i, name in enumerate(names)}
        self._rows: tuple[Tensor, ...] | None = None

    def __getitem__(self, name: str) -> Tensor:
        if self._rows is None:
            self._rows = self.together.unbind(0)
        return self._rows[self._place[name]]

    def __iter__(self) -> Iterator[str]:
        return iter(self._place)

    def __len__(self) -> int:
        return len(self._place)


def stacked_scores(log_p: Mapping[str, Tensor]) -> Tensor:
    """All log-likelihoods in one tensor, ``(M, ..., B)``."""
    return log_p.together if isinstance(log_p, Scores) else torch.stack(tuple(log_p.values()))


class ScoredTogether(Stacking):
    """Scores modalities in one pass, where their likelihoods are of one kind.

    Arguments:
        likelihoods: The likelihoods; one that is replaced later is seen.
    """

    def __init__(self, likelihoods: nn.ModuleList) -> None:
        self._likelihoods = likelihoods
        self._seen: list[nn.Module] = []
        self._alike: list[LocationScaleLikelihood] | None = None
        self._watch: Watch | None = None
        self._raw: Stack | None = None

    def stacks(self) -> list[Stack]:
        """The scales that are learned."""
        self._plan()
        return [] if self._raw is None else [self._raw]

    def __call__(
        self, parameters: Tensor, values: list[Tensor], masks: list[Tensor]
    ) -> Tensor | None:
        """The log-likelihoods of all modalities in nats; None if they must be scored one by one.

        Arguments:
            parameters: What their decoders put out, ``(M, ..., B, *shape)``.
            values: The modalities' values, in this order; anything under a false mask.
            masks: What is there.

        Returns:
            ``(M, ..., B)``, zero in the rows where the modality is absent.
        """
        self._plan()
        if (
            self._alike is None
            or self._watch is None
            or not self._watch.sees_nothing()
            or not _same_kind(values)
            or not _same_kind(masks)
        ):
            return None
        value, mask = torch.stack(values), torch.stack(masks)
        extra = parameters.ndim - value.ndim
        p = self._observe(self._alike, parameters)
        shape = (len(values), *(1,) * extra)
        if mask.ndim == 3:
            value = torch.where(mask, value, 0.0)
            return p.log_prob(
                value.reshape(*shape, *value.shape[1:]), mask.reshape(*shape, *mask.shape[1:])
            )
        complete = mask.device.type == "cpu" and bool(mask.all())
        if not complete:
            value = torch.where(mask.reshape(*mask.shape, *(1,) * (value.ndim - 2)), value, 0.0)
        log_p = p.log_prob(value.reshape(*shape, *value.shape[1:]))
        if complete:
            return log_p
        return torch.where(mask.reshape(*shape, -1), log_p, torch.zeros_like(log_p))

    def _plan(self) -> None:
        """See whether the likelihoods are alike, anew only when one was replaced."""
        likelihoods = list(self._likelihoods)
        if likelihoods == self._seen:
            return
        self._seen, self._watch, self._raw = likelihoods, None, None
        self._alike = _alike(likelihoods)
        if self._alike is not None:
            learned = [one.learned for one in self._alike if one.learned is not None]
            self._watch = Watch([*self._alike, *learned])
            self._raw = Stack(learned, "raw") if learned else None

    def _observe(
        self, likelihoods: Sequence[LocationScaleLikelihood], parameters: Tensor
    ) -> Observed:
        first = likelihoods[0]
        learned = [one.learned for one in likelihoods if one.learned is not None]
        if self._raw is None:
            return first(parameters)
        scale = learned[0].of(self._raw())
        if not learned[0].training:
            scale = scale * torch.stack([one.widening for one in learned])
        n = len(first.value_shape)
        own = scale.shape[1:] or (1,) * n
        scale = scale.reshape(len(learned), *(1,) * (parameters.ndim - n - 1), *own)
        return first.observed(first.checked(parameters), scale, first.value_shape)


def _same_kind(tensors: Sequence[Tensor]) -> bool:
    first = tensors[0]
    return all([one.shape == first.shape and one.dtype == first.dtype for one in tensors])


def _alike(likelihoods: Sequence[nn.Module]) -> list[LocationScaleLikelihood] | None:
    """The likelihoods, if they differ in nothing but the value of a learned scale."""
    kind = type(likelihoods[0])
    # A subclass may judge otherwise.
    if kind not in (GaussianLikelihood, LaplaceLikelihood):
        return None
    found: list[LocationScaleLikelihood] = [
        other
        for other in likelihoods
        if isinstance(other, LocationScaleLikelihood) and type(other) is kind
    ]
    if len(found) < len(likelihoods) or any(_start(one) != _start(found[0]) for one in found):
        return None
    return found


def _start(likelihood: LocationScaleLikelihood) -> tuple[object, ...]:
    """What two likelihoods share that can be taken together."""
    mine = (likelihood.value_shape, likelihood.parameter_shape, likelihood.fixed, likelihood.floor)
    learned = likelihood.learned
    if learned is None:
        return mine
    return (*mine, learned.raw.shape, learned.floor, learned.rate, learned.offset)
