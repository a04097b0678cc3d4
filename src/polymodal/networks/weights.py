"""Where weights start: variance kept from layer to layer (He et al. 2015, https://arxiv.org/abs/1502.01852).

A weight is uniform with standard deviation gain / sqrt(n), n being how many inputs one output
sums over; biases start at 0.
"""

from __future__ import annotations

import math
from typing import TypeVar

import torch
from torch import nn

HIDDEN_GAIN = math.sqrt(2.0)
"""For a layer that a ReLU or SiLU follows."""
DECODER_GAIN = 0.4
"""For the hidden layers of plain dense and convolutional decoders: they then learn features, and
do not make do with those that they happened to start with. On five pictures of one digit (15
epochs; conditional coherence given one and given four) `polymodal` without private latents ended
at .50 and .67 with this gain, at .46 and .65 with .14; `mopoe` at .41 and .49 with sqrt(2), at .49
and .59 with torch's own, smaller start. Encoders that start smaller end lower."""
OUTPUT_GAIN = 0.5
"""For the last layer of a decoder: an untrained likelihood is nearly the same for every z."""

Layer = TypeVar("Layer", nn.Linear, nn.Conv1d, nn.Conv2d, nn.ConvTranspose1d, nn.ConvTranspose2d)


def inputs_of_one_output(
    layer: nn.Linear | nn.Conv1d | nn.Conv2d | nn.ConvTranspose1d | nn.ConvTranspose2d,
) -> float:
    """How many inputs one output sums over."""
    if isinstance(layer, nn.Linear):
        return layer.in_features
    taps = math.prod(layer.kernel_size)
    if isinstance(layer, nn.ConvTranspose1d | nn.ConvTranspose2d):
        # A stride of s spreads the taps over s x s output pixels, which torch's own
        # initialisers do not know: they would start these layers far too small or too large.
        taps /= math.prod(layer.stride)
    return layer.in_channels * taps / layer.groups


def started(layer: Layer, gain: float = HIDDEN_GAIN, *, inputs: float | None = None) -> Layer:
    """The layer, with fresh weights drawn in place from torch's current random state.

    Arguments:
        layer: A linear, convolutional or transposed convolutional layer.
        gain: Standard deviation of an output whose inputs have mean square 1.
        inputs: How many inputs are active at once, if that is not all of them (one-hot codes).
    """
    active = max(inputs_of_one_output(layer) if inputs is None else inputs, 1.0)
    bound = gain * math.sqrt(3.0 / active)
    with torch.no_grad():
        layer.weight.uniform_(-bound, bound)
        if layer.bias is not None:
            layer.bias.zero_()
    return layer
