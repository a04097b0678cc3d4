"""Weights of one shape that are read together: one tensor ``(M, ...)`` over M parameters.

Stacking them copies each at every call and unbinds its gradient again. In training they may be
*joined*: one leaf holds the numbers, the parameters are views of its rows, the gradient arrives
in one piece and the optimiser moves one tensor. The parameters keep their names, their places in a
state dict and what is written of them; parted again, each owns its numbers as before.
"""

from __future__ import annotations

import copy
import operator
from collections.abc import Iterable, Iterator, Sequence

import torch
from torch import Tensor, nn


class Stack:
    """M parameters of one shape, read as one tensor.

    Arguments:
        owners: The modules that hold them; a parameter that is replaced later is seen.
        name: Their name in each.
    """

    def __init__(self, owners: Sequence[nn.Module], name: str) -> None:
        self._owners, self._name = tuple(owners), name
        self.leaf: nn.Parameter | None = None
        self._joined: list[Tensor] = []

    def __deepcopy__(self, memo: dict[int, object]) -> Stack:
        # A copied parameter is no view of a copied leaf.
        return Stack(copy.deepcopy(self._owners, memo), self._name)

    @property
    def members(self) -> list[Tensor]:
        """The parameters; those that are joined, while they are."""
        return self._joined or self._now()

    def __call__(self) -> Tensor:
        """All of them, ``(M, ...)``, with gradient."""
        now = self._now()
        # Others stand in their place where a call is made with weights of its own.
        if self.leaf is None or not all(map(operator.is_, now, self._joined)):
            return torch.stack(now)
        return self.leaf

    def _now(self) -> list[Tensor]:
        # As a module finds them itself, without its detour.
        found = [owner._parameters.get(self._name) for owner in self._owners]
        return [
            getattr(owner, self._name) if one is None else one
            for owner, one in zip(self._owners, found, strict=True)
        ]

    @property
    def can_join(self) -> bool:
        """Whether all learn, are alike and no hook waits for a gradient of their own."""
        members = self.members
        first = members[0]
        return len(set(members)) == len(members) > 1 and all(
            isinstance(one, nn.Parameter)
            and one.requires_grad
            and one.is_leaf
            and one.dtype == first.dtype
            and one.device == first.device
            and one.shape == first.shape
            and not one._backward_hooks
            and not one._post_accumulate_grad_hooks  # pyright: ignore[reportAttributeAccessIssue]
            for one in members
        )

    @torch.no_grad()
    def join(self) -> nn.Parameter:
        """Hold the numbers in one leaf, which is returned."""
        members = self.members
        self.leaf = nn.Parameter(torch.stack(members))
        for member, row in zip(members, self.leaf.data.unbind(0), strict=True):
            member.data = row
        self._joined = members
        return self.leaf

    @torch.no_grad()
    def part(self) -> None:
        """Give each parameter its own numbers, and its gradient, back."""
        if self.leaf is None:
            return
        self.spread()
        for member in self.members:
            member.data = member.data.clone()
        self.leaf, self._joined = None, []

    def collect(self) -> None:
        """Bring to the leaf what reached single parameters, as when a hook made one run alone."""
        if self.leaf is None or not any([one.grad is not None for one in self._joined]):
            return
        with torch.no_grad():
            own = torch.stack(
                [torch.zeros_like(one) if one.grad is None else one.grad for one in self._joined]
            )
            self.leaf.grad = own if self.leaf.grad is None else self.leaf.grad + own
        for one in self._joined:
            one.grad = None

    def spread(self) -> None:
        """Show each parameter its part of the leaf's gradient."""
        if self.leaf is not None and self.leaf.grad is not None:
            for one, gradient in zip(self.members, self.leaf.grad.unbind(0), strict=True):
                one.grad = gradient


class Stacking:
    """What reads parameters stacked; it is found where a module holds it as an attribute."""

    def stacks(self) -> Iterable[Stack]:
        """The stacks that it reads."""
        raise NotImplementedError


def stacks_of(model: nn.Module) -> Iterator[Stack]:
    """All stacks that a model reads; of those that share a parameter the first only."""
    seen: set[Tensor] = set()
    for module in model.modules():
        for part in vars(module).values():
            for stack in part.stacks() if isinstance(part, Stacking) else ():
                if seen.isdisjoint(stack.members):
                    seen.update(stack.members)
                    yield stack
