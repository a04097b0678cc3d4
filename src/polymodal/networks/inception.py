r"""Inception v3 as the Fréchet inception distance knows it: pictures -> 2048 features.

The network of the first publication of the distance, a graph of TensorFlow of December 2015, with
the names that its weights have in PyTorch. It differs from the Inception v3 of the paper and of
other libraries: 1008 classes; average pools at the border divide by the pixels that are there and
not by 9; the pool of the last block takes the maximum. Nothing here is random or learned: a
network is made without weights, on the meta device, and is given those of a file.

References:
    Christian Szegedy, Vincent Vanhoucke, Sergey Ioffe, Jon Shlens, Zbigniew Wojna. Rethinking the
    Inception Architecture for Computer Vision. CVPR 2016. https://arxiv.org/abs/1512.00567,
    table 1 and figures 5 to 7, 10.
    Martin Heusel, Hubert Ramsauer, Thomas Unterthiner, Bernhard Nessler, Sepp Hochreiter. GANs
    Trained by a Two Time-Scale Update Rule Converge to a Local Nash Equilibrium. NeurIPS 2017.
    https://arxiv.org/abs/1706.08500, section 3.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

SIDE = 299
"""Height and width of the pictures that it was trained on."""
N_FEATURES = 2048
N_CLASSES = 1008

_EPS = 0.001


class Conv(NamedTuple):
    """A convolution: how many channels it makes, its kernel, its stride.

    It is padded to keep the size, but where it strides or is ``bare``.
    """

    out: int
    height: int = 1
    width: int = 1
    stride: int = 1
    bare: bool = False


Step = Conv | tuple[Conv, Conv]
"""What follows in a branch: a convolution, or two side by side whose channels are joined."""
Pool = Literal["average", "largest", "halving"]
POOLED = "branch_pool"
"""The branch that reads the pooled input; the others read the input."""


@dataclass(frozen=True)
class Block:
    """A mixed block: branches that read the same input and whose channels are joined.

    Arguments:
        pool: What the last branch reads: means or maxima of 3 x 3, or maxima at stride 2.
        branches: Name -> what follows each other in it. A branch without steps passes on.
    """

    pool: Pool
    branches: Mapping[str, Sequence[Step]]


def _narrow(pooled: int) -> Block:
    return Block(
        "average",
        {
            "branch1x1": (Conv(64),),
            "branch5x5": (Conv(48), Conv(64, 5, 5)),
            "branch3x3dbl": (Conv(64), Conv(96, 3, 3), Conv(96, 3, 3)),
            POOLED: (Conv(pooled),),
        },
    )


def _long(inner: int) -> Block:
    """7 x 7 as a row and a column."""
    row, column = Conv(inner, 1, 7), Conv(inner, 7, 1)
    return Block(
        "average",
        {
            "branch1x1": (Conv(192),),
            "branch7x7": (Conv(inner), row, Conv(192, 7, 1)),
            "branch7x7dbl": (Conv(inner), column, row, column, Conv(192, 1, 7)),
            POOLED: (Conv(192),),
        },
    )


def _wide(pool: Pool) -> Block:
    """3 x 3 as a row beside a column."""
    fork = (Conv(384, 1, 3), Conv(384, 3, 1))
    return Block(
        pool,
        {
            "branch1x1": (Conv(320),),
            "branch3x3": (Conv(384), fork),
            "branch3x3dbl": (Conv(448), Conv(384, 3, 3), fork),
            POOLED: (Conv(192),),
        },
    )


LAYERS: Mapping[str, Conv | Block | None] = {
    "Conv2d_1a_3x3": Conv(32, 3, 3, stride=2),
    "Conv2d_2a_3x3": Conv(32, 3, 3, bare=True),
    "Conv2d_2b_3x3": Conv(64, 3, 3),
    "MaxPool_3a": None,
    "Conv2d_3b_1x1": Conv(80),
    "Conv2d_4a_3x3": Conv(192, 3, 3, bare=True),
    "MaxPool_5a": None,
    "Mixed_5b": _narrow(32),
    "Mixed_5c": _narrow(64),
    "Mixed_5d": _narrow(64),
    "Mixed_6a": Block(
        "halving",
        {
            "branch3x3": (Conv(384, 3, 3, stride=2),),
            "branch3x3dbl": (Conv(64), Conv(96, 3, 3), Conv(96, 3, 3, stride=2)),
            POOLED: (),
        },
    ),
    "Mixed_6b": _long(128),
    "Mixed_6c": _long(160),
    "Mixed_6d": _long(160),
    "Mixed_6e": _long(192),
    "Mixed_7a": Block(
        "halving",
        {
            "branch3x3": (Conv(192), Conv(320, 3, 3, stride=2)),
            "branch7x7x3": (
                Conv(192),
                Conv(192, 1, 7),
                Conv(192, 7, 1),
                Conv(192, 3, 3, stride=2),
            ),
            POOLED: (),
        },
    ),
    "Mixed_7b": _wide("average"),
    "Mixed_7c": _wide("largest"),
}
"""The layers in order; None halves height and width by maxima of 3 x 3."""


class Inception(nn.Module):
    """The network, without weights until ``load_state_dict(tensors, assign=True)``.

    Its parameters are frozen, and its batch normalisation always uses the statistics of the file.
    """

    def __init__(self) -> None:
        super().__init__()
        channels = 3
        with torch.device("meta"):
            for name, layer in LAYERS.items():
                if layer is None:
                    continue
                built = (
                    NormalisedConv(channels, layer)
                    if isinstance(layer, Conv)
                    else MixedBlock(channels, layer)
                )
                self.add_module(name, built)
                channels = built.out_channels
            # Not asked for features, but part of the file: it tells this network from others.
            self.fc = nn.Linear(channels, N_CLASSES)
        self.requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        """Pictures ``(B, 3, 299, 299)`` in [-1, 1] -> features ``(B, 2048)``."""
        for name, layer in LAYERS.items():
            x = _pooled(x, "halving") if layer is None else self.get_submodule(name)(x)
        return x.mean((2, 3))


class MixedBlock(nn.Module):
    """A block; its convolutions are named as in the published file.

    ``branch3x3_2a`` is the first of two at the second step of ``branch3x3``. A branch of one
    convolution has no number.
    """

    def __init__(self, in_channels: int, block: Block) -> None:
        super().__init__()
        self.pool: Pool = block.pool
        self.plan: list[tuple[str, list[list[str]]]] = []
        self.out_channels = 0
        for branch, steps in block.branches.items():
            channels, names = in_channels, []
            for i, step in enumerate(steps, 1):
                number = f"_{i}" if len(steps) > 1 else ""
                convs = {number: step} if isinstance(step, Conv) else {
                    f"{number}{letter}": conv for letter, conv in zip("ab", step, strict=True)
                }  # fmt: skip
                for suffix, conv in convs.items():
                    self.add_module(branch + suffix, NormalisedConv(channels, conv))
                names.append([branch + suffix for suffix in convs])
                channels = sum(conv.out for conv in convs.values())
            self.plan.append((branch, names))
            self.out_channels += channels

    def forward(self, x: Tensor) -> Tensor:
        """``(B, C, H, W)`` -> ``(B, out_channels, H', W')``."""
        outs = []
        for branch, steps in self.plan:
            h = _pooled(x, self.pool) if branch == POOLED else x
            for names in steps:
                h = torch.cat([self.get_submodule(name)(h) for name in names], 1)
            outs.append(h)
        return torch.cat(outs, 1)


class NormalisedConv(nn.Module):
    """A convolution without bias, normalised by fixed statistics, rectified."""

    def __init__(self, in_channels: int, conv: Conv) -> None:
        super().__init__()
        self.out_channels = conv.out
        kernel = (conv.height, conv.width)
        bare = conv.bare or conv.stride > 1
        padding = (0, 0) if bare else (conv.height // 2, conv.width // 2)
        self.conv = nn.Conv2d(in_channels, conv.out, kernel, conv.stride, padding, bias=False)
        self.bn = _FixedNorm(conv.out)

    def forward(self, x: Tensor) -> Tensor:
        return self.bn(self.conv(x)).relu_()


class _FixedNorm(nn.Module):
    """Batch normalisation that never counts a batch, in whatever mode."""

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight, self.bias = (nn.Parameter(torch.empty(channels)) for _ in range(2))
        for name in ("running_mean", "running_var"):
            self.register_buffer(name, torch.empty(channels))

    def forward(self, x: Tensor) -> Tensor:
        statistics = self.running_mean, self.running_var
        return F.batch_norm(x, *statistics, self.weight, self.bias, eps=_EPS)


def _pooled(x: Tensor, pool: Pool) -> Tensor:
    if pool == "average":
        return F.avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=False)
    if pool == "largest":
        return F.max_pool2d(x, 3, stride=1, padding=1)
    return F.max_pool2d(x, 3, stride=2)
