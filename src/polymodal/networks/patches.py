r"""Every modality as tokens, and its parameters back from tokens.

An image becomes patches, a vector chunks, a table one token a column, a text one a word, a lone
code one. Each class embeds what is there of a modality, says which tokens there are, which cells
of the value belong to given tokens, and lays the parameters out that a likelihood wants:

    embed(x, there)     values and cells -> tokens (B, T, W); cells that are not there read as 0
    cells(tokens)       bool (B, T) -> bool (B, *value shape)
    parameters(h)       tokens (N, T, W) -> (N, *parameter shape)

References:
    Alexey Dosovitskiy et al. An image is worth 16x16 words. 2021.
    https://arxiv.org/abs/2010.11929, section 3.1.
"""

from __future__ import annotations

import abc
import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from polymodal.networks.weights import OUTPUT_GAIN, started
from polymodal.typing import as_cells

PADDING = 0


def patchify(x: Tensor, size: int) -> Tensor:
    """Images ``(N, C, H, W)`` -> patches ``(N, T, C size^2)``, padded with zeros to whole ones."""
    height, width = x.shape[-2:]
    x = functional.pad(x, (0, -width % size, 0, -height % size))
    x = x.unfold(2, size, size).unfold(3, size, size)  # (N, C, rows, columns, size, size)
    return x.permute(0, 2, 3, 1, 4, 5).flatten(3).flatten(1, 2)


def unpatchify(patches: Tensor, shape: tuple[int, int, int], size: int) -> Tensor:
    """The inverse: patches ``(N, T, C size^2)`` -> images ``(N, *shape)``."""
    channels, height, width = shape
    rows, columns = math.ceil(height / size), math.ceil(width / size)
    x = patches.reshape(len(patches), rows, columns, channels, size, size)
    x = x.permute(0, 3, 1, 4, 2, 5).reshape(len(x), channels, rows * size, columns * size)
    return x[..., :height, :width]


class Tokens(nn.Module, abc.ABC):
    """What the kinds share: a type and a position for each token.

    Arguments:
        n_tokens: The number of tokens T.
        value_shape: Shape of one row's value.
        width: Size W of a token.
    """

    def __init__(self, n_tokens: int, value_shape: Sequence[int], width: int) -> None:
        super().__init__()
        self.n_tokens, self.value_shape, self.width = n_tokens, tuple(value_shape), width
        self.positions = nn.Parameter(torch.randn(n_tokens, width) * width**-0.5)
        self.kind = nn.Parameter(torch.randn(width) * width**-0.5)

    def there(self, x: Tensor, mask: Tensor) -> Tensor:
        """Which cells there are, bool ``(B, *value shape)``, from a mask of rows or of cells."""
        return as_cells(mask, x)

    def embed(self, x: Tensor, there: Tensor) -> Tensor:
        """Tokens ``(B, T, W)`` with type and position."""
        zero = torch.zeros((), dtype=x.dtype, device=x.device)
        return self._embed(torch.where(there, x, zero), there) + self.positions + self.kind

    @abc.abstractmethod
    def tokens(self, there: Tensor) -> Tensor:
        """Which tokens have any cell, bool ``(B, *value shape) -> (B, T)``."""

    @abc.abstractmethod
    def cells(self, tokens: Tensor) -> Tensor:
        """Which cells belong to given tokens, bool ``(B, T) -> (B, *value shape)``."""

    @abc.abstractmethod
    def parameters_of(self, h: Tensor) -> Tensor:
        """What the likelihood wants, ``(N, T, W) -> (N, *parameter shape)``."""

    @abc.abstractmethod
    def _embed(self, x: Tensor, there: Tensor) -> Tensor: ...


class PatchTokens(Tokens):
    """An image's square patches.

    Arguments:
        shape: ``(C, H, W)``.
        parameter_shape: ``(C', H, W)`` or with more axes before the last two.
        width: Size of a token.
        size: Side of a patch; 0 makes about seven a side.
    """

    def __init__(
        self, shape: Sequence[int], parameter_shape: Sequence[int], width: int, size: int = 0
    ) -> None:
        channels, height, wide = shape
        self_size = size or math.ceil(max(height, wide) / 7)
        super().__init__(math.ceil(height / self_size) * math.ceil(wide / self_size), shape, width)
        self.size, self.parameter_shape = self_size, tuple(parameter_shape)
        self.channels = (channels, math.prod(parameter_shape[:-2]))
        area = self_size**2
        self.enter = started(nn.Linear(channels * area, width), gain=1.0)
        self.leave = started(nn.Linear(width, self.channels[1] * area), OUTPUT_GAIN)

    def tokens(self, there: Tensor) -> Tensor:
        return patchify(there.float(), self.size).amax(-1) > 0

    def cells(self, tokens: Tensor) -> Tensor:
        each = tokens.float().unsqueeze(-1).expand(*tokens.shape, self.channels[0] * self.size**2)
        channels, height, width = self.value_shape
        return unpatchify(each, (channels, height, width), self.size) > 0

    def parameters_of(self, h: Tensor) -> Tensor:
        height, width = self.value_shape[-2:]
        out = unpatchify(self.leave(h), (self.channels[1], height, width), self.size)
        return out.reshape(len(h), *self.parameter_shape)

    def _embed(self, x: Tensor, there: Tensor) -> Tensor:
        return self.enter(patchify(x, self.size))


