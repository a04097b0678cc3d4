"""Texts as rows of token ids: ``words..., end, padding...``.

``log p(x) = sum over positions up to the end token of log p(x_t | ...)``. Padding and the
start token have probability zero and padding is not scored, so the texts of at most T tokens sum
to one.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Size, Tensor, nn
from torch.nn import functional

from polymodal.distributions.factorised import draw_codes
from polymodal.distributions.observed import Observed

PAD, START, END, UNKNOWN = 0, 1, 2, 3
_FIRST = END  # ids below it are never drawn


def end_texts(tokens: Tensor) -> Tensor:
    """Padding from after the first end token on, ``(..., T) -> (..., T)``."""
    end = (tokens == END).long()
    return torch.where(end.cumsum(-1) - end > 0, PAD, tokens)


def score_tokens(logits: Tensor, tokens: Tensor) -> Tensor:
    """Log-probability of texts in nats, ``(..., T, V), (..., T) -> (...)``."""
    shape = torch.broadcast_shapes(logits.shape[:-1], tokens.shape)
    logits = logits.expand(*shape, logits.shape[-1])[..., _FIRST:]  # (..., T, V - 2)
    target = torch.where(tokens == PAD, -1, tokens - _FIRST).expand(shape)
    loss = functional.cross_entropy(
        logits.reshape(-1, logits.shape[-1]), target.reshape(-1), ignore_index=-1, reduction="none"
    )
    return -loss.reshape(shape).sum(-1)


class TokenObserved(Observed):
    """Texts whose positions are independent given z, until the end token.

    Arguments:
        logits: ``(..., B, T, V)``.
    """

    def __init__(self, logits: Tensor) -> None:
        self.logits = logits
        super().__init__(logits.shape[:-2], tuple(logits.shape[-2:-1]))

    @property
    def log_probs(self) -> Tensor:
        """Log-probabilities of the tokens of each position in nats, ``(..., B, T, V)``."""
        words = self.logits[..., _FIRST:].log_softmax(-1)
        return functional.pad(words, (_FIRST, 0), value=-torch.inf)

    @property
    def mode(self) -> Tensor:
        """The most likely token of each position, ended, ``(..., B, T)``."""
        return end_texts(self.logits[..., _FIRST:].argmax(-1) + _FIRST)

    @property
    def statistics(self) -> Tensor:
        """The probabilities of each position, flat, ``(..., B, T V)``."""
        return self.log_probs.exp().flatten(-2)

    def _log_prob(self, value: Tensor, cells: Tensor | None) -> Tensor:
        return score_tokens(self.logits, value)

    def _draw(self, sample_shape: Size) -> Tensor:
        return end_texts(draw_codes(self.log_probs, sample_shape))


class AutoregressiveObserved(Observed):
    """Texts written token by token: position t is drawn given z and the tokens before it.

    Arguments:
        context: What the step network is told of z, ``(..., B, F)``.
        step: Network ``(context (N, F), tokens (N, T)) -> logits (N, T, V)`` whose logits at
            position t depend on the tokens before t only.
        length: Largest number of tokens T.
        dropout: Share of the tokens shown to the network that are replaced by the unknown token;
            what is scored stays as it is.
    """

    averages: ClassVar[bool] = False

    def __init__(
        self, context: Tensor, step: nn.Module, length: int, dropout: float = 0.0
    ) -> None:
        self.context, self.step, self.dropout = context, step, dropout
        super().__init__(context.shape[:-1], (length,))

    @property
    def mode(self) -> Tensor:
        """The text got by taking the most likely token at each step, ``(..., B, T)``."""
        with torch.no_grad():
            tokens = self._write(self._folded(), greedy=True)
        return tokens.reshape(*self.batch_shape, *self.event_shape)

    @property
    def statistics(self) -> Tensor:
        """The mode as floats, ``(..., B, T)``: not to be averaged over z."""
        return self.mode.to(self.context.dtype)

    def _folded(self) -> Tensor:
        return self.context.reshape(-1, self.context.shape[-1])  # (N, F)

    def _log_prob(self, value: Tensor, cells: Tensor | None) -> Tensor:
        shape = torch.broadcast_shapes(self.batch_shape, value.shape[:-1])
        context = self.context.expand(*shape, -1).reshape(-1, self.context.shape[-1])
        tokens = value.expand(*shape, -1).reshape(-1, value.shape[-1])  # (N, T)
        shown = tokens
        if self.dropout > 0:
            drop = torch.rand(tokens.shape, device=tokens.device) < self.dropout
            shown = torch.where(drop & (tokens != PAD), UNKNOWN, tokens)
        logits = self.step(context, shown)
        return score_tokens(logits.to(self.context.dtype), tokens).reshape(shape)

    def _draw(self, sample_shape: Size) -> Tensor:
        n = sample_shape.numel()
        context = self._folded().repeat(n, 1)  # (n N, F)
        tokens = self._write(context, greedy=False)
        return tokens.reshape(*sample_shape, *self.batch_shape, *self.event_shape)

    def _write(self, context: Tensor, *, greedy: bool) -> Tensor:
        """One text for each row of a context, ``(N, F) -> (N, T)``."""
        (length,) = self.event_shape
        tokens = torch.full((len(context), length), PAD, device=context.device)
        going = torch.ones(len(context), dtype=torch.bool, device=context.device)
        for t in range(length):
            logits = self.step(context, tokens[:, : t + 1])[:, t, _FIRST:].to(context.dtype)
            if greedy:
                token = logits.argmax(-1)
            else:
                token = draw_codes(logits.log_softmax(-1), Size(()))
            tokens[:, t] = torch.where(going, token + _FIRST, PAD)
            going = going & (tokens[:, t] != END)
            if not going.any():
                break
        return tokens
