"""Where a run stands, and how that goes to a checkpoint and comes back exactly.

Current weights, best weights, the average and the optimiser's moments stand apart: a resumed run
goes on from the *current* weights with their own moments, and still knows the best.
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from polymodal.training.checkpoint import CHECKPOINT, CheckpointError
from polymodal.training.distributed import World
from polymodal.training.optimiser import Adam, WeightAverage
from polymodal.training.result import EpochRecord
from polymodal.training.settings import TrainSettings
from polymodal.training.sums import TermSums

FREE_TO_CHANGE = frozenset(
    {
        "epochs",
        "patience",
        "patience_steps",
        "max_seconds",
        "device",
        "compile",
        "checkpoint_minutes",
        "checkpoint_steps",
        "validate_every",
    }
)
"""Settings that a resumed run may have otherwise than the run it continues."""


@dataclass
class TrainState:
    """Position (seed, epoch, step), the sums of the epoch in progress, and the best so far.

    Arguments:
        epoch: The epoch in progress, from 0.
        batch: The next batch of it.
        step: Optimiser steps done.
        seconds: Wall time of the epoch so far.
        sums: Sums of the loss and terms of the epoch so far.
        history: One record a finished epoch.
        best_score: The best validation score.
        best_epoch: The epoch of the kept weights.
        stage: The stage of training, from 0.
        stage_start: The epoch at which it began.
        kept: Weights of the best validation, or of the last epoch's end where there is none.
    """

    epoch: int = 0
    batch: int = 0
    step: int = 0
    seconds: float = 0.0
    sums: TermSums = field(default_factory=TermSums)
    history: list[EpochRecord] = field(default_factory=list)
    best_score: float | None = None
    best_epoch: int | None = None
    stage: int = 0
    stage_start: int = 0
    kept: dict[str, Tensor] | None = None

    def keep(self, model: nn.Module) -> None:
        """Keep the model's weights as those of this epoch's end."""
        self.best_epoch = self.epoch
        now = model.state_dict()
        held = self.kept
        # Into the memory that is there: to ask for it anew each epoch costs more than the copy.
        if (
            held is not None
            and [*held] == [*now]
            and all(map(_is_alike, held.values(), now.values()))
        ):
            for kept, weight in zip(held.values(), now.values(), strict=True):
                kept.copy_(weight)
        else:
            self.kept = copy_weights(model)

    def is_better(self, score: float) -> bool:
        """Whether a validation score is finite and above the best."""
        return math.isfinite(score) and (self.best_score is None or score > self.best_score)

    def put_back(
        self,
        model: nn.Module,
        average: WeightAverage | None,
        initial: Mapping[str, Tensor],
        *,
        diverged: bool,
    ) -> None:
        """Give the model the kept weights; before any were kept, the newest that are usable.

        Those with which the run diverged are not, finite though they may be; then the first ones.
        """
        finite = all(bool(torch.isfinite(t).all()) for t in model.state_dict().values())
        if self.kept is not None:
            model.load_state_dict(self.kept)
        elif diverged or not finite:
            model.load_state_dict(initial)
        elif average is not None:
            average.settle()


def _is_alike(one: Tensor, other: Tensor) -> bool:
    return (one.shape, one.dtype, one.device) == (other.shape, other.dtype, other.device)


def copy_weights(model: nn.Module) -> dict[str, Tensor]:
    """A copy of the weights and buffers, on their device."""
    return {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}


@dataclass
class Recorder:
    """Writes the state of a run, and reads it back.

    Arguments:
        path: The checkpoint's file.
        model: The model.
        optimiser: Its optimiser.
        average: The moving average of the weights, if there is one.
        settings: The run's settings.
        rows: Rows of the source; the order of batches depends on it.
        world: The processes; the first one writes.
    """

    path: Path
    model: nn.Module
    optimiser: Adam
    average: WeightAverage | None
    settings: TrainSettings
    rows: int
    world: World
    _written: float = field(default_factory=time.monotonic)

    def due(self, step: int) -> bool:
        """Whether a checkpoint is to be written after optimiser step ``step``, from 0."""
        every = self.settings.checkpoint_steps
        if every is not None and (step + 1) % every == 0:
            return True
        return time.monotonic() - self._written >= 60.0 * self.settings.checkpoint_minutes

    def save(self, state: TrainState) -> None:
        """Write a checkpoint; every process calls, the first one writes."""
        sums = self.world.gather(state.sums.state())
        self._written = time.monotonic()
        if self.world.rank:
            return
        groups: dict[str, Mapping[str, Tensor]] = {
            "weights": self.model.state_dict(),
            "optimiser": self.optimiser.tensors(),
            "average": {} if self.average is None else self.average.tensors,
            "kept": state.kept or {},
        }
        facts = {
            "position": [state.epoch, state.batch, state.step],
            "stage": [state.stage, state.stage_start],
            "seconds": state.seconds,
            "sums": sums,
            "history": [dataclasses.asdict(record) for record in state.history],
            "best_score": state.best_score,
            "best_epoch": state.best_epoch,
            "settings": dataclasses.asdict(self.settings),
            "rows": self.rows,
            "torch": torch.__version__,
        }
        tensors = {f"{group}/{n}": t for group, held in groups.items() for n, t in held.items()}
        CHECKPOINT.write(self.path, facts, tensors)

    def load(self) -> TrainState:
        """The state in the file; the model, the optimiser and the average get their tensors.

        Raises:
            CheckpointError: The file cannot be used, or is of another model, data or settings.
        """
        facts, tensors = CHECKPOINT.read(self.path)
        groups: dict[str, dict[str, Tensor]] = {}
        for name, tensor in tensors.items():
            group, _, rest = name.partition("/")
            groups.setdefault(group, {})[rest] = tensor
        try:
            self._check_same_run(facts)
            state = self._state(facts, groups)
            self._fit_weights(groups)
        except CheckpointError:
            raise
        except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
            raise CheckpointError(
                f"{self.path}: not the checkpoint of such a run ({error})."
            ) from error
        return state

    def _check_same_run(self, facts: Mapping[str, Any]) -> None:
        now = dataclasses.asdict(self.settings)
        for name, value in now.items():
            was = facts["settings"].get(name)
            if name not in FREE_TO_CHANGE and was != value:
                raise CheckpointError(
                    f"{self.path}: made with {name}={was!r}, now {value!r}. A run resumes exactly "
                    "only with the settings it began with; use those, or another directory."
                )
        if facts["rows"] != self.rows:
            raise CheckpointError(
                f"{self.path}: made with {facts['rows']} training rows, now {self.rows}. "
                "Resume with the same rows, or use another directory."
            )

    def _state(
        self, facts: Mapping[str, Any], groups: Mapping[str, dict[str, Tensor]]
    ) -> TrainState:
        epoch, batch, step = (int(number) for number in facts["position"])
        stage, stage_start = (int(number) for number in facts["stage"])
        sums = TermSums()
        for saved in facts["sums"][self.world.rank :: self.world.size]:
            sums.restore(saved, self.world.device)
        kept = groups.get("kept")
        if kept is not None:
            self._check_fits(kept)
            kept = {name: tensor.to(self.world.device) for name, tensor in kept.items()}
        return TrainState(
            epoch=epoch,
            batch=batch,
            step=step,
            seconds=float(facts["seconds"]),
            sums=sums,
            history=[EpochRecord(**record) for record in facts["history"]],
            best_score=facts["best_score"],
            best_epoch=facts["best_epoch"],
            stage=stage,
            stage_start=stage_start,
            kept=kept,
        )

    def _fit_weights(self, groups: Mapping[str, dict[str, Tensor]]) -> None:
        self._check_fits(groups.get("weights", {}))
        self.model.load_state_dict(groups["weights"])
        self.optimiser.restore(groups.get("optimiser", {}))
        if self.average is not None:
            self.average.restore(groups.get("average", {}))

    def _check_fits(self, weights: Mapping[str, Tensor]) -> None:
        mine = self.model.state_dict()
        for name in sorted(mine.keys() ^ weights.keys()):
            lacks = "the model" if name in weights else "the checkpoint"
            raise CheckpointError(
                f"{self.path}: made with another model; {lacks} has no weight {name!r}."
            )
        for name, tensor in weights.items():
            if tensor.shape != mine[name].shape:
                raise CheckpointError(
                    f"{self.path}: made with another model; weight {name!r} has shape "
                    f"{tuple(tensor.shape)}, the model's {tuple(mine[name].shape)}."
                )
