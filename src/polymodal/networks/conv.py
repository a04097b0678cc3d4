"""Convolutional networks for images: each level halves (encoder) or doubles (decoder) the sides.

A 4 x 4 convolution of stride 2 and padding 1 takes a side n to floor(n / 2); its transpose takes
floor(n / 2) back to n when the odd pixel is given as output padding. So every size is met exactly.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import nn

from polymodal.networks.mlp import (
    ActivationName,
    MLPEncoder,
    Reshape,
    activation_layer,
    check_sizes,
    dense_layers,
)
from polymodal.networks.subpixel import Doubling
from polymodal.networks.weights import DECODER_GAIN, OUTPUT_GAIN, started

SMALLEST_SIDE = 4


def default_channels(height: int, width: int, base: int = 32, top: int = 256) -> tuple[int, ...]:
    """One level as long as the shorter side is at least 8, one at least; channels double.

    Example:
        >>> default_channels(28, 28), default_channels(64, 64)
        ((32, 64), (32, 64, 128, 256))
    """
    side = min(height, width)
    levels = max(1, side.bit_length() - 3)
    return tuple(min(base << level, top) for level in range(levels))


def image_sizes(shape: Sequence[int], levels: int) -> list[tuple[int, int]]:
    """Height and width before each level and after the last: levels + 1 pairs."""
    height, width = shape[-2:]
    if min(height, width) < SMALLEST_SIDE:
        raise ValueError(
            f"Convolutions need sides of at least {SMALLEST_SIDE} pixels, got {height} x {width}. "
            "Use MLPEncoder and MLPDecoder with the image's shape."
        )
    if min(height, width) >> levels < 1:
        raise ValueError(
            f"{levels} levels halve {height} x {width} pixels to nothing: "
            f"pass at most {min(height, width).bit_length() - 1} channels."
        )
    return [(height >> level, width >> level) for level in range(levels + 1)]


def check_image_shape(shape: Sequence[int], leading: str = "C") -> tuple[int, ...]:
    """The shape as a tuple; raises unless it ends in channels, height and width."""
    got = check_sizes(shape, "shape")
    if len(got) < 3 or (leading == "C" and len(got) != 3):
        raise ValueError(f"An image's shape is ({leading}, H, W), got {got}.")
    return got


def halve(in_channels: int, out_channels: int, gain: float = math.sqrt(2.0)) -> nn.Conv2d:
    """The convolution that halves both sides."""
    return started(nn.Conv2d(in_channels, out_channels, 4, 2, 1), gain)


def double(
    in_channels: int, out_channels: int, to: tuple[int, int], gain: float = math.sqrt(2.0)
) -> nn.ConvTranspose2d:
    """The transposed convolution that doubles both sides, to exactly ``to``."""
    odd = (to[0] % 2, to[1] % 2)
    return started(Doubling(in_channels, out_channels, odd), gain)


class ConvEncoder(nn.Sequential):
    """Strided convolutions, then dense layers: (B, C, H, W) -> (B, F).

    Units leak by default, as those of ``ConvDecoder``.

    Arguments:
        shape: Shape of one image, (C, H, W), sides of at least 4.
        channels: Channels after each level; None chooses them by the size.
        hidden: Sizes of the dense layers; none gives the flattened last level as features.
        activation: "silu", "relu" or "leaky_relu".
        dropout: Share of the dense units dropped in training.
        norm: Whether the dense layers have a layer norm.

    Example:
        >>> ConvEncoder((3, 28, 28), channels=(16, 32), hidden=()).out_features
        1568
    """

    def __init__(
        self,
        shape: Sequence[int],
        channels: Sequence[int] | None = None,
        hidden: Sequence[int] = (256,),
        *,
        activation: ActivationName = "leaky_relu",
        dropout: float = 0.0,
        norm: bool = False,
    ) -> None:
        last, height, width = check_image_shape(shape)
        channels = channels if channels is not None else default_channels(height, width)
        channels = check_sizes(channels, "channels")
        sizes = image_sizes(shape, len(channels))
        layers: list[nn.Module] = []
        for size in channels:
            layers += [halve(last, size), activation_layer(activation)]
            last = size
        flat = (last, *sizes[-1])
        dense = MLPEncoder(flat, hidden, activation=activation, dropout=dropout, norm=norm)
        super().__init__(*layers, *dense)
        self.out_features = dense.out_features


class ConvDecoder(nn.Sequential):
    """Dense layers, then transposed convolutions: (N, D) -> (N, *shape).

    Units leak by default: where most pixels of all pictures are alike, as around a digit, the
    first steps push a decoder of ReLUs so far that units die, at times all of them, and the
    modality is the same picture for ever.

    Arguments:
        latent_dim: Size of the latent.
        shape: Shape of one row's output, (..., H, W): the axes before H and W are channels, as a
            likelihood with several parameters a pixel needs them.
        channels: Channels of each level, from the finest to the coarsest, as in the encoder;
            None chooses them by the size.
        hidden: Sizes of dense layers before the one that makes the coarsest level.
        activation: "silu", "relu" or "leaky_relu".
        dropout: Share of the dense units dropped in training.
        norm: Whether the dense layers have a layer norm.
    """

    def __init__(
        self,
        latent_dim: int,
        shape: Sequence[int],
        channels: Sequence[int] | None = None,
        hidden: Sequence[int] = (256,),
        *,
        activation: ActivationName = "leaky_relu",
        dropout: float = 0.0,
        norm: bool = False,
    ) -> None:
        shape = check_image_shape(shape, leading="...")
        channels = channels if channels is not None else default_channels(*shape[-2:])
        channels = check_sizes(channels, "channels")
        sizes = image_sizes(shape, len(channels))
        flat = (channels[-1], *sizes[-1])
        layers = dense_layers(
            latent_dim,
            (*hidden, math.prod(flat)),
            activation=activation,
            dropout=dropout,
            norm=norm,
            gain=DECODER_GAIN,
        )
        layers.append(Reshape(flat))
        for level in range(len(channels) - 1, 0, -1):
            to = sizes[level]
            layers.append(double(channels[level], channels[level - 1], to, DECODER_GAIN))
            layers.append(activation_layer(activation))
        out_channels = math.prod(shape[:-2])
        layers.append(double(channels[0], out_channels, sizes[0], OUTPUT_GAIN))
        if len(shape) != 3:
            layers.append(Reshape(shape))
        super().__init__(*layers)
