"""Small transformers for token ids: 0 is padding, rows are ``words..., end, 0, 0``.

Three ways between text and a vector:

- ``TextEncoder``: tokens -> features;
- ``ParallelTextDecoder``: z -> logits of all positions at once, independent given z;
- ``TextContext`` and ``TextStepDecoder``: z -> context, then logits of each token given the
  context and the tokens before it, p(w | z) = prod_t p(w_t | z, w_<t).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from polymodal.distributions.lengths import by_length
from polymodal.networks.attention import ContextNorm, TransformerBlock
from polymodal.networks.mlp import ActivationName, MLPDecoder, check_sizes
from polymodal.networks.weights import OUTPUT_GAIN, started

PADDING = 0


def _vectors(count: int, width: int) -> nn.Parameter:
    """Learned vectors (count, width) of expected length 1."""
    return nn.Parameter(torch.randn(count, width) * width**-0.5)


def _embedding(vocabulary: int, width: int) -> nn.Embedding:
    """A token embedding whose vectors start with expected length 1."""
    embedding = nn.Embedding(vocabulary, width)
    nn.init.normal_(embedding.weight, std=width**-0.5)
    return embedding


class TextEncoder(nn.Module):
    """Tokens (B, T) -> features (B, 2 width): a summary position and the mean of the words.

    The summary position is always there to attend to, so a row of padding only has features too.

    Arguments:
        length: The largest number of tokens T.
        vocabulary: The number of token ids V.
        width: Size of a position.
        layers: The number of transformer blocks.
        heads: The number of attention heads; it must divide the width.
        dropout: Share of attention weights and hidden units dropped in training.
    """

    def __init__(
        self,
        length: int,
        vocabulary: int,
        width: int = 64,
        layers: int = 2,
        heads: int = 4,
        *,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        check_sizes((length, vocabulary, width), "length, vocabulary and width")
        self.length = length
        self.words = _embedding(vocabulary, width)
        self.positions = _vectors(length, width)
        self.summary = _vectors(1, width)
        self.blocks = nn.ModuleList(
            TransformerBlock(width, heads, dropout=dropout) for _ in range(layers)
        )
        self.norm = nn.LayerNorm(width)
        self.out_features = 2 * width

    def forward(self, tokens: Tensor) -> Tensor:
        """Features of each row.

        Arguments:
            tokens: Token ids, int64 (B, T), T at most ``length``; 0 is padding.
        """
        places = torch.arange(1, tokens.shape[1] + 1, device=tokens.device)
        ends = torch.where(tokens != PADDING, places, 0).amax(1) if tokens.numel() else places[:0]
        return by_length(
            ends,
            lambda rows: self._read(
                tokens[rows, : int(ends[rows].amax()) if len(ends) else 0],
            ),
        )

    def _read(self, tokens: Tensor) -> Tensor:
        """As ``forward``; what stands behind the longest text has no say and need not be there."""
        word = tokens != PADDING  # (B, T)
        rows, length = tokens.shape
        h = self.words(tokens) + self.positions[:length]
        h = torch.cat([self.summary.expand(rows, 1, -1), h], 1)  # (B, 1 + T, W)
        attend = torch.cat([word.new_ones(rows, 1), word], 1)
        for block in self.blocks:
            h = block(h, attend=attend)
        h = self.norm(h)
        weight = word.unsqueeze(-1).to(h.dtype)
        mean = (h[:, 1:] * weight).sum(1) / weight.sum(1).clamp_min(1.0)
        return torch.cat([h[:, 0], mean], 1)


class ParallelTextDecoder(nn.Module):
    """z (N, D) -> logits (N, T, V) of all positions at once.

    Arguments:
        latent_dim: Size of the latent D.
        length: The number of tokens T.
        vocabulary: The number of token ids V.
        width: Size of a position.
        layers: The number of transformer blocks.
        heads: The number of attention heads; it must divide the width.
        dropout: Share of attention weights and hidden units dropped in training.
    """

    def __init__(
        self,
        latent_dim: int,
        length: int,
        vocabulary: int,
        width: int = 64,
        layers: int = 2,
        heads: int = 4,
        *,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        check_sizes((length, vocabulary, width), "length, vocabulary and width")
        self.context = MLPDecoder(latent_dim, (2 * width,), hidden=(2 * width,))
        self.positions = _vectors(length, width)
        self.enter = started(nn.Linear(2 * width, width), gain=1.0)
        self.blocks = nn.ModuleList(
            TransformerBlock(width, heads, context_features=2 * width, dropout=dropout)
            for _ in range(layers)
        )
        self.norm = ContextNorm(width, 2 * width)
        self.logits = started(nn.Linear(width, vocabulary), OUTPUT_GAIN)

    def forward(self, z: Tensor) -> Tensor:
        """Unnormalised log-probabilities of each position's token, (N, T, V).

        Arguments:
            z: Latents, (N, D).
        """
        context = self.context(z)
        h = self.positions + self.enter(context).unsqueeze(1)
        for block in self.blocks:
            h = block(h, context)
        return self.logits(self.norm(h, context))


class TextContext(MLPDecoder):
    """z (N, D) -> context (N, F) for a ``TextStepDecoder``.

    Arguments:
        latent_dim: Size of the latent D.
        width: Size of the context F.
        hidden: Sizes of the hidden layers.
        activation: "silu", "relu" or "leaky_relu".
        dropout: Share of the hidden units dropped in training.
    """

    def __init__(
        self,
        latent_dim: int,
        width: int = 128,
        hidden: Sequence[int] = (128,),
        *,
        activation: ActivationName = "silu",
        dropout: float = 0.0,
    ) -> None:
        super().__init__(latent_dim, (width,), hidden, activation=activation, dropout=dropout)
        # Every step reads it: start at the size of a hidden layer, not of an output.
        linear = self[-1]
        if isinstance(linear, nn.Linear):
            started(linear, gain=1.0)


class TextStepDecoder(nn.Module):
    """Context (N, F) and tokens (N, T) -> logits (N, T, V) of each token given those before it.

    The context is added at every position and modulates every norm, so that it is hard to ignore.

    Arguments:
        context_features: Size of the context F.
        length: The largest number of tokens T.
        vocabulary: The number of token ids V.
        width: Size of a position.
        layers: The number of transformer blocks.
        heads: The number of attention heads; it must divide the width.
        dropout: Share of attention weights and hidden units dropped in training.
        word_dropout: Share of the words before that are hidden in training, so that the context is
            needed (Bowman et al. 2016, https://arxiv.org/abs/1511.06349, section 3.2).
    """

    def __init__(
        self,
        context_features: int,
        length: int,
        vocabulary: int,
        width: int = 64,
        layers: int = 2,
        heads: int = 4,
        dropout: float = 0.0,
        *,
        word_dropout: float = 0.0,
    ) -> None:
        super().__init__()
        check_sizes((context_features, length), "context_features and length")
        check_sizes((vocabulary, width), "vocabulary and width")
        if not 0.0 <= word_dropout < 1.0:
            raise ValueError(f"word_dropout must be in [0, 1), got {word_dropout}.")
        self.context_features = context_features
        self.length = length
        self.vocabulary = vocabulary
        self.word_dropout = word_dropout
        self.words = _embedding(vocabulary, width)
        self.positions = _vectors(length, width)
        self.start = _vectors(1, width)
        self.enter = started(nn.Linear(context_features, width), gain=1.0)
        self.blocks = nn.ModuleList(
            TransformerBlock(
                width, heads, causal=True, context_features=context_features, dropout=dropout
            )
            for _ in range(layers)
        )
        self.norm = ContextNorm(width, context_features)
        self.logits = started(nn.Linear(width, vocabulary), OUTPUT_GAIN)

    def forward(self, context: Tensor, tokens: Tensor) -> Tensor:
        """Unnormalised log-probabilities (N, T, V); those at t depend on tokens[:, :t] only.

        Arguments:
            context: Contexts, (N, F).
            tokens: Token ids, int64 (N, T), T at most ``length``. The last one is not read.
        """
        return self.logits(self.features(context, tokens))

    def features(self, context: Tensor, tokens: Tensor) -> Tensor:
        """What ``logits`` turns into logits at each position, (N, T, W); as ``forward``.

        Where only some positions are scored, the logits of the others need not be made.
        """
        rows, length = tokens.shape
        if length > self.length:
            raise ValueError(
                f"TextStepDecoder was made for at most {self.length} tokens, got {length}. "
                "Cut the text or make it with a larger length."
            )
        before = self.words(tokens[:, :-1])
        if self.training and self.word_dropout:
            kept = torch.rand(before.shape[:2], device=before.device) >= self.word_dropout
            before = torch.where(kept.unsqueeze(-1), before, 0.0)
        h = torch.cat([self.start.expand(rows, 1, -1), before], 1)[:, :length]
        h = h + self.positions[:length] + self.enter(context).unsqueeze(1)
        for block in self.blocks:
            h = block(h, context)
        return self.norm(h, context)

    def begin(self, context: Tensor) -> TextState:
        """The state before the first token of texts with these contexts, (N, F)."""
        return TextState(context, 0, (None,) * len(self.blocks))

    def advance(self, state: TextState, token: Tensor | None) -> tuple[Tensor, TextState]:
        """Logits of the next token, (N, V), and the state behind it, without a second reading.

        In evaluation mode they are those that ``forward`` gives at that position.

        Arguments:
            state: What was read so far.
            token: The token before, int64 (N,); None at the start.
        """
        place, context = state.place, state.context
        if place >= self.length:
            raise ValueError(f"TextStepDecoder was made for at most {self.length} tokens.")
        rows = len(context)
        before = self.start.expand(rows, -1) if token is None else self.words(token)
        h = (before + self.positions[place] + self.enter(context)).unsqueeze(1)
        known = []
        for block, past in zip(self.blocks, state.known, strict=True):
            h, own = block.advance(h, context, past)  # type: ignore[operator]
            known.append(own)
        logits = self.logits(self.norm(h, context))[:, 0]
        return logits, TextState(context, place + 1, tuple(known))


@dataclass(frozen=True)
class TextState:
    """What a ``TextStepDecoder`` has read of N texts.

    Arguments:
        context: Contexts, (N, F).
        place: How many tokens.
        known: Keys and values of each block, (N, 2, heads, place, W / heads); None at the start.
    """

    context: Tensor
    place: int
    known: tuple[Tensor | None, ...]

    def select(self, index: Tensor) -> TextState:
        """The state of other texts: the n-th one is what the index[n]-th was, index (N',)."""
        known = tuple(None if one is None else one[index] for one in self.known)
        return TextState(self.context[index], self.place, known)
