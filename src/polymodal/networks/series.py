r"""Series with holes: strided convolutions over time, or a gated recurrent network.

Both read each time's values, 0 where absent, and which of them are there; series come and go flat,
(N, channels x times). A convolution of width 4, stride 2 and padding 1 takes a length n to
floor(n / 2); its transpose takes it back, the odd time as output padding.

References:
    Learning Phrase Representations using RNN Encoder-Decoder. Cho et al., 2014,
    https://arxiv.org/abs/1406.1078 (the gated recurrent unit)
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from polymodal.networks.mlp import MLPEncoder, Reshape, check_sizes, dense_layers
from polymodal.networks.weights import OUTPUT_GAIN, started


def default_channels(times: int, base: int = 32, top: int = 128) -> tuple[int, ...]:
    """Channels of each level that halves the length, while it has at least 8 times; they double.

    Example:
        >>> default_channels(7), default_channels(20), default_channels(100)
        ((), (32, 64), (32, 64, 128, 128))
    """
    levels = max(0, times.bit_length() - 3)
    return tuple(min(base << level, top) for level in range(levels))


def _read(x: Tensor, cells: Tensor, size: tuple[int, int], counts: bool) -> Tensor:
    """Values and presence as channels, ``(B, 2 C, T)``; logarithms of counts."""
    values = torch.where(cells, x, 0.0)
    values = values.clamp(min=0).log1p() if counts else values
    both = torch.stack([values, cells.to(values.dtype)], 1)
    return both.reshape(len(x), 2 * size[0], size[1])


class SeriesEncoder(nn.Module):
    """Strided convolutions over time, then dense layers: (B, C T) and cells -> (B, F).

    Arguments:
        size: Channels C and times T.
        counts: Whether values are counts, which are read as log(1 + x).
        channels: Channels after each level; None chooses them by the length.
        hidden: Sizes of the dense layers.
        dropout: Share of the dense units dropped in training.
    """

    def __init__(
        self,
        size: tuple[int, int],
        *,
        counts: bool = False,
        channels: Sequence[int] | None = None,
        hidden: Sequence[int] = (256,),
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        n_channels, length = check_sizes(size, "size")
        self.size, self.counts = (n_channels, length), counts
        chosen = default_channels(length) if channels is None else channels
        layers: list[nn.Module] = []
        last = 2 * n_channels
        for width in check_sizes(chosen, "channels"):
            layers += [started(nn.Conv1d(last, width, 4, 2, 1)), nn.SiLU()]
            last, length = width, length // 2
        if length < 1:
            raise ValueError(f"{len(chosen)} levels halve {size[1]} times to nothing.")
        dense = MLPEncoder((last, length), hidden, dropout=dropout)
        self.layers = nn.Sequential(*layers, *dense)
        self.out_features = dense.out_features

    def forward(self, x: Tensor, cells: Tensor) -> Tensor:
        """Features of each row; values may be anything, NaN too, where the cell is absent."""
        return self.layers(_read(x, cells, self.size, self.counts))


class SeriesDecoder(nn.Sequential):
    """Dense layers, then transposed convolutions over time: (N, D) -> (N, C T).

    Arguments:
        latent_dim: Size of the latent.
        size: Channels C and times T.
        channels: Channels of each level, from the finest to the coarsest; None chooses them.
        hidden: Sizes of dense layers before the one that makes the coarsest level.
    """

    def __init__(
        self,
        latent_dim: int,
        size: tuple[int, int],
        channels: Sequence[int] | None = None,
        hidden: Sequence[int] = (256,),
    ) -> None:
        n_channels, times = check_sizes(size, "size")
        widths = check_sizes(default_channels(times) if channels is None else channels, "channels")
        lengths = [times >> level for level in range(len(widths) + 1)]
        if lengths[-1] < 1:
            raise ValueError(f"{len(widths)} levels halve {times} times to nothing.")
        if not widths:
            layers = dense_layers(latent_dim, hidden)
            last = hidden[-1] if hidden else latent_dim
            super().__init__(*layers, started(nn.Linear(last, n_channels * times), OUTPUT_GAIN))
            return
        flat = (widths[-1], lengths[-1])
        layers = [*dense_layers(latent_dim, (*hidden, math.prod(flat))), Reshape(flat)]
        for level in range(len(widths) - 1, -1, -1):
            wide = widths[level - 1] if level else n_channels
            double = nn.ConvTranspose1d(
                widths[level], wide, 4, 2, 1, output_padding=lengths[level] % 2
            )
            layers.append(started(double) if level else started(double, OUTPUT_GAIN))
            layers += [nn.SiLU()] if level else []
        super().__init__(*layers, Reshape((n_channels * times,)))


class RecurrentEncoder(nn.Module):
    """A gated recurrent network in both directions: (B, C T) and cells -> (B, F).

    Arguments:
        size: Channels C and times T.
        counts: Whether values are counts, which are read as log(1 + x).
        width: Units of each direction.
        hidden: Sizes of dense layers after it.
        dropout: Share of the dense units dropped in training.
    """

    def __init__(
        self,
        size: tuple[int, int],
        *,
        counts: bool = False,
        width: int = 64,
        hidden: Sequence[int] = (256,),
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        n_channels, times = check_sizes(size, "size")
        self.size, self.counts = (n_channels, times), counts
        self.recurrent = nn.GRU(2 * n_channels, width, batch_first=True, bidirectional=True)
        self.dense = MLPEncoder(2 * width, hidden, dropout=dropout)
        self.out_features = self.dense.out_features

    def forward(self, x: Tensor, cells: Tensor) -> Tensor:
        """Features of each row; values may be anything, NaN too, where the cell is absent."""
        steps = _read(x, cells, self.size, self.counts).transpose(1, 2)
        if not len(steps):
            return self.dense(steps.new_zeros(0, 2 * self.recurrent.hidden_size))
        # the mean over times, as the last state of a long series has forgotten its beginning
        return self.dense(self.recurrent(steps)[0].mean(1))


class RecurrentDecoder(nn.Module):
    """A gated recurrent network that the latent starts and feeds: (N, D) -> (N, C T).

    Arguments:
        latent_dim: Size of the latent.
        size: Channels C and times T.
        width: Units.
        clocks: Learned numbers that tell each time from the others.
    """

    def __init__(
        self, latent_dim: int, size: tuple[int, int], width: int = 64, clocks: int = 8
    ) -> None:
        super().__init__()
        self.size = check_sizes(size, "size")
        self.clock = nn.Parameter(torch.randn(self.size[1], clocks))
        self.start = started(nn.Linear(latent_dim, width), 1.0)
        self.feed = started(nn.Linear(latent_dim, width), 1.0)
        self.recurrent = nn.GRU(width + clocks, width, batch_first=True)
        self.out = started(nn.Linear(width, self.size[0]), OUTPUT_GAIN)

    def forward(self, z: Tensor) -> Tensor:
        """The parameters of every channel and time."""
        n_rows, times = len(z), self.size[1]
        if not n_rows:
            return z.new_zeros(0, self.size[0] * times)
        fed = self.feed(z)[:, None].expand(-1, times, -1)
        clock = self.clock.to(fed.dtype).expand(n_rows, -1, -1)
        states, _ = self.recurrent(torch.cat([fed, clock], 2), self.start(z).tanh()[None])
        return self.out(states).transpose(1, 2).reshape(n_rows, -1)
