"""What a training run hands back: a status, a sentence, and one record an epoch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Status = Literal["finished", "early_stopped", "diverged", "interrupted"]


@dataclass(frozen=True)
class EpochRecord:
    """One epoch of a run.

    Arguments:
        epoch: The epoch, from 0.
        step: Optimiser steps done when it ended.
        loss: Mean training loss in nats a row.
        parts: Mean of each term in nats a row, over the batches that had it.
        validation: Score of the held-out rows, higher is better; None where none was computed.
        validation_parts: The score of each modality.
        seconds: Wall time of the epoch, validation included.
        learning_rate: The learning rate of its last step.
    """

    epoch: int
    step: int
    loss: float
    parts: Mapping[str, float]
    validation: float | None
    validation_parts: Mapping[str, float]
    seconds: float
    learning_rate: float


@dataclass(frozen=True)
class Divergence:
    """Where a run met inf or NaN.

    Arguments:
        step: The optimiser step, from 0; it was not applied.
        epoch: Its epoch.
        term: The name of the first term that was not finite, ``"loss"``,
            ``"gradient of <weight>"`` or ``"output of <module>"``.
        rows: Rows of the source whose terms were not finite; the whole batch where no single row
            can be blamed.
        message: All of it in a sentence, and what may help.
    """

    step: int
    epoch: int
    term: str
    rows: tuple[int, ...]
    message: str


@dataclass(frozen=True)
class TrainResult:
    """How a run ended. The model then holds the best weights by validation, or the last good ones.

    Arguments:
        status: How it ended.
        reason: The same in a sentence.
        diverged: Where, if it diverged.
        best_epoch: The epoch from whose end the model's weights are; None if from elsewhere.
        history: One record an epoch.
    """

    status: Status
    reason: str
    diverged: Divergence | None = None
    best_epoch: int | None = None
    history: tuple[EpochRecord, ...] = field(default=())