class ChunkTokens(Tokens):
    """Neighbouring numbers of a vector, and which of them are there.

    Arguments:
        shape: Shape of one value; it is flattened.
        parameter_shape: Shape of its parameters: as many numbers a value for every value.
        width: Size of a token.
        counts: Whether the values are counts, which are read as logarithms.
        most: Largest number of chunks.
    """

    def __init__(
        self,
        shape: Sequence[int],
        parameter_shape: Sequence[int],
        width: int,
        *,
        counts: bool = False,
        most: int = 16,
    ) -> None:
        features = math.prod(shape)
        size = math.ceil(features / most)
        super().__init__(math.ceil(features / size), shape, width)
        self.features, self.size, self.counts = features, size, counts
        self.parameter_shape = tuple(parameter_shape)
        self.each, rest = divmod(math.prod(parameter_shape), features)
        if rest:
            raise ValueError(
                f"ChunkTokens: {features} values must have as many parameters each, "
                f"got the shape {self.parameter_shape}."
            )
        self.enter = nn.Parameter(_started(self.n_tokens, 2 * size, width))
        self.leave = nn.Parameter(_started(self.n_tokens, width, self.each * size, OUTPUT_GAIN))
        self.bias = nn.Parameter(torch.zeros(self.n_tokens, self.each * size))

    def tokens(self, there: Tensor) -> Tensor:
        return self._chunks(there.flatten(1)).any(-1)

    def cells(self, tokens: Tensor) -> Tensor:
        flat = tokens.repeat_interleave(self.size, 1)[:, : self.features]
        return flat.reshape(len(tokens), *self.value_shape)

    def parameters_of(self, h: Tensor) -> Tensor:
        out = torch.einsum("ntw,twp->ntp", h, self.leave) + self.bias
        out = out.unflatten(-1, (self.each, self.size)).transpose(1, 2).flatten(2)
        return out[..., : self.features].reshape(len(h), *self.parameter_shape)

    def _embed(self, x: Tensor, there: Tensor) -> Tensor:
        x = x.flatten(1)
        if self.counts:
            x = torch.log1p(x.clamp_min(0.0)) / 3.0
        read = torch.cat([self._chunks(x), self._chunks(there.flatten(1).to(x.dtype))], -1)
        return torch.einsum("ntp,tpw->ntw", read, self.enter)

    def _chunks(self, x: Tensor) -> Tensor:
        """``(B, P) -> (B, T, size)``, the last chunk filled up with zeros."""
        missing = self.n_tokens * self.size - self.features
        return functional.pad(x, (0, missing)).unflatten(-1, (self.n_tokens, self.size))


class WordTokens(Tokens):
    """A text's words; padding is no token.

    Arguments:
        length: The largest number of tokens T.
        vocabulary: The number of token ids V.
        width: Size of a token.
    """

    def __init__(self, length: int, vocabulary: int, width: int) -> None:
        super().__init__(length, (length,), width)
        self.words = nn.Parameter(torch.randn(vocabulary, width) * width**-0.5)
        self.leave = started(nn.Linear(width, vocabulary), OUTPUT_GAIN)

    def there(self, x: Tensor, mask: Tensor) -> Tensor:
        return super().there(x, mask) & (x != PADDING)

    def tokens(self, there: Tensor) -> Tensor:
        return there

    def cells(self, tokens: Tensor) -> Tensor:
        return tokens

    def parameters_of(self, h: Tensor) -> Tensor:
        return self.leave(h)

    def _embed(self, x: Tensor, there: Tensor) -> Tensor:
        return functional.embedding(x, self.words)


class CodeToken(Tokens):
    """A lone category or grade as one token.

    Arguments:
        levels: How many codes there are.
        n_parameters: How many parameters its likelihood has.
        width: Size of the token.
    """

    def __init__(self, levels: int, n_parameters: int, width: int) -> None:
        super().__init__(1, (), width)
        self.codes = nn.Parameter(torch.randn(levels, width))
        self.leave = started(nn.Linear(width, n_parameters), OUTPUT_GAIN)

    def tokens(self, there: Tensor) -> Tensor:
        return there.unsqueeze(-1)

    def cells(self, tokens: Tensor) -> Tensor:
        return tokens[:, 0]

    def parameters_of(self, h: Tensor) -> Tensor:
        return self.leave(h[:, 0])

    def _embed(self, x: Tensor, there: Tensor) -> Tensor:
        return functional.embedding(x.long(), self.codes).unsqueeze(1)


def _started(n: int, inputs: int, outputs: int, gain: float = 1.0) -> Tensor:
    """A linear map for each of n tokens, started as a layer of so many inputs."""
    bound = gain * math.sqrt(3.0 / inputs)
    return (2 * torch.rand(n, inputs, outputs) - 1) * bound
