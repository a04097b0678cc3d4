"""Residual convolutional networks: h + conv(act(norm(conv(act(norm(h)))))) at every level.

Pre-activation blocks (He et al. 2016, "Identity Mappings in Deep Residual Networks",
https://arxiv.org/abs/1603.05027) with group norm (Wu & He 2018, https://arxiv.org/abs/1803.08494)
where the paper has batch norm: a row must not depend on the other rows of its batch.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor, nn

from polymodal.networks.conv import (
    check_image_shape,
    default_channels,
    double,
    halve,
    image_sizes,
)
from polymodal.networks.mlp import (
    ActivationName,
    MLPEncoder,
    Reshape,
    activation_layer,
    check_sizes,
    dense_layers,
)
from polymodal.networks.weights import OUTPUT_GAIN, started


def group_norm(channels: int) -> nn.GroupNorm:
    """A group norm of at most 8 groups, each of at least 4 channels where that divides.

    Groups of one channel would lose a level of 1 x 1 pixels altogether.
    """
    groups = max(g for g in range(1, 9) if channels % g == 0 and (g == 1 or channels // g >= 4))
    return nn.GroupNorm(groups, channels)


class ResidualBlock(nn.Module):
    """h + f(h), (N, C, H, W) -> (N, C, H, W).

    Arguments:
        channels: The number of channels, in and out.
        activation: "silu", "relu" or "leaky_relu".
        dropout: Share of whole channels dropped in training.
        gain: How large f starts; small, so that a deep network starts near the identity.
    """

    def __init__(
        self, channels: int, activation: ActivationName, dropout: float, gain: float
    ) -> None:
        super().__init__()
        drop = [nn.Dropout2d(dropout)] if dropout else []
        self.change = nn.Sequential(
            group_norm(channels),
            activation_layer(activation),
            started(nn.Conv2d(channels, channels, 3, padding=1)),
            group_norm(channels),
            activation_layer(activation),
            *drop,
            started(nn.Conv2d(channels, channels, 3, padding=1), gain),
        )

    def forward(self, h: Tensor) -> Tensor:
        """The changed channels."""
        return h + self.change(h)


class ResidualConvEncoder(nn.Sequential):
    """At each level a halving convolution and residual blocks, then dense layers.

    (B, C, H, W) -> (B, F).

    Arguments:
        shape: Shape of one image, (C, H, W), sides of at least 4.
        channels: Channels after each level; None chooses them by the size.
        blocks: Residual blocks a level.
        hidden: Sizes of the dense layers; none gives the flattened last level as features.
        activation: "silu", "relu" or "leaky_relu".
        dropout: Share of channels (blocks) and units (dense layers) dropped in training.
    """

    def __init__(
        self,
        shape: Sequence[int],
        channels: Sequence[int] | None = None,
        blocks: int = 1,
        hidden: Sequence[int] = (256,),
        *,
        activation: ActivationName = "silu",
        dropout: float = 0.0,
    ) -> None:
        last, height, width = check_image_shape(shape)
        channels = channels if channels is not None else default_channels(height, width)
        channels = check_sizes(channels, "channels")
        sizes = image_sizes(shape, len(channels))
        gain = 1.0 / math.sqrt(max(1, blocks * len(channels)))
        layers: list[nn.Module] = []
        for size in channels:
            layers.append(halve(last, size, gain=1.0))
            layers += [ResidualBlock(size, activation, dropout, gain) for _ in range(blocks)]
            last = size
        layers += [group_norm(last), activation_layer(activation)]
        dense = MLPEncoder((last, *sizes[-1]), hidden, activation=activation, dropout=dropout)
        super().__init__(*layers, *dense)
        self.out_features = dense.out_features


class ResidualConvDecoder(nn.Sequential):
    """Dense layers, then at each level residual blocks and a doubling convolution.

    (N, D) -> (N, *shape).

    Arguments:
        latent_dim: Size of the latent.
        shape: Shape of one row's output, (..., H, W): the axes before H and W are channels.
        channels: Channels of each level, from the finest to the coarsest, as in the encoder;
            None chooses them by the size.
        blocks: Residual blocks a level.
        hidden: Sizes of dense layers before the one that makes the coarsest level.
        activation: "silu", "relu" or "leaky_relu".
        dropout: Share of channels (blocks) and units (dense layers) dropped in training.
    """

    def __init__(
        self,
        latent_dim: int,
        shape: Sequence[int],
        channels: Sequence[int] | None = None,
        blocks: int = 1,
        hidden: Sequence[int] = (256,),
        *,
        activation: ActivationName = "silu",
        dropout: float = 0.0,
    ) -> None:
        shape = check_image_shape(shape, leading="...")
        channels = channels if channels is not None else default_channels(*shape[-2:])
        channels = check_sizes(channels, "channels")
        sizes = image_sizes(shape, len(channels))
        flat = (channels[-1], *sizes[-1])
        gain = 1.0 / math.sqrt(max(1, blocks * len(channels)))
        layers = dense_layers(latent_dim, hidden, activation=activation, dropout=dropout)
        last = hidden[-1] if hidden else latent_dim
        layers += [started(nn.Linear(last, math.prod(flat)), gain=1.0), Reshape(flat)]
        outputs = (math.prod(shape[:-2]), *channels)
        for level in range(len(channels), 0, -1):
            size = channels[level - 1]
            layers += [ResidualBlock(size, activation, dropout, gain) for _ in range(blocks)]
            layers += [group_norm(size), activation_layer(activation)]
            scale = OUTPUT_GAIN if level == 1 else math.sqrt(2.0)
            layers.append(double(size, outputs[level - 1], sizes[level - 1], scale))
        if len(shape) != 3:
            layers.append(Reshape(shape))
        super().__init__(*layers)
