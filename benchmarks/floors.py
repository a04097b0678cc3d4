"""The floor of any recipe: its networks alone, as often and on as many rows as a step runs them.

A step is watched once. Every outermost network (an encoder, a head, a decoder, a score network...)
is noted with the shapes of what it read; the floor runs those networks on noise of the same
shapes, forward and backward, with the same fused Adam: no sampling, no densities, no divergences.
A call whose weights were held still has no gradients of weights in the floor either.

An energy model's chains are no network, but their sweeps multiply by its matrix, as often and on
as many rows whatever the code around. Those bare products are its floor too, and are told apart.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from polymodal.model import LatentModel, Modality
from polymodal.models.covariance import CovarianceELBO
from polymodal.models.poise import POISE


@dataclass(frozen=True)
class Call:
    """One call of a network.

    Arguments:
        network: What was called.
        inputs: Noise like what it read, with a gradient where that had one.
        named: The same of what it read by name, such as the mask of an attention.
        held: Whether its weights were held still, so that they get no gradient.
    """

    network: nn.Module
    inputs: tuple[Any, ...]
    named: dict[str, Any]
    held: bool


def outermost_networks(module: nn.Module) -> Iterator[nn.Module]:
    """Modules of ``polymodal.networks`` or torch with weights, each without those inside it."""
    for child in module.children():
        home = type(child).__module__
        is_network = home.startswith("polymodal.networks") or home.startswith("torch.nn")
        container = isinstance(child, nn.ModuleList | nn.ModuleDict | nn.ParameterList)
        if is_network and not container and any(True for _ in child.parameters()):
            yield child
        else:
            yield from outermost_networks(child)


def watch(model: LatentModel, step: Callable[[], object]) -> list[Call]:
    """The calls of one step, in order."""
    calls: list[Call] = []

    def note(
        network: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: object
    ) -> None:
        inputs = tuple(_like(value) for value in args)
        named = {name: _like(value) for name, value in kwargs.items()}
        held = not any(weight.requires_grad for weight in network.parameters())
        calls.append(Call(network, inputs, named, held))

    found = {id(network): network for network in outermost_networks(model)}
    hooks = [network.register_forward_hook(note, with_kwargs=True) for network in found.values()]
    step()
    for hook in hooks:
        hook.remove()
    return calls


def _like(value: Any) -> Any:
    if not isinstance(value, Tensor):
        return value
    if not value.is_floating_point():
        return value.detach().clone()
    return torch.randn_like(value).requires_grad_(value.requires_grad)


def bare(calls: list[Call]) -> Tensor:
    """The sum of all outputs: what the floor goes forward and backward through."""
    total = torch.zeros(())
    for call in calls:
        for value in (*call.inputs, *call.named.values()):
            if isinstance(value, Tensor):
                value.grad = None
        weights = call.network.named_parameters() if call.held else ()
        still = {name: weight.detach() for name, weight in weights}
        out = functional_call(call.network, still, call.inputs, call.named)
        for tensor in out if isinstance(out, tuple) else (out,):
            if isinstance(tensor, Tensor) and tensor.requires_grad:
                total = total + tensor.sum()
    return total


def products(model: LatentModel, rows: int) -> Callable[[], Tensor] | None:
    """The bare products with an energy's matrix of one step; None for a model without one.

    They are those of every sweep and block, for the mean field of the rows and the chains of the
    posterior and of the prior, and the natural parameters of all draws, with the gradient of the
    matrix.

    Arguments:
        model: The model.
        rows: Rows of the batch.
    """
    objective = getattr(model, "objective", None)
    if not isinstance(model, POISE) or not isinstance(objective, CovarianceELBO):
        return None
    n_modalities, size = len(model.names), 2 * model.dim
    chains = (objective.samples * rows, len(model.chains.before))
    others = (n_modalities - 1) * size
    block = torch.randn(size, others)
    swept = (model.sweeps, model.prior_sweeps)
    states = [(torch.randn(others, n), k) for n, k in zip(chains, swept, strict=True)]
    states.append((torch.randn(others, rows), model.field_sweeps))
    draws = [torch.randn(n, others + size) for n in chains]
    matrix = torch.randn(others + size, others + size, requires_grad=True)

    def run() -> Tensor:
        with torch.no_grad():
            for state, sweeps in states:
                for _ in range(sweeps * n_modalities):
                    torch.mm(block, state)
        matrix.grad = None
        return sum(((drawn @ matrix).sum() for drawn in draws), torch.zeros(()))

    return run


def batches(calls: list[Call], networks: list[nn.Module], rows: int) -> float:
    """How many batches each of some networks reads in a step, on average."""
    read = [
        len(call.inputs[0]) / rows for call in calls if any(call.network is n for n in networks)
    ]
    return sum(read) / max(1, len(networks))


def noted(modalities: list[Modality]) -> tuple[list[Modality], list[nn.Module]]:
    """The same modalities, and a list that their decoders enter when they are made."""
    made: list[nn.Module] = []

    def noting(make: Callable[[int], nn.Module]) -> Callable[[int], nn.Module]:
        def decoder(dim: int) -> nn.Module:
            made.append(make(dim))
            return made[-1]

        return decoder

    kept = [
        Modality(m.name, m.encoder, noting(m.decoder), m.likelihood, m.weight) for m in modalities
    ]
    return kept, made
