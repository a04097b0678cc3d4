"""Training: settings, the loop, early stopping, checkpoints, several processes."""

from polymodal.training.checkpoint import CheckpointError
from polymodal.training.fit import fit
from polymodal.training.progress import (
    BarProgress,
    LineProgress,
    ProgressReporter,
    SilentProgress,
    choose_progress,
)
from polymodal.training.result import Divergence, EpochRecord, Status, TrainResult
from polymodal.training.settings import TrainSettings
from polymodal.training.source import Source

__all__ = [
    "BarProgress",
    "CheckpointError",
    "Divergence",
    "EpochRecord",
    "LineProgress",
    "ProgressReporter",
    "SilentProgress",
    "Source",
    "Status",
    "TrainResult",
    "TrainSettings",
    "choose_progress",
    "fit",
]
