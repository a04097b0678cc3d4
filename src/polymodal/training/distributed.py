"""Several processes: each takes its share of every batch, and the gradients are summed.

Each process divides the sum of its rows' losses by the rows of the *whole* batch, so the summed
gradient is that of the mean over all rows, ragged last batches included, and a weight that no
process used has no gradient, exactly as in one process. Only plain attributes of the parameters
are touched; the model needs no wrapper.
"""

from __future__ import annotations

import atexit
import os
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn


@dataclass(frozen=True)
class World:
    """This process among its peers.

    Arguments:
        rank: Its number, from 0.
        size: How many there are.
        device: Where it computes.
    """

    rank: int
    size: int
    device: torch.device

    def share(self, index: Tensor) -> Tensor:
        """This process's part of a batch's rows; empty where rows are fewer than processes."""
        return index if self.size == 1 else index[self.rank :: self.size]

    def gather(self, value: object) -> list[Any]:
        """Every process's ``value`` (numbers, strings, lists), in the order of ranks."""
        if self.size == 1:
            return [value]
        values: list[Any] = [None] * self.size
        dist.all_gather_object(values, value)
        return values

    @torch.no_grad()
    def copy_from_first(self, model: nn.Module) -> None:
        """Give every process the weights and buffers of the first."""
        if self.size > 1:
            for tensor in (*model.parameters(), *model.buffers()):
                held = tensor.detach().contiguous()
                dist.broadcast(held, src=0)
                tensor.copy_(held)

    @torch.no_grad()
    @torch.no_grad()
    def sum_all(
        self, parameters: list[nn.Parameter], sums: Tensor, flags: list[float]
    ) -> tuple[Tensor, list[float]]:
        """Sum gradients in place over the processes; so, too, what is to be known of the step.

        Arguments:
            parameters: What has gradients.
            sums: This process's sums of the loss and of terms, which need not be everyone's.
            flags: Any numbers.

        Returns:
            The sum of the losses, then a number that is not finite where any of anyone's sums is
            not, ``(2,)``; and the flags' sums.
        """
        dtype = parameters[0].dtype
        for parameter in parameters[1:]:
            dtype = torch.promote_types(dtype, parameter.dtype)
        used = [float(p.grad is not None) for p in parameters]
        known = torch.tensor([*flags, *used], dtype=dtype, device=self.device)
        seen = torch.stack([sums[0], (sums * 0.0).sum()]).to(known)
        grads = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
        flat = torch.cat([seen, known, *(grad.reshape(-1) for grad in grads)])
        dist.all_reduce(flat)
        head = len(seen) + len(known)
        numbers = flat[2:head].tolist()
        summed = flat[head:].split([p.numel() for p in parameters])
        for parameter, anywhere, grad, total in zip(
            parameters, numbers[len(flags) :], grads, summed, strict=True
        ):
            parameter.grad = grad.copy_(total.view_as(grad)) if anywhere else None
        return flat[:2], numbers[: len(flags)]


def device_named(device: str) -> torch.device:
    """The device of this name; ``"auto"`` is CUDA where there is one.

    Raises:
        ValueError: It is no device, or one that is not here.
    """
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        chosen = torch.device(device)
    except (RuntimeError, TypeError) as fault:
        raise ValueError(f"device must be auto, cpu, cuda or cuda:N; got {device!r}.") from fault
    if chosen.type == "cuda":
        found = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if not found:
            raise ValueError(f'device={device!r}, but torch sees no CUDA GPU here; use "auto".')
        if chosen.index is not None and chosen.index >= found:
            raise ValueError(
                f"device={device!r}, but torch sees {found} CUDA GPUs here, counted from 0."
            )
    elif chosen.type != "cpu":
        try:
            torch.empty(0, device=chosen)
        except (RuntimeError, AssertionError, ImportError) as fault:
            raise ValueError(
                f'device={device!r}, but torch has no such device here; use "auto".'
            ) from fault
    return chosen


def join_world(device: str) -> World:
    """This process's place, from torchrun's environment; the process group is made once.

    Arguments:
        device: As in `TrainSettings`. ``"auto"`` and ``"cuda"`` give each process of a machine a
            GPU of its own.

    Raises:
        ValueError: CUDA was asked for and there is none, or none of that number.
    """
    size, local = int(os.environ.get("WORLD_SIZE", "1")), int(os.environ.get("LOCAL_RANK", "0"))
    chosen = device_named(device)
    if chosen.type == "cuda" and chosen.index is None:
        several = size > 1 or dist.is_initialized()
        chosen = torch.device("cuda", local if several else torch.cuda.current_device())
    if not dist.is_available() or (size == 1 and not dist.is_initialized()):
        return World(rank=0, size=1, device=chosen)
    if chosen.type == "cuda":
        torch.cuda.set_device(chosen)
    if not dist.is_initialized():
        dist.init_process_group("nccl" if chosen.type == "cuda" else "gloo")
        atexit.register(_leave)
    return World(rank=dist.get_rank(), size=dist.get_world_size(), device=chosen)


def _leave() -> None:
    if dist.is_initialized():
        dist.destroy_process_group()
