r"""Equal small networks of several modalities, run as one: a batched product a layer.

.. math:: Y_m = X_m W_m^\top + b_m \quad \text{for all } m \text{ at once}

A small layer costs its call, not its arithmetic. So the weights of networks that are the same but
for their values are read stacked (stacks.py): copied together at each call, or, while a run trains
them, kept so. The networks stay the modules that they are, with their own names and weights.

Where networks differ, are large (stacking copies weights), are of a class that is not known here,
or are watched by hooks, each is called as ever. The numbers agree up to rounding; a dropout's
draws are others, of the same law.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules import module as every_module

from polymodal.networks.mlp import Reshape
from polymodal.networks.stacks import Stack, Stacking

MOST_WEIGHTS = 32_768
"""Weights of one network beyond which copying them costs more than the calls that it saves."""
MOST_ROWS = 8192
"""Rows beyond which the arithmetic outweighs the calls, and memory counts."""


class Answers:
    """What networks answered, one after the other or in one tensor.

    Arguments:
        each: One answer a network; None where it was not asked. None if all came in one tensor.
        together: All answers stacked, ``(M, N, ...)``, where they came so; else None.
    """

    def __init__(
        self, each: Sequence[Tensor | None] | None, together: Tensor | None = None
    ) -> None:
        self._each = None if each is None else tuple(each)
        self.together = together

    @property
    def each(self) -> tuple[Tensor | None, ...]:
        """One answer a network; made when asked for."""
        if self._each is None and self.together is not None:
            self._each = self.together.unbind(0)
        return self._each or ()


def itself(network: nn.Module) -> nn.Module:
    """The network."""
    return network


@dataclass(frozen=True)
class _Layer:
    """One layer of all networks of a group: what it does, and its weights."""

    first: nn.Module
    weight: Stack | None
    bias: Stack | None


class _Group:
    """Networks of one signature.

    Arguments:
        members: Their places in the list.
        networks: The networks, layer by layer.
        modules: Every module of theirs that a hook could stand on.
    """

    def __init__(
        self,
        members: Sequence[int],
        networks: Sequence[Sequence[nn.Module]],
        modules: Sequence[nn.Module],
    ) -> None:
        self.members = tuple(members)
        self.layers = [
            _Layer(layers[0], _stack(layers, "weight"), _stack(layers, "bias"))
            for layers in zip(*networks, strict=True)
        ]
        self.watch = Watch(modules)

    def __call__(self, x: Tensor) -> Tensor:
        """Run all of them on inputs ``(M, N, ...)``."""
        for layer in self.layers:
            x = _run(layer, x)
        # Noise drawn like an answer follows its layout: the draws must not tell who ran together.
        return x.contiguous()


class SideBySide(Stacking):
    """Runs the networks of a list, those that are equal as one.

    It is no module and holds no weights: it adds no name to a state dict and moves with the list.

    Arguments:
        networks: The networks; one that is replaced later is seen.
        part: What of each is run: a sequence of layers, or one layer.
    """

    def __init__(
        self, networks: nn.ModuleList, part: Callable[[nn.Module], nn.Module] = itself
    ) -> None:
        self._networks = networks
        self._part = part
        self._held: list[Mapping[str, nn.Module | None]] = []
        self._seen: list[nn.Module | None] = []
        self._parts: list[nn.Module] = []
        self._layers: list[list[nn.Module]] = []
        self._groups: list[_Group] = []

    def stacks(self) -> list[Stack]:
        """The weights of every group, layer by layer."""
        self._plan()
        layers = [layer for group in self._groups for layer in group.layers]
        every = [one for layer in layers for one in (layer.weight, layer.bias)]
        return [one for one in every if one is not None]

    def whole(self, together: Tensor) -> Tensor | None:
        """All answers in one tensor, if all networks can run as one.

        Arguments:
            together: All inputs stacked, ``(M, N, ...)``.
        """
        self._plan()
        if (
            len(self._groups) == 1
            and len(self._groups[0].members) == len(self._layers)
            and together.shape[1] <= MOST_ROWS
            and self._groups[0].watch.sees_nothing()
        ):
            return self._groups[0](together)
        return None

    def __call__(self, inputs: Sequence[Tensor | None]) -> Answers:
        """Ask every network that has an input.

        Arguments:
            inputs: One input a network, ``(N, ...)``; None where it is not asked.
        """
        parts = self._plan()
        each: list[Tensor | None] = [None] * len(parts)
        done: set[int] = set()
        for group in self._groups:
            asked = [i for i in group.members if inputs[i] is not None]
            values: list[Tensor] = [inputs[i] for i in asked]  # pyright: ignore[reportAssignmentType]
            if len(asked) < 2 or not _alike(values):
                continue
            if len(asked) < len(group.members):
                group = self._group(parts, asked)
            if not group.watch.sees_nothing():
                continue
            out = group(torch.stack(values))
            if len(asked) == len(parts):
                return Answers(None, out)
            for i, answer in zip(asked, out.unbind(0), strict=True):
                each[i] = answer
            done.update(asked)
        for i, (part, value) in enumerate(zip(parts, inputs, strict=True)):
            if value is not None and i not in done:
                each[i] = part(value)
        return Answers(each)

    def _plan(self) -> list[nn.Module]:
        """Group the networks by structure, anew only when a layer was replaced."""
        held = [one for modules in self._held for one in modules.values()]
        if held and held == self._seen:
            return self._parts
        self._parts = parts = [self._part(network) for network in self._networks]
        # To look into the dictionaries of modules is the quickest way to see one replaced.
        self._held = [one._modules for one in (self._networks, *self._networks, *parts)]
        self._seen = [one for modules in self._held for one in modules.values()]
        self._layers = [_layers_of(part) for part in parts]
        alike: dict[tuple[object, ...], list[int]] = {}
        for i, part in enumerate(parts):
            signature = signature_of(part)
            if signature is not None:
                alike.setdefault(signature, []).append(i)
        self._groups = [self._group(parts, group) for group in alike.values() if len(group) > 1]
        return parts

    def _group(self, parts: Sequence[nn.Module], members: Sequence[int]) -> _Group:
        modules = [one for i in members for one in (parts[i], *self._layers[i])]
        return _Group(members, [self._layers[i] for i in members], modules)


def signature_of(network: nn.Module) -> tuple[object, ...] | None:
    """What two networks must share to run as one; None if this one runs alone."""
    layers = _layers_of(network)
    # A subclass may do more than its layers.
    is_known = type(network).forward is nn.Sequential.forward or layers == [network]
    size = sum(parameter.numel() for parameter in network.parameters())
    if not is_known or size > MOST_WEIGHTS:
        return None
    signature: list[object] = []
    for place, layer in enumerate(layers):
        kind = type(layer)
        if isinstance(layer, nn.Linear) and kind is nn.Linear:
            signature.append((kind, layer.weight.shape, layer.bias is not None))
        elif isinstance(layer, nn.LayerNorm) and _is_plain(layer):
            signature.append((kind, layer.normalized_shape, layer.eps, layer.bias is not None))
        elif isinstance(layer, nn.Dropout) and kind is nn.Dropout:
            signature.append((kind, layer.p))
        elif kind in (nn.SiLU, nn.ReLU):
            signature.append(kind)
        elif isinstance(layer, nn.LeakyReLU) and kind is nn.LeakyReLU:
            signature.append((kind, layer.negative_slope))
        elif isinstance(layer, Reshape) and (place + 1 == len(layers) or len(layer.shape) == 1):
            signature.append((kind, layer.shape))
        else:
            return None
    return tuple(signature)


def _is_plain(norm: nn.LayerNorm) -> bool:
    return type(norm) is nn.LayerNorm and norm.elementwise_affine and norm.weight.ndim == 1


class Watch:
    """Tells whether a hook would miss a call of some modules that are not called.

    Arguments:
        modules: The modules.
    """

    def __init__(self, modules: Sequence[nn.Module]) -> None:
        self._modules = list(modules)
        # A module's dictionaries of hooks stay the same; to look into them all is quick.
        self._hooks = [
            hooks
            for one in self._modules
            for hooks in (
                one._forward_hooks,
                one._forward_pre_hooks,
                one._backward_hooks,
                one._backward_pre_hooks,
            )
        ]

    def sees_nothing(self) -> bool:
        """Whether no hook stands on any, and all train or none."""
        training = self._modules[0].training
        return not (
            any(self._hooks)
            or every_module._global_forward_hooks
            or every_module._global_forward_pre_hooks
        ) and all([one.training == training for one in self._modules])


def _layers_of(network: nn.Module) -> list[nn.Module]:
    return list(network._modules.values()) or [network]  # pyright: ignore[reportReturnType]


def _alike(values: list[Tensor]) -> bool:
    first = values[0]
    return len(first) <= MOST_ROWS and all(
        value.shape == first.shape and value.dtype == first.dtype for value in values
    )


def _stack(layers: Sequence[nn.Module], name: str) -> Stack | None:
    return None if getattr(layers[0], name, None) is None else Stack(layers, name)


def _run(layer: _Layer, x: Tensor) -> Tensor:
    """One layer of several networks on inputs ``(M, N, ...)``."""
    first = layer.first
    if isinstance(first, nn.Linear):
        return _linear(layer, x)
    if isinstance(first, nn.SiLU):
        return functional.silu(x)
    if isinstance(first, nn.ReLU):
        return functional.relu(x)
    if isinstance(first, nn.LeakyReLU):
        return functional.leaky_relu(x, first.negative_slope)
    if isinstance(first, nn.LayerNorm):
        return _scaled(layer, functional.layer_norm(x, first.normalized_shape, eps=first.eps))
    if isinstance(first, nn.Dropout):
        return functional.dropout(x, first.p, first.training)
    if isinstance(first, Reshape):
        return x.reshape(*x.shape[:2], *first.shape)
    raise TypeError(f"{type(first).__name__} does not run side by side.")


def _scaled(layer: _Layer, x: Tensor) -> Tensor:
    if layer.weight is None:
        return x
    weight = layer.weight().unsqueeze(1)
    if layer.bias is None:
        return x * weight
    return torch.addcmul(layer.bias().unsqueeze(1), x, weight)


def _linear(layer: _Layer, x: Tensor) -> Tensor:
    # As W x, not x W: the weights' gradients then come in the weights' own layout, not copied.
    if layer.weight is None:
        return x
    if layer.bias is None:
        return torch.bmm(layer.weight(), x.mT).mT
    return torch.baddbmm(layer.bias().unsqueeze(-1), layer.weight(), x.mT).mT
