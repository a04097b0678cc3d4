r"""The transposed convolution that doubles both sides, as a small convolution and a shuffle.

A 4 x 4 kernel of stride 2 and padding 1 writes row :math:`2i - 1 + k` from row i by its row k. So
the rows of one parity are reached from two rows each, by two rows of the kernel: with
:math:`k = 2 (1 - r) + s`,

.. math:: y_{2a - 1 + s} = \sum_{r = 0, 1} w_{2 (1 - r) + s}\; x_{a - 1 + r}, \qquad s = 0, 1

and columns likewise. The right side is a plain 2 x 2 convolution of x, padded by one, to four
times the channels, which the shuffle puts in their places. No product is with a zero.

A processor's convolutions work on blocks of 16 channels. An image's last layer has one or three,
which leaves most of a block idle; four times as many fill it. The gradients are those of the
transposed convolution itself, which are plain convolutions and fast as they are.

References:
    Wenzhe Shi et al. Is the deconvolution layer the same as a convolutional layer? 2016.
    https://arxiv.org/abs/1609.07009.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx
from torch.nn import functional

BLOCK = 16
"""Channels that a processor's convolution takes at once."""


def subpixel(x: Tensor, weight: Tensor, bias: Tensor | None, to: tuple[int, int]) -> Tensor:
    """What ``conv_transpose2d(x, weight, bias, 2, 1)`` gives, cut or padded to the sides ``to``.

    Arguments:
        x: ``(N, I, h, w)``.
        weight: ``(I, O, 4, 4)``.
        bias: ``(O,)`` or None.
        to: 2 h or 2 h + 1, and so for w.

    Returns:
        ``(N, O, *to)``.
    """
    ins, outs = weight.shape[:2]
    kernels = weight.reshape(ins, outs, 2, 2, 2, 2).flip(2, 4)  # (I, O, r, s, r', s')
    kernels = kernels.permute(3, 5, 1, 0, 2, 4).reshape(4 * outs, ins, 2, 2)
    four = functional.conv2d(x, kernels, None if bias is None else bias.repeat(4), padding=1)
    four = four.unflatten(1, (2, 2, outs))  # (N, s, s', O, h + 1, w + 1)
    y = four.new_empty(len(x), outs, *to)
    for s in (0, 1):
        odd_row = 1 - s
        rows = slice(odd_row, odd_row + (to[0] + s) // 2)
        for t in (0, 1):
            odd = 1 - t
            columns = slice(odd, odd + (to[1] + t) // 2)
            y[..., odd_row::2, odd::2] = four[:, s, t, :, rows, columns]
    return y


class SubPixel(torch.autograd.Function):
    """`subpixel` with the gradients of the transposed convolution."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor, weight: Tensor, bias: Tensor | None, to: tuple[int, int]) -> Tensor:
        """See `subpixel`."""
        return subpixel(x, weight, bias, to)

    @staticmethod
    def setup_context(
        ctx: FunctionCtx,
        inputs: tuple[Tensor, Tensor, Tensor | None, tuple[int, int]],
        output: Tensor,
    ) -> None:
        """Keep what the gradients need."""
        ctx.save_for_backward(inputs[0], inputs[1])

    @staticmethod
    def backward(ctx: FunctionCtx, *grads: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of x, weight and bias, as far as they are asked."""
        x, weight = ctx.saved_tensors  # pyright: ignore[reportAttributeAccessIssue]
        asked: tuple[bool, ...] = ctx.needs_input_grad  # pyright: ignore[reportAttributeAccessIssue]
        slope = grads[0]
        for_x, for_weight, _ = torch.ops.aten.convolution_backward(
            slope,
            x,
            weight,
            None,
            [2, 2],
            [1, 1],
            [1, 1],
            True,
            [slope.shape[-2] % 2, slope.shape[-1] % 2],
            1,
            [asked[0], asked[1], False],
        )
        return for_x, for_weight, slope.sum((0, 2, 3)) if asked[2] else None, None


class Doubling(nn.ConvTranspose2d):
    """A transposed convolution ``(N, I, h, w)`` -> ``(N, O, 2 h, 2 w)``, each odd side one more.

    Arguments:
        in_channels: I.
        out_channels: O.
        odd: 1 where the result's side is odd, for height and width.
    """

    def __init__(self, in_channels: int, out_channels: int, odd: tuple[int, int]) -> None:
        super().__init__(in_channels, out_channels, 4, 2, 1, output_padding=odd)

    def forward(self, input: Tensor, output_size: list[int] | None = None) -> Tensor:
        """The doubled image."""
        kind = self._pays_in(input)
        if kind is None or output_size is not None:
            return super().forward(input, output_size)
        x, weight, bias = (
            None if one is None else one.to(kind) for one in (input, self.weight, self.bias)
        )
        odd = self.output_padding
        to = (2 * input.shape[2] + int(odd[0]), 2 * input.shape[3] + int(odd[1]))
        return SubPixel.apply(x, weight, bias, to)  # pyright: ignore[reportReturnType]

    def _pays_in(self, x: Tensor) -> torch.dtype | None:
        """The precision to take the other way in, where that is the faster one; else None."""
        if (
            self.out_channels >= BLOCK
            or x.ndim != 4
            or x.device.type != "cpu"
            or self.weight.dtype != torch.float32
            or torch.compiler.is_compiling()
        ):
            return None
        half = torch.is_autocast_enabled("cpu")
        kind = torch.get_autocast_dtype("cpu") if half else x.dtype
        return kind if kind == (torch.bfloat16 if half else torch.float32) else None
