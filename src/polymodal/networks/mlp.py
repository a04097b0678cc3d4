"""Dense networks: h_{l+1} = dropout(act(norm(W_l h_l + b_l))).

Both classes *are* their sequence of layers: one level of calls, because for tables and small
vectors a step costs more Python than arithmetic.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Literal

from torch import Tensor, nn

from polymodal.networks.weights import DECODER_GAIN, HIDDEN_GAIN, OUTPUT_GAIN, started

ActivationName = Literal["silu", "relu", "leaky_relu"]
# In place, as they only ever follow a layer of ours; SiLU would have to copy its input for the
# gradient, so that nothing is saved.
ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "silu": nn.SiLU,
    "relu": partial(nn.ReLU, inplace=True),
    "leaky_relu": partial(nn.LeakyReLU, 0.01, inplace=True),
}


def activation_layer(name: ActivationName) -> nn.Module:
    """The activation of that name."""
    if name not in ACTIVATIONS:
        raise ValueError(f"activation must be one of {', '.join(ACTIVATIONS)}, got {name!r}.")
    return ACTIVATIONS[name]()


def check_sizes(sizes: Sequence[int], what: str) -> tuple[int, ...]:
    """The sizes as a tuple; raises unless each is a whole number of at least 1."""
    got = tuple(sizes)
    if any(not isinstance(size, int) or isinstance(size, bool) or size < 1 for size in got):
        raise ValueError(f"{what} must be whole numbers of at least 1, got {got}.")
    return got


class Reshape(nn.Module):
    """(N, Q) -> (N, *shape); shape may be empty, and N may be 0."""

    def __init__(self, shape: Sequence[int]) -> None:
        super().__init__()
        self.shape = tuple(shape)

    def forward(self, x: Tensor) -> Tensor:
        """The same values in the new shape."""
        return x.reshape(x.shape[0], *self.shape)

    def extra_repr(self) -> str:
        """The shape, for printing."""
        return str(self.shape)


def dense_layers(
    in_features: int,
    hidden: Sequence[int],
    *,
    activation: ActivationName = "silu",
    dropout: float = 0.0,
    norm: bool = False,
    active_inputs: float | None = None,
    gain: float = HIDDEN_GAIN,
) -> list[nn.Module]:
    """The layers in_features -> hidden[0] -> ... -> hidden[-1], each with its activation.

    Arguments:
        in_features: Size of the input.
        hidden: Sizes of the layers; none gives an empty list.
        activation: "silu", "relu" or "leaky_relu".
        dropout: Share of the units dropped in training.
        norm: Whether a layer norm stands before each activation.
        active_inputs: How many inputs are non-zero at once (one-hot codes); all unless given.
        gain: How large the weights start; see networks/weights.py.
    """
    layers: list[nn.Module] = []
    for i, size in enumerate(check_sizes(hidden, "hidden sizes")):
        inputs = active_inputs if i == 0 else None
        layers.append(started(nn.Linear(in_features, size), gain, inputs=inputs))
        if norm:
            layers.append(nn.LayerNorm(size))
        layers.append(activation_layer(activation))
        if dropout:
            layers.append(nn.Dropout(dropout))
        in_features = size
    return layers


class MLPEncoder(nn.Sequential):
    """Dense layers from values of any shape to features.

    A shape tuple flattens the input first: the better choice for images up to about 10 x 10.

    Arguments:
        in_features: Size of one row's input, or its shape.
        hidden: Sizes of the hidden layers.
        out_features: Size of a last, linear layer; None ends in the last hidden layer.
        activation: "silu", "relu" or "leaky_relu".
        dropout: Share of the hidden units dropped in training.
        norm: Whether a layer norm stands before each activation.
        active_inputs: How many inputs are non-zero at once (one-hot codes); all unless given.

    Example:
        >>> MLPEncoder((1, 8, 8), hidden=(128, 64)).out_features
        64
    """

    def __init__(
        self,
        in_features: int | Sequence[int],
        hidden: Sequence[int] = (256, 256),
        out_features: int | None = None,
        *,
        activation: ActivationName = "silu",
        dropout: float = 0.0,
        norm: bool = False,
        active_inputs: float | None = None,
    ) -> None:
        shape = (in_features,) if isinstance(in_features, int) else tuple(in_features)
        size = math.prod(check_sizes(shape, "in_features"))
        layers: list[nn.Module] = [] if len(shape) == 1 else [Reshape((size,))]
        layers += dense_layers(
            size,
            hidden,
            activation=activation,
            dropout=dropout,
            norm=norm,
            active_inputs=active_inputs,
        )
        last = hidden[-1] if hidden else size
        if out_features is not None:
            layers.append(started(nn.Linear(last, out_features), gain=1.0))
            last = out_features
        super().__init__(*layers)
        self.out_features = last


class MLPDecoder(nn.Sequential):
    """Dense layers from a latent to one row's parameters; the last layer is linear.

    Arguments:
        latent_dim: Size of the latent.
        output_shape: Shape of one row's output, a likelihood's ``parameter_shape``.
        hidden: Sizes of the hidden layers.
        activation: "silu", "relu" or "leaky_relu".
        dropout: Share of the hidden units dropped in training.
        norm: Whether a layer norm stands before each activation.

    Example:
        >>> import torch
        >>> MLPDecoder(4, (1, 8, 8))(torch.zeros(3, 4)).shape
        torch.Size([3, 1, 8, 8])
    """

    def __init__(
        self,
        latent_dim: int,
        output_shape: Sequence[int],
        hidden: Sequence[int] = (256, 256),
        *,
        activation: ActivationName = "silu",
        dropout: float = 0.0,
        norm: bool = False,
    ) -> None:
        shape = check_sizes(output_shape, "output_shape")
        layers = dense_layers(
            latent_dim,
            hidden,
            activation=activation,
            dropout=dropout,
            norm=norm,
            gain=DECODER_GAIN,
        )
        last = hidden[-1] if hidden else latent_dim
        layers.append(started(nn.Linear(last, math.prod(shape)), OUTPUT_GAIN))
        if len(shape) != 1:
            layers.append(Reshape(shape))
        super().__init__(*layers)
