"""Texts as rows of token ids: ``words..., end, padding...``.

``log p(x) = sum over positions up to the end token of log p(x_t | ...)``. Padding and the
start token have probability zero and padding is not scored, so the texts of at most T tokens sum
to one.
"""

from __future__ import annotations

import abc
from typing import Any, ClassVar

import torch
from torch import Size, Tensor, nn
from torch.nn import functional

from polymodal.distributions.decoding import Decoding
from polymodal.distributions.factorised import draw_codes
from polymodal.distributions.lengths import by_length
from polymodal.distributions.observed import Observed
from polymodal.distributions.special_tokens import END, FIRST, PAD, UNKNOWN
from polymodal.distributions.writing import Writer, wanted, write

_LARGEST = 2**24  # numbers of one step of a beam


def end_texts(tokens: Tensor) -> Tensor:
    """Padding from after the first end token on, ``(..., T) -> (..., T)``."""
    end = (tokens == END).long()
    return torch.where(end.cumsum(-1) - end > 0, PAD, tokens)


def likeliest(weights: Tensor, never_empty: bool) -> Tensor:
    """The known token of most weight at each position, ended, ``(..., T, V) -> (..., T)``."""
    words = wanted(weights[..., FIRST:])
    if never_empty:
        words = torch.cat([wanted(words[..., :1, :], end=False), words[..., 1:, :]], -2)
    return end_texts(words.argmax(-1) + FIRST)


def score_tokens(logits: Tensor, tokens: Tensor) -> Tensor:
    """Log-probability of texts in nats, ``(..., T, V), (..., T) -> (...)``."""
    shape = torch.broadcast_shapes(logits.shape[:-1], tokens.shape)
    logits = logits.expand(*shape, logits.shape[-1])[..., FIRST:]  # (..., T, V - 2)
    target = torch.where(tokens == PAD, -1, tokens - FIRST).expand(shape)
    loss = functional.cross_entropy(
        logits.reshape(-1, logits.shape[-1]), target.reshape(-1), ignore_index=-1, reduction="none"
    )
    return -loss.reshape(shape).sum(-1)


