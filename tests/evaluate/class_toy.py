"""Models whose decoders show known classes, and judges that read them off: coherence is exact."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.distributions import Categorical, Distribution

from polymodal.data.tensors import Tensors
from polymodal.likelihoods import GaussianLikelihood
from polymodal.model import LatentModel
from polymodal.typing import Terms

CLASSES = 4


class Reads:
    """A judge that reads the class off the first number; it remembers nothing."""

    classes = tuple("0123")
    accuracy = 1.0

    def predict(self, x: Tensor, present: Tensor | None = None) -> Tensor:
        there = torch.ones(len(x), dtype=torch.bool) if present is None else present
        return torch.where(there, x[:, 0].nan_to_num(-1.0).round().long(), -1)


class Uniform(Distribution):
    """z = (class, 0...): classes that are equally likely."""

    arg_constraints: ClassVar[dict] = {}

    def sample(self, sample_shape=()) -> Tensor:
        return Categorical(logits=torch.zeros(CLASSES)).sample(sample_shape).float().unsqueeze(-1)


class Told(Distribution):
    """A posterior that is a point, ``(B, D)``."""

    arg_constraints: ClassVar[dict] = {}

    def __init__(self, z: Tensor) -> None:
        super().__init__(z.shape[:-1], z.shape[-1:], validate_args=False)
        self.z = z

    def sample(self, sample_shape=()) -> Tensor:
        return self.z.expand(*sample_shape, *self.z.shape)

    @property
    def mean(self) -> Tensor:
        return self.z


class ClassModel(LatentModel):
    """z is what the first modality given says, plus ``slips[given]``; decoders shift it further.

    Arguments:
        slips: Given names -> what is added to the class in rows whose number is even.
        shifts: Name -> what its decoder adds to the class; None where it always shows class 2.
    """

    def __init__(
        self,
        names: Iterable[str] = ("a", "b", "c"),
        slips: Mapping[tuple[str, ...], int] | None = None,
        shifts: Mapping[str, int | None] | None = None,
    ) -> None:
        super().__init__()
        self.names = tuple(names)
        self.slips, self.shifts = dict(slips or {}), dict(shifts or {})
        self.likelihoods = nn.ModuleList(GaussianLikelihood((2,)) for _ in self.names)
        self.seen: list[tuple[str, ...]] = []

    def posterior(self, x, present) -> Told:
        given = tuple(x)
        self.seen.append(given)
        first = x[given[0]]
        even = first[:, 1].long() % 2 == 0
        slip = torch.where(even, self.slips.get(given, 0), 0)
        return Told(((first[:, 0] + slip) % CLASSES).unsqueeze(-1))

    def prior(self) -> Uniform:
        return Uniform()

    def decode(self, z: Tensor, names: Iterable[str]) -> dict:
        made = {}
        for name in names:
            shift = self.shifts.get(name, 0)
            shown = torch.full_like(z, 2.0) if shift is None else (z + shift) % CLASSES
            likelihood = self.likelihood(name)
            out = torch.cat([shown, torch.zeros_like(shown)], -1)
            made[name] = likelihood(out.reshape(*z.shape[:-1], *likelihood.parameter_shape))
        return made

    def likelihood(self, name: str) -> GaussianLikelihood:
        return self.likelihoods[self.names.index(name)]

    def loss(self, x, present, step: int = 0) -> Terms:
        raise NotImplementedError


def rows(n: int = 40, names: Iterable[str] = ("a", "b", "c")) -> tuple[Tensors, Tensor]:
    """Rows that show their class and their number, and the classes."""
    codes = torch.arange(n) // 2 % CLASSES
    value = torch.stack([codes.float(), torch.arange(n).float()], 1)
    x = {name: value.clone() for name in names}
    return Tensors(x, {name: torch.ones(n, dtype=torch.bool) for name in x}), codes
