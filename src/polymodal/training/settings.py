"""What can be chosen about a training run: one frozen record that checks itself."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

import torch

Precision = Literal["32", "bf16"]


@dataclass(frozen=True)
class TrainSettings:
    """How a model is trained.

    Arguments:
        epochs: Passes over the training rows.
        batch_size: Rows a step, over all processes together; the last of an epoch has the rest.
        learning_rate: Step size of Adam at its highest.
        final_learning_rate: Share of ``learning_rate`` at which the cosine decay ends; 1 keeps it.
        warmup_steps: Steps over which the learning rate rises from zero.
        weight_decay: Decoupled decay; above zero AdamW takes Adam's place.
        clip_norm: Gradients of a longer norm are shortened to it, after backward. None: never.
        patience: Epochs without a better validation score before the run stops. None: never.
        patience_steps: The run does not stop before this many steps without a better score either:
            with few rows many epochs are few steps, and a latent model may wait for hundreds of
            steps before it begins to use a modality.
        seed: The order of rows and every draw follow from it.
        precision: ``"32"``, or ``"bf16"`` for autocast in bfloat16.
        device: ``"auto"`` (CUDA where there is one), ``"cpu"``, ``"cuda"``, ``"cuda:1"``...
        compile: Whether the loss goes through ``torch.compile``.
        checkpoint_minutes: Minutes between checkpoints, where the run has a directory.
        checkpoint_steps: Steps between checkpoints, beside the minutes. None: minutes only.
        validate_every: Epochs between validations; the last epoch always has one.
        max_seconds: Wall time of training after which no further epoch begins. None: no limit.
        average: Decay of an exponential moving average of the weights, which is then what is
            validated and kept, e.g. 0.999. None: no average.
    """

    epochs: int = 100
    batch_size: int = 128
    learning_rate: float = 1e-3
    final_learning_rate: float = 0.05
    warmup_steps: int = 0
    weight_decay: float = 0.0
    clip_norm: float | None = 100.0
    patience: int | None = 20
    patience_steps: int = 1000
    seed: int = 0
    precision: Precision = "32"
    device: str = "auto"
    compile: bool = False
    checkpoint_minutes: float = 5.0
    checkpoint_steps: int | None = None
    validate_every: int = 1
    max_seconds: float | None = None
    average: float | None = None

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "validate_every"):
            self._check_int(name, least=1)
        for name in ("patience", "checkpoint_steps"):
            if getattr(self, name) is not None:
                self._check_int(name, least=1, none=True)
        for name in ("patience_steps", "warmup_steps", "seed"):
            self._check_int(name, least=0)
        self._check_real("learning_rate", above=0.0)
        self._check_real("checkpoint_minutes", above=0.0)
        self._check_real("weight_decay", least=0.0)
        self._check_real("final_learning_rate", least=0.0, most=1.0)
        if self.clip_norm is not None:
            self._check_real("clip_norm", above=0.0)
        if self.max_seconds is not None:
            self._check_real("max_seconds", above=0.0)
        if self.average is not None:
            self._check_real("average", above=0.0, most=0.999999)
        if self.precision not in get_args(Precision):
            self._refuse("precision", '"32" or "bf16"')
        if not isinstance(self.compile, bool):
            self._refuse("compile", "True or False")
        self._check_device()

    def _refuse(self, name: str, wanted: str) -> None:
        raise ValueError(f"TrainSettings: {name} must be {wanted}, got {getattr(self, name)!r}.")

    def _check_int(self, name: str, *, least: int, none: bool = False) -> None:
        value = getattr(self, name)
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            self._refuse(name, f"a whole number of at least {least}" + (" or None" * none))

    def _check_real(
        self,
        name: str,
        *,
        above: float | None = None,
        least: float | None = None,
        most: float | None = None,
    ) -> None:
        value = getattr(self, name)
        good = isinstance(value, int | float) and not isinstance(value, bool)
        good = good and math.isfinite(value)
        good = good and (above is None or value > above) and (least is None or value >= least)
        if not good or (most is not None and value > most):
            bounds = [f"above {above:g}"] if above is not None else []
            bounds += [f"at least {least:g}"] if least is not None else []
            bounds += [f"at most {most:g}"] if most is not None else []
            self._refuse(name, "a finite number " + " and ".join(bounds))

    def _check_device(self) -> None:
        if self.device == "auto":
            return
        try:
            if not isinstance(self.device, str):  # torch takes a number for that of a GPU
                raise TypeError
            torch.device(self.device)
        except (RuntimeError, TypeError) as error:
            raise ValueError(
                'TrainSettings: device must be "auto", "cpu", "cuda" or "cuda:N", '
                f"got {self.device!r}."
            ) from error
