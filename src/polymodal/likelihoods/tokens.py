"""Likelihoods of texts: all positions at once, or token by token."""

from __future__ import annotations

from torch import Tensor, nn

from polymodal.distributions.tokens import END, AutoregressiveObserved, TokenObserved, likeliest
from polymodal.likelihoods.base import Likelihood, check_at_least


class TokenLikelihood(Likelihood):
    """Texts whose tokens are independent given z; the decoder gives logits ``(T, V)``.

    Arguments:
        length: Largest number of tokens T, the end token counted.
        vocabulary: Number of token ids V, the four special ones counted.
        never_empty: Whether the likeliest text and what is written have one token at least, as
            all training texts have; the density is that of all texts.
    """

    def __init__(self, length: int, vocabulary: int, *, never_empty: bool = False) -> None:
        _check_sizes(length, vocabulary)
        super().__init__((length, vocabulary), (length,))
        self.never_empty = never_empty

    def _observe(self, parameters: Tensor) -> TokenObserved:
        return TokenObserved(parameters, self.never_empty)

    def point(self, statistics: Tensor) -> Tensor:
        """The most probable token of each position, ended, ``(..., T V) -> (..., T)``, int64."""
        return likeliest(statistics.unflatten(-1, self.parameter_shape), self.never_empty)

    def averaged(self, statistics: Tensor) -> TokenObserved:
        """The distribution with these (averaged) probabilities, ``(..., T V)``."""
        logits = statistics.unflatten(-1, self.parameter_shape).log()
        return TokenObserved(logits, self.never_empty)


class AutoregressiveTextLikelihood(Likelihood):
    """Texts written token by token; the decoder gives the context of a step network.

    Statistics are the text of one z and may not be averaged: ``averages`` is False.

    Arguments:
        length: Largest number of tokens T, the end token counted.
        vocabulary: Number of token ids V, the four special ones counted.
        step: Network ``(context (N, F), tokens (N, t)) -> logits (N, t, V)`` for any t up to T,
            whose logits at a position depend on the tokens before it only.
        context_features: Size F of the context; None asks ``step.context_features``.
        token_dropout: Share of the tokens shown to the step network that are replaced by the
            unknown token while training, so that it cannot do without z.
        never_empty: Whether what is written has one token at least, as all training texts have;
            the density is that of all texts.

    References:
        Generating Sentences from a Continuous Space. Bowman et al., 2016, section 3.2,
        https://arxiv.org/abs/1511.06349
    """

    def __init__(
        self,
        length: int,
        vocabulary: int,
        step: nn.Module,
        *,
        context_features: int | None = None,
        token_dropout: float = 0.0,
        never_empty: bool = False,
    ) -> None:
        _check_sizes(length, vocabulary)
        if not 0 <= token_dropout < 1:
            raise ValueError(f"token_dropout must be in [0, 1), got {token_dropout}.")
        features = context_features or getattr(step, "context_features", None)
        if not isinstance(features, int):
            raise ValueError(
                "AutoregressiveTextLikelihood: the step network has no attribute "
                "context_features; pass context_features=."
            )
        super().__init__((features,), (length,))
        self.step, self.token_dropout = step, token_dropout
        self.never_empty = never_empty

    def _observe(self, parameters: Tensor) -> AutoregressiveObserved:
        dropout = self.token_dropout if self.training else 0.0
        return AutoregressiveObserved(
            parameters, self.step, self.value_shape[0], dropout, self.never_empty
        )

    def point(self, statistics: Tensor) -> Tensor:
        """The text itself, ``(..., T) -> (..., T)``, int64."""
        return statistics.round().long()


def _check_sizes(length: int, vocabulary: int) -> None:
    check_at_least(length, 1, "A text's length")
    check_at_least(vocabulary, END + 1, "A text's vocabulary (0 to 3 are special)")