class TextObserved(Observed):
    """A distribution over texts that can be written in more than one way.

    Scores and samples are of the distribution as it is. The mode and what is written hold no
    unknown token, unless nothing else is possible.

    Arguments:
        never_empty: Whether the mode and what is written have one token at least.
    """

    never_empty: bool = False

    @torch.no_grad()
    def write(self, decoding: Decoding) -> Tensor:
        """One text a row, ``(..., B, T)``.

        Arguments:
            decoding: How its tokens are chosen.
        """
        return self._write(decoding, unknown=False)

    def _write(self, decoding: Decoding, *, unknown: bool) -> Tensor:
        (length,) = self.event_shape
        told = self._told()
        copies = decoding.width if decoding.method == "beam" else 1
        rows = max(1, _LARGEST // (copies * self._vocabulary()))
        parts = [
            write(
                self._writer(some),
                len(some),
                length,
                decoding,
                some.device,
                never_empty=self.never_empty,
                unknown=unknown,
            )
            for some in told.split(rows)
        ]
        tokens = torch.cat(parts) if parts else told.new_zeros((0, length), dtype=torch.int64)
        return tokens.reshape(*self.batch_shape, length)

    @abc.abstractmethod
    def _told(self) -> Tensor:
        """What the writer is told of each text, the batch folded, ``(N, ...)``."""

    @abc.abstractmethod
    def _vocabulary(self) -> int:
        """How many ids a step is about, at least."""

    @abc.abstractmethod
    def _writer(self, told: Tensor) -> Writer: ...


class TokenObserved(TextObserved):
    """Texts whose positions are independent given z, until the end token.

    Arguments:
        logits: ``(..., B, T, V)``.
        never_empty: Whether the mode and what is written have one token at least.
    """

    def __init__(self, logits: Tensor, never_empty: bool = False) -> None:
        self.logits, self.never_empty = logits, never_empty
        super().__init__(logits.shape[:-2], tuple(logits.shape[-2:-1]))

    @property
    def log_probs(self) -> Tensor:
        """Log-probabilities of the tokens of each position in nats, ``(..., B, T, V)``."""
        words = self.logits[..., FIRST:].log_softmax(-1)
        return functional.pad(words, (FIRST, 0), value=-torch.inf)

    @property
    def mode(self) -> Tensor:
        """The most likely token of each position, ended, ``(..., B, T)``."""
        return likeliest(self.logits, self.never_empty)

    @property
    def statistics(self) -> Tensor:
        """The probabilities of each position, flat, ``(..., B, T V)``."""
        return self.log_probs.exp().flatten(-2)

    def _log_prob(self, value: Tensor, cells: Tensor | None) -> Tensor:
        return score_tokens(self.logits, value)

    def _draw(self, sample_shape: Size) -> Tensor:
        return end_texts(draw_codes(self.log_probs, sample_shape))

    def _told(self) -> Tensor:
        return self.logits.reshape(-1, *self.logits.shape[-2:])

    def _vocabulary(self) -> int:
        return self.logits.shape[-1] * self.logits.shape[-2]

    def _writer(self, told: Tensor) -> Writer:
        return _Known(told)


class AutoregressiveObserved(TextObserved):
    """Texts written token by token: position t is drawn given z and the tokens before it.

    Arguments:
        context: What the step network is told of z, ``(..., B, F)``.
        step: Network ``(context (N, F), tokens (N, T)) -> logits (N, T, V)`` whose logits at
            position t depend on the tokens before t only.
        length: Largest number of tokens T.
        dropout: Share of the tokens shown to the network that are replaced by the unknown token;
            what is scored stays as it is.
        never_empty: Whether the mode and what is written have one token at least.
    """

    averages: ClassVar[bool] = False

    def __init__(
        self,
        context: Tensor,
        step: nn.Module,
        length: int,
        dropout: float = 0.0,
        never_empty: bool = False,
    ) -> None:
        self.context, self.step, self.dropout = context, step, dropout
        self.never_empty = never_empty
        super().__init__(context.shape[:-1], (length,))

    @property
    def mode(self) -> Tensor:
        """The text got by taking the most likely token at each step, ``(..., B, T)``."""
        return self.write(Decoding("greedy"))

    @property
    def statistics(self) -> Tensor:
        """The mode as floats, ``(..., B, T)``: not to be averaged over z."""
        return self.mode.to(self.context.dtype)

    def _log_prob(self, value: Tensor, cells: Tensor | None) -> Tensor:
        shape = torch.broadcast_shapes(self.batch_shape, value.shape[:-1])
        context = self.context.expand(*shape, -1).reshape(-1, self.context.shape[-1])
        tokens = value.expand(*shape, -1).reshape(-1, value.shape[-1])  # (N, T)
        shown = tokens
        if self.dropout > 0:
            drop = torch.rand(tokens.shape, device=tokens.device) < self.dropout
            shown = torch.where(drop & (tokens != PAD), UNKNOWN, tokens)
        return self._score(context, shown, tokens).reshape(shape)

    def _score(self, context: Tensor, shown: Tensor, tokens: Tensor) -> Tensor:
        """Log-probability of each text in nats, (N,)."""
        n_tokens = (tokens != PAD).sum(1)
        return by_length(
            n_tokens,
            lambda rows: self._score_group(
                context[rows], shown[rows], tokens[rows], n_tokens[rows]
            ),
        )

    def _score_group(
        self, context: Tensor, shown: Tensor, tokens: Tensor, n_tokens: Tensor
    ) -> Tensor:
        """As ``_score``, without what stands behind the end of the longest text."""
        longest = int(n_tokens.amax()) if len(tokens) else 0
        # few different lengths, so that little memory is asked for anew
        longest = min(tokens.shape[1], max(8, -(-longest // 8) * 8))
        shown, tokens = shown[:, :longest], tokens[:, :longest]
        step: Any = self.step
        if not hasattr(step, "features"):
            return score_tokens(step(context, shown).to(self.context.dtype), tokens)
        real = tokens != PAD
        logits = step.logits(step.features(context, shown)[real]).to(self.context.dtype)
        loss = functional.cross_entropy(logits[:, FIRST:], tokens[real] - FIRST, reduction="none")
        return torch.zeros_like(tokens, dtype=loss.dtype).masked_scatter(real, -loss).sum(1)

    def _draw(self, sample_shape: Size) -> Tensor:
        context = self.context.expand(*sample_shape, *self.context.shape)
        many = AutoregressiveObserved(context, self.step, self.event_shape[0])
        return many._write(Decoding("sample"), unknown=True)

    def _told(self) -> Tensor:
        return self.context.reshape(-1, self.context.shape[-1])  # (N, F)

    def _vocabulary(self) -> int:
        return int(getattr(self.step, "vocabulary", 1000))

    def _writer(self, told: Tensor) -> Writer:
        return _Going(told, self.step) if hasattr(self.step, "advance") else _Anew(told, self.step)


class _Known:
    """All positions' logits ``(N, T, V)`` are known beforehand."""

    def __init__(self, logits: Tensor) -> None:
        self.logits = logits

    def next(self, tokens: Tensor) -> Tensor:
        return self.logits[:, tokens.shape[1]]

    def select(self, index: Tensor) -> None:
        self.logits = self.logits[index]


class _Anew:
    """A step network that reads the whole text at every step."""

    def __init__(self, context: Tensor, step: nn.Module) -> None:
        self.context, self.step = context, step

    def next(self, tokens: Tensor) -> Tensor:
        # the token that is asked for is not read
        tokens = functional.pad(tokens, (0, 1), value=PAD)
        return self.step(self.context, tokens)[:, -1].to(self.context.dtype)

    def select(self, index: Tensor) -> None:
        self.context = self.context[index]


class _Going:
    """A step network that keeps what it has read, by ``begin`` and ``advance``."""

    def __init__(self, context: Tensor, step: Any) -> None:  # noqa: ANN401
        self.step, self.state, self.dtype = step, step.begin(context), context.dtype

    def next(self, tokens: Tensor) -> Tensor:
        last = tokens[:, -1] if tokens.shape[1] else None
        logits, self.state = self.step.advance(self.state, last)
        return logits.to(self.dtype)

    def select(self, index: Tensor) -> None:
        self.state = self.state.select(index)
