"""What a run shows while it works: a bar on a terminal, a line an epoch elsewhere, or nothing."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Protocol, TextIO

from polymodal.training.result import EpochRecord

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


class ProgressReporter(Protocol):
    """Is told how a run goes; only the first of several processes tells."""

    def start(self, epochs: int, steps_per_epoch: int, step: int) -> None:
        """A run begins, or goes on, at optimiser step ``step``."""
        ...

    def step(self, epoch: int, step: int, loss: float) -> None:
        """``step`` steps are done; the last had ``loss`` nats a row."""
        ...

    def epoch(self, record: EpochRecord) -> None:
        """An epoch has ended."""
        ...

    def close(self) -> None:
        """The run has ended, by whatever road."""
        ...


class SilentProgress:
    """Shows nothing."""

    def start(self, epochs: int, steps_per_epoch: int, step: int) -> None:
        """Nothing."""

    def step(self, epoch: int, step: int, loss: float) -> None:
        """Nothing."""

    def epoch(self, record: EpochRecord) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""


class LineProgress:
    """A plain line an epoch.

    Arguments:
        stream: Where to; standard error when None.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream
        self._epochs = self._steps_per_epoch = 0
        self._begun, self._begun_epoch = 0.0, 0

    def start(self, epochs: int, steps_per_epoch: int, step: int) -> None:
        """Note the length of the run."""
        self._epochs = epochs
        self._begun, self._begun_epoch = time.monotonic(), step // steps_per_epoch

    def step(self, epoch: int, step: int, loss: float) -> None:
        """Nothing."""

    def epoch(self, record: EpochRecord) -> None:
        """Print the epoch's line."""
        done = record.epoch + 1
        spent = time.monotonic() - self._begun
        left = spent / max(1, done - self._begun_epoch) * (self._epochs - done)
        print(
            f"epoch {done}/{self._epochs}  loss {record.loss:.4g}{_validation(record.validation)}"
            f"  {record.seconds:.1f} s  at most {left:.0f} s left",
            file=self._stream or sys.stderr,
            flush=True,
        )

    def close(self) -> None:
        """Nothing."""


class BarProgress:
    """A bar on standard error with the loss, the validation score and the time left at most."""

    def __init__(self) -> None:
        self._bar: Progress | None = None
        self._task: TaskID | None = None
        self._epochs, self._shown, self._validation = 0, 0.0, ""

    def start(self, epochs: int, steps_per_epoch: int, step: int) -> None:
        """Open the bar."""
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        self._epochs = epochs
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            TextColumn("{task.fields[loss]}{task.fields[validation]}"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
        )
        self._task = self._bar.add_task(
            f"epoch 1/{epochs}",
            total=epochs * steps_per_epoch,
            completed=step,
            loss="",
            validation="",
        )
        self._bar.start()

    def step(self, epoch: int, step: int, loss: float) -> None:
        """Move the bar, ten times a second at most."""
        now = time.monotonic()
        if self._bar is None or self._task is None or now - self._shown < 0.1:
            return
        self._shown = now
        self._bar.update(
            self._task,
            completed=step,
            description=f"epoch {epoch + 1}/{self._epochs}",
            loss=f"loss {loss:.4g}",
        )

    def epoch(self, record: EpochRecord) -> None:
        """Show the epoch's mean loss and validation score."""
        if self._bar is None or self._task is None:
            return
        if record.validation is not None:
            self._validation = _validation(record.validation)
        self._bar.update(
            self._task,
            completed=record.step,
            loss=f"loss {record.loss:.4g}",
            validation=self._validation,
        )

    def close(self) -> None:
        """Close the bar."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


def choose_progress(show: bool = True) -> ProgressReporter:
    """A bar where standard error is a terminal, else lines; silent if not to be shown."""
    if not show:
        return SilentProgress()
    return BarProgress() if sys.stderr.isatty() else LineProgress()


def _validation(score: float | None) -> str:
    return "" if score is None else f"  validation {score:.4f}"
