"""Error of texts: how many words two texts share, whatever their order."""

from __future__ import annotations

import torch
from torch import Tensor

from polymodal.distributions.special_tokens import END, UNKNOWN
from polymodal.metrics.registry import metric
from polymodal.metrics.rows import paired


def words_of(tokens: Tensor) -> Tensor:
    """Which tokens ``(N, T)`` are words: those before the end, without padding and start."""
    return ((tokens == END).cumsum(1) == 0) & (tokens > END)


@metric(better="lower", bounds=(0.0, 1.0), baseline="that of the most frequent text")
@paired
def token_f1_error(prediction: Tensor, target: Tensor) -> Tensor:
    """1 - F1 of the words of each text, each word as often as it occurs; ``(N, T)`` -> ``(N,)``.

    F1 is twice the words in common over the words of both. Two empty texts are equal: error 0.
    An unknown word (token 3) counts among the words and is in common with none.
    """
    said, wanted = words_of(prediction), words_of(target)
    # The k-th occurrence of a word matches the k-th occurrence of it in the other text.
    said_rank = _occurrence(prediction, said)
    wanted_rank = _occurrence(target, wanted)
    same = (prediction.unsqueeze(2) == target.unsqueeze(1)) & (
        said_rank.unsqueeze(2) == wanted_rank.unsqueeze(1)
    )
    known = said & (prediction != UNKNOWN)
    shared = (same & known.unsqueeze(2) & wanted.unsqueeze(1)).sum((1, 2)).double()
    total = (said.sum(1) + wanted.sum(1)).double()
    return torch.where(total > 0, 1 - 2 * shared / total.clamp(min=1), torch.zeros_like(total))


def _occurrence(tokens: Tensor, word: Tensor) -> Tensor:
    """How many equal words stand before each token, ``(N, T)``."""
    equal = (tokens.unsqueeze(2) == tokens.unsqueeze(1)) & word.unsqueeze(1)
    return equal.tril(-1).sum(2)
