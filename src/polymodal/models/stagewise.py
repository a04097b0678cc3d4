"""Models whose parts are trained one after the other, each with all others standing still."""

from __future__ import annotations

import abc
from collections.abc import Sequence
from typing import Self

from torch import nn

from polymodal.model import LatentModel


class StagewiseModel(LatentModel, abc.ABC):
    """A model that learns some parts in each stage.

    The parts of other stages stand still: no weight moves, and they are in evaluation mode, so
    that what later parts learn from is what they will be given by the fitted model. Parts of no
    stage learn in all of them.
    """

    @property
    @abc.abstractmethod
    def learned(self) -> Sequence[Sequence[nn.Module]]:
        """The parts that each stage learns, stage by stage."""

    def enter(self, stage: int) -> None:
        """Begin a stage: its parts learn, those of the others stand still."""
        super().enter(stage)
        for part, learns in self._parts():
            part.requires_grad_(learns)
        self.train(self.training)

    def train(self, mode: bool = True) -> Self:
        """As ever, but for the parts that stand still."""
        super().train(mode)
        for part, learns in self._parts():
            part.train(mode and learns)
        return self

    def _parts(self) -> list[tuple[nn.Module, bool]]:
        """Each part and whether it learns now."""
        now = range(len(self.learned))[self.stage]
        return [(part, i == now) for i, parts in enumerate(self.learned) for part in parts]
