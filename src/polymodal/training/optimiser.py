"""Adam, its learning rate at a step, and the moving average of the weights."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from polymodal.training.settings import TrainSettings


def learning_rate(settings: TrainSettings, step: int, total_steps: int) -> float:
    """A linear rise over the warm-up, then half a cosine down to the final share."""
    if step < settings.warmup_steps:
        return settings.learning_rate * (step + 1) / settings.warmup_steps
    done = (step - settings.warmup_steps) / max(1, total_steps - 1 - settings.warmup_steps)
    fall = 0.5 * (1.0 + math.cos(math.pi * min(1.0, done)))
    share = settings.final_learning_rate
    return settings.learning_rate * (share + (1.0 - share) * fall)


def make_optimiser(parameters: list[nn.Parameter], settings: TrainSettings) -> torch.optim.Adam:
    """Fused Adam, or AdamW where there is weight decay."""
    if settings.weight_decay:
        return torch.optim.AdamW(
            parameters, lr=settings.learning_rate, weight_decay=settings.weight_decay, fused=True
        )
    return torch.optim.Adam(parameters, lr=settings.learning_rate, fused=True)


def optimiser_tensors(optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The optimiser's state as named tensors: ``"<parameter number>.<key>"``."""
    state = optimiser.state_dict()["state"]
    return {f"{i}.{key}": value for i, slot in state.items() for key, value in slot.items()}


def restore_optimiser(optimiser: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Put back what `optimiser_tensors` gave.

    Raises:
        ValueError: The tensors do not fit the optimiser's parameters.
    """
    parameters = [p for group in optimiser.param_groups for p in group["params"]]
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        number, _, key = name.partition(".")
        if not number.isdigit() or int(number) >= len(parameters):
            raise ValueError(f"the optimiser has no parameter {number!r}")
        parameter = parameters[int(number)]
        if value.ndim and value.shape != parameter.shape:
            raise ValueError(
                f"{name} has shape {tuple(value.shape)}, the weight {tuple(parameter.shape)}"
            )
        # The moments take the memory layout of their weight, which fused kernels rely on.
        fitted = torch.empty_like(parameter).copy_(value) if value.ndim else value.clone()
        state.setdefault(int(number), {})[key] = fitted
    groups = optimiser.state_dict()["param_groups"]
    optimiser.load_state_dict({"state": state, "param_groups": groups})


class WeightAverage:
    """Exponential moving average of the weights; a young average leans on the newest weights."""

    def __init__(self, model: nn.Module, decay: float) -> None:
        self._live = {n: p for n, p in model.named_parameters() if p.requires_grad}
        self._decay = decay
        self.tensors = {name: p.detach().clone() for name, p in self._live.items()}

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take in the weights after optimiser step ``step``, from 0."""
        decay = min(self._decay, (1 + step) / (10 + step))
        torch._foreach_lerp_(list(self.tensors.values()), list(self._live.values()), 1.0 - decay)

    @torch.no_grad()
    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Put back a saved average."""
        if tensors.keys() != self.tensors.keys():
            raise ValueError("the saved average of the weights has other names than the weights")
        for name, value in tensors.items():
            self.tensors[name].copy_(value)

    @torch.no_grad()
    def settle(self) -> None:
        """Put the average in the place of the weights, for good."""
        for name, parameter in self._live.items():
            parameter.copy_(self.tensors[name])

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Inside, the model holds the average."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    @torch.no_grad()
    def _swap(self) -> None:
        for name, parameter in self._live.items():
            held = parameter.detach().clone()
            parameter.copy_(self.tensors[name])
            self.tensors[name].copy_(held)
