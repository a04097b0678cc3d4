"""One fit of a comparison: begun, or gone on with where it was stopped; its cost is counted."""

from __future__ import annotations

import json
import time
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import torch

from polymodal.comparison.folder import Cost, Folder
from polymodal.comparison.plan import Split
from polymodal.estimator.front import MultimodalModel
from polymodal.fitting import RUN_NAME
from polymodal.replacing import write_whole
from polymodal.training.progress import ProgressReporter
from polymodal.training.result import EpochRecord

_SPENT_NAME = "spent.json"
_SECONDS_BETWEEN_WRITES = 5.0


class Listener(Protocol):
    """Is told how far a fit has come."""

    def share(self, done: float, said: str) -> None:
        """A share of the fit in [0, 1] is done; ``said`` is where it stands."""
        ...


def fit_one(
    split: Split, parameters: dict[str, Any], folder: Folder, listener: Listener
) -> tuple[MultimodalModel, Cost]:
    """Fit one recipe with one seed.

    Arguments:
        split: The rows.
        parameters: Those of the estimator.
        folder: Where its checkpoints are.
        listener: Is told how far it has come.

    Returns:
        The fitted model and what it took, earlier parts of the same fit included.

    Raises:
        KeyboardInterrupt: If it was stopped; the same call goes on with it, bit for bit.
    """
    _warm_up()
    run_dir = folder.run_dir(parameters["recipe"], parameters["seed"])
    model = _Watched(**parameters)
    model.meter = meter = _Meter(run_dir / _SPENT_NAME, listener)
    if (run_dir / RUN_NAME).exists():
        model.resume(run_dir)
    else:
        model.fit(split.train, validation=split.validation, run_dir=run_dir)
    if model.result_.status == "interrupted":
        raise KeyboardInterrupt
    return model, meter.spent


@cache
def _warm_up() -> None:
    """A process's first optimiser imports a good part of torch; no recipe should pay for that."""
    torch.optim.Adam([torch.zeros(1, requires_grad=True)])


class _Watched(MultimodalModel):
    """A model whose training tells a meter how it goes."""

    meter: _Meter | None = None

    def _reporter(self) -> ProgressReporter | None:
        return self.meter


class _Meter:
    """Counts processor time and wall time of a fit, also over a stop."""

    def __init__(self, path: Path, listener: Listener) -> None:
        self._path, self._listener = path, listener
        self._before = _read(path)
        self._cpu, self._wall = time.process_time(), time.monotonic()
        self._written = self._wall
        self._epochs, self._steps = 1, 1

    @property
    def spent(self) -> Cost:
        """So far."""
        here = Cost(time.process_time() - self._cpu, time.monotonic() - self._wall)
        return self._before + here

    def start(self, epochs: int, steps_per_epoch: int, step: int) -> None:
        """Note the length of the run."""
        self._epochs, self._steps = epochs, max(1, epochs * steps_per_epoch)
        self._listener.share(step / self._steps, "")

    def step(self, epoch: int, step: int, loss: float) -> None:
        """Pass on how far it has come."""
        self._listener.share(step / self._steps, f"epoch {epoch + 1}/{self._epochs}")

    def epoch(self, record: EpochRecord) -> None:
        """Keep what was spent, every few seconds."""
        if time.monotonic() - self._written > _SECONDS_BETWEEN_WRITES:
            self._write()

    def close(self) -> None:
        """Keep what was spent."""
        self._write()

    def _write(self) -> None:
        self._written = time.monotonic()
        write_whole(self._path, json.dumps(vars(self.spent)))


def _read(path: Path) -> Cost:
    return Cost(**json.loads(path.read_text("utf-8"))) if path.exists() else Cost()
