"""Adam, its learning rate at a step, and the moving average of the weights."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from polymodal.networks.stacks import Stack
from polymodal.training.settings import TrainSettings


def learning_rate(settings: TrainSettings, step: int, total_steps: int) -> float:
    """A linear rise over the warm-up, then half a cosine down to the final share."""
    if step < settings.warmup_steps:
        return settings.learning_rate * (step + 1) / settings.warmup_steps
    done = (step - settings.warmup_steps) / max(1, total_steps - 1 - settings.warmup_steps)
    fall = 0.5 * (1.0 + math.cos(math.pi * min(1.0, done)))
    share = settings.final_learning_rate
    return settings.learning_rate * (share + (1.0 - share) * fall)


def total_norm(gradients: list[Tensor]) -> Tensor:
    """The length of all gradients as one vector, ``()``."""
    if not gradients:
        return torch.zeros(())
    return torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients)))


@dataclass(eq=False)
class _Leaf:
    """What the optimiser moves in one piece: a parameter, or several that are joined.

    Arguments:
        tensor: What it moves.
        numbers: The numbers of the parameters that it stands for.
        stack: The parameters, where several are joined.
        step: How many steps it has made; None before the first.
        moments: Running means of the gradient and of its square.
    """

    tensor: nn.Parameter
    numbers: tuple[int, ...]
    stack: Stack | None = None
    step: Tensor | None = None
    moments: tuple[Tensor, ...] = ()


@dataclass(frozen=True)
class _Batch:
    """Leaves of one type and device, as the kernel takes them."""

    tensors: list[Tensor]
    means: list[Tensor]
    squares: list[Tensor]
    steps: list[Tensor]


class Adam:
    """Adam, or AdamW where there is weight decay, by torch's fused kernels.

    The arithmetic is that of ``torch.optim.Adam(fused=True)``. What is left out is what costs a
    small model more than its step: groups, hooks and checks at each call. A parameter without a
    gradient stands still. Weights that the model reads stacked can be *joined* to one leaf; the
    state is written and read parameter by parameter all the same.

    Arguments:
        parameters: What learns; in a state each goes by its number.
        settings: Learning rate and decay.

    References:
        Diederik Kingma, Jimmy Ba. Adam: A Method for Stochastic Optimization. ICLR 2015.
        https://arxiv.org/abs/1412.6980, algorithm 1. Decoupled decay: Ilya Loshchilov, Frank
        Hutter. ICLR 2019. https://arxiv.org/abs/1711.05101, algorithm 2.
    """

    def __init__(self, parameters: Sequence[nn.Parameter], settings: TrainSettings) -> None:
        self._parameters = list(parameters)
        self._rate, self._decay = settings.learning_rate, settings.weight_decay
        self._leaves = [_Leaf(one, (i,)) for i, one in enumerate(self._parameters)]
        self._moved: list[_Leaf] = []
        self._batches: list[_Batch] = []

    @property
    def leaves(self) -> list[nn.Parameter]:
        """The tensors that gradients come to and that move."""
        return [leaf.tensor for leaf in self._leaves]

    def join(self, stacks: Iterable[Stack]) -> None:
        """Join those stacks whose parameters all learn and have one history; part all others."""
        held = self.tensors()
        self.part()
        number: dict[Tensor, int] = {one: i for i, one in enumerate(self._parameters)}
        leaves = dict(enumerate(self._leaves))
        for stack in stacks:
            numbers = tuple(number[one] for one in stack.members if one in number)
            past = {None if s is None else s.item() for s in (leaves[i].step for i in numbers)}
            if len(numbers) == len(stack.members) and len(past) == 1 and stack.can_join:
                leaves[numbers[0]] = _Leaf(stack.join(), numbers, stack)
                for i in numbers[1:]:
                    del leaves[i]
        self._leaves = list(leaves.values())
        self.restore(held)

    def part(self) -> None:
        """Give every parameter its own weights and state back."""
        held = self.tensors()
        for leaf in self._leaves:
            if leaf.stack is not None:
                leaf.stack.part()
        self._leaves = [_Leaf(one, (i,)) for i, one in enumerate(self._parameters)]
        self.restore(held)

    def clear(self) -> None:
        """Forget all gradients."""
        for one in self._parameters:
            one.grad = None
        for leaf in self._leaves:
            leaf.tensor.grad = None

    def collect(self) -> None:
        """Bring to the leaves what reached single parameters of theirs."""
        for leaf in self._leaves:
            if leaf.stack is not None:
                leaf.stack.collect()

    def gradients(self) -> list[Tensor]:
        """The gradients there are, in the order of the leaves."""
        return [one for one in (leaf.tensor.grad for leaf in self._leaves) if one is not None]

    def spread(self) -> None:
        """Show every joined parameter its part of the gradient."""
        for leaf in self._leaves:
            if leaf.stack is not None:
                leaf.stack.spread()

    @torch.no_grad()
    def step(self, rate: float | None = None) -> None:
        """Move every leaf that has a gradient, at the learning rate ``rate``."""
        moved = [leaf for leaf in self._leaves if leaf.tensor.grad is not None]
        if moved != self._moved:
            self._moved, self._batches = moved, _alike(moved)
        kernel = torch._fused_adamw_ if self._decay else torch._fused_adam_
        for batch in self._batches:
            torch._foreach_add_(batch.steps, 1)
            grads = [one.grad for one in batch.tensors if one.grad is not None]
            kernel(
                batch.tensors,
                grads,
                batch.means,
                batch.squares,
                [],
                batch.steps,
                lr=self._rate if rate is None else rate,
                beta1=0.9,
                beta2=0.999,
                weight_decay=self._decay,
                eps=1e-8,
                amsgrad=False,
                maximize=False,
            )

    def tensors(self) -> dict[str, Tensor]:
        """The state as named tensors: ``"<parameter number>.<key>"``."""
        state: dict[str, Tensor] = {}
        for leaf in self._leaves:
            if leaf.step is None:
                continue
            for place, i in enumerate(leaf.numbers):
                own = leaf.moments if leaf.stack is None else [one[place] for one in leaf.moments]
                state |= {
                    f"{i}.step": leaf.step,
                    f"{i}.exp_avg": own[0],
                    f"{i}.exp_avg_sq": own[1],
                }
        return state

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Put back what `tensors` gave.

        Raises:
            ValueError: The tensors do not fit the parameters.
        """
        state: dict[int, dict[str, Tensor]] = {}
        for name, value in tensors.items():
            number, _, key = name.partition(".")
            if not number.isdigit() or int(number) >= len(self._parameters):
                raise ValueError(f"the optimiser has no parameter {number!r}")
            shape = self._parameters[int(number)].shape
            if value.ndim and value.shape != shape:
                raise ValueError(
                    f"{name} has shape {tuple(value.shape)}, the weight {tuple(shape)}"
                )
            state.setdefault(int(number), {})[key] = value
        for leaf in self._leaves:
            slots = [state[i] for i in leaf.numbers if i in state]
            leaf.step, leaf.moments = None, ()
            if len(slots) < len(leaf.numbers):
                continue
            leaf.step = slots[0]["step"].to(leaf.tensor.device, torch.float32, copy=True)
            # The moments take the memory layout of their weight, which fused kernels rely on.
            leaf.moments = tuple(
                torch.empty_like(leaf.tensor, requires_grad=False).copy_(
                    slots[0][key] if leaf.stack is None else torch.stack([s[key] for s in slots])
                )
                for key in ("exp_avg", "exp_avg_sq")
            )
        self._moved = []


def _alike(leaves: list[_Leaf]) -> list[_Batch]:
    """The leaves by type and device, with a state for those that begin to move."""
    batches: dict[tuple[torch.dtype, torch.device], _Batch] = {}
    for leaf in leaves:
        held = leaf.tensor
        if leaf.step is None:
            leaf.step = torch.zeros((), device=held.device)
            leaf.moments = tuple(torch.zeros_like(held, requires_grad=False) for _ in range(2))
        batch = batches.setdefault((held.dtype, held.device), _Batch([], [], [], []))
        batch.tensors.append(held)
        batch.means.append(leaf.moments[0])
        batch.squares.append(leaf.moments[1])
        batch.steps.append(leaf.step)
    return list(batches.values())


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
