r"""How a text is written, given a network that says how likely each next token is.

- *greedy*: the most likely token at each step.
- *beam*: at each step the ``width`` best beginnings are kept, by

  .. math:: s(y) = \log p(y) / \left(\frac{5 + |y|}{6}\right)^{\alpha}

  with :math:`|y|` the tokens so far, the end counted. With a width of all beginnings it finds the
  best text; with a width of 1 it is greedy. Between the two a larger width mostly, but not always,
  finds a better text.
- *sample*: each token is drawn from :math:`p^{1 / \tau}`, renormalised over the ``top_k`` most
  likely ones and over the smallest set that holds ``top_p`` of the probability.

The unknown token stands for every word that a vocabulary lacks, so that it says nothing: it is not
written where there is another.

References:
    Google's Neural Machine Translation System. Wu et al., 2016, equation 14 (length),
    https://arxiv.org/abs/1609.08144
    The Curious Case of Neural Text Degeneration. Holtzman et al., 2020, section 3.1 (``top_p``),
    https://arxiv.org/abs/1904.09751
    Hierarchical Neural Story Generation. Fan, Lewis, Dauphin, 2018, section 5.2 (``top_k``),
    https://arxiv.org/abs/1805.04833
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Size, Tensor

from polymodal.distributions.decoding import Decoding
from polymodal.distributions.factorised import draw_codes
from polymodal.distributions.special_tokens import END, FIRST, PAD, UNKNOWN


class Writer(Protocol):
    """What says how likely each next token of N texts is."""

    def next(self, tokens: Tensor) -> Tensor:
        """Unnormalised log-probabilities (N, V) of the next tokens.

        Arguments:
            tokens: What is written so far, (N, t), one token longer at each call.
        """
        ...

    def select(self, index: Tensor) -> None:
        """Go on with other texts: the n-th one is now what the index[n]-th was, index (N',)."""
        ...


def write(
    writer: Writer,
    n_rows: int,
    length: int,
    decoding: Decoding,
    device: object,
    *,
    never_empty: bool = False,
    unknown: bool = False,
) -> Tensor:
    """Texts of at most ``length`` tokens, (N, length) int64, padded after the end.

    Arguments:
        writer: Says how likely next tokens are; for a beam it is first told to repeat its rows.
        n_rows: Texts N.
        length: Most tokens of a text.
        decoding: How to choose.
        device: Where the tokens are made.
        never_empty: Whether a text may not end before it has begun.
        unknown: Whether the unknown token may be written, as in samples of the model as it is.
    """

    def allowed(weights: Tensor, tokens: Tensor) -> Tensor:
        return wanted(weights, unknown=unknown, end=not never_empty or tokens.shape[1] > 0)

    tokens = torch.empty(n_rows, 0, dtype=torch.int64, device=device)  # type: ignore[call-overload]
    if decoding.method == "beam" and n_rows:
        return _padded(_beam(writer, allowed, tokens, length, decoding), length)
    going = torch.ones(n_rows, dtype=torch.bool, device=tokens.device)
    for _ in range(length):
        logits = allowed(writer.next(tokens)[:, FIRST:], tokens)
        if decoding.method == "greedy":
            token = logits.argmax(-1)
        else:
            token = draw_codes(kept(logits, decoding), Size(()))
        token = torch.where(going, token + FIRST, PAD)
        tokens = torch.cat([tokens, token[:, None]], 1)
        going = going & (token != END)
        if not going.any():
            break
    return _padded(tokens, length)


def wanted(logits: Tensor, *, unknown: bool = False, end: bool = True) -> Tensor:
    """Those of tokens that may come next; -inf at others, unless nothing else is possible.

    Arguments:
        logits: Weights or log-probabilities, normalised or not, of ids from ``FIRST`` on,
            ``(..., V - FIRST)``.
        unknown: Whether the unknown token may come.
        end: Whether the text may end.
    """
    for token, may_come in ((UNKNOWN, unknown), (END, end)):
        if may_come or token - FIRST >= logits.shape[-1]:
            continue
        others = logits.clone()
        others[..., token - FIRST] = -torch.inf
        logits = torch.where(others.isneginf().all(-1, keepdim=True), logits, others)
    return logits


def kept(logits: Tensor, decoding: Decoding) -> Tensor:
    """Log-probabilities from which a token is drawn, (..., V) -> (..., V); -inf where it is not.

    Arguments:
        logits: Unnormalised log-probabilities of what may be written.
        decoding: Its temperature, ``top_k`` and ``top_p``, in that order. Of equally likely tokens
            at the border those are kept that come first.
    """
    log_p = (logits / decoding.temperature).log_softmax(-1)
    if decoding.top_k is None and decoding.top_p is None:
        return log_p
    ranked, order = log_p.sort(stable=True, dim=-1, descending=True)
    if decoding.top_k is not None:
        ranked = torch.where(
            torch.arange(ranked.shape[-1], device=ranked.device) < decoding.top_k,
            ranked,
            -torch.inf,
        ).log_softmax(-1)
    if decoding.top_p is not None:
        p = ranked.exp()
        before = p.cumsum(-1) - p  # the first has nothing before it, so one is always kept
        ranked = torch.where(before < decoding.top_p, ranked, -torch.inf)
    return torch.empty_like(log_p).scatter(-1, order, ranked).log_softmax(-1)


def length_penalty(length: Tensor | float, power: float) -> Tensor | float:
    """Equation 14 of Wu et al., ((5 + length) / 6) ** power."""
    return ((5 + length) / 6) ** power


def _beam(
    writer: Writer,
    allowed: Callable[[Tensor, Tensor], Tensor],
    start: Tensor,
    length: int,
    decoding: Decoding,
) -> Tensor:
    """The best text of each row found by a beam, (N, up to length)."""
    n_rows, width, device = len(start), decoding.width, start.device
    base = torch.arange(n_rows, device=device)[:, None] * width  # (N, 1)
    writer.select(torch.arange(n_rows, device=device).repeat_interleave(width))
    tokens = start.repeat_interleave(width, 0)  # (N K, t)
    score = torch.full((n_rows, width), -torch.inf, device=device)
    score[:, 0] = 0.0
    ended = torch.zeros(n_rows, width, dtype=torch.bool, device=device)
    lengths = torch.zeros(n_rows, width, device=device)
    rank = score
    for t in range(length):
        log_p = writer.next(tokens)[:, FIRST:].log_softmax(-1)
        log_p = allowed(log_p, tokens).unflatten(0, (n_rows, width))
        score = score.to(log_p.dtype)
        stays = torch.full_like(log_p[0, 0], -torch.inf)
        stays[0] = 0.0  # what has ended goes on in one way only: as it is
        raw = score.unsqueeze(-1) + torch.where(ended.unsqueeze(-1), stays, log_p)
        lengths = torch.where(ended, lengths, t + 1.0)
        ranks = raw / length_penalty(lengths, decoding.length_power).unsqueeze(-1)  # type: ignore[union-attr]
        rank, best = _top(ranks.flatten(1), width)  # (N, K)
        parent, token = best // log_p.shape[-1], best % log_p.shape[-1]
        was_ended = ended.gather(1, parent)
        score, lengths = raw.flatten(1).gather(1, best), lengths.gather(1, parent)
        ended = was_ended | (token == END - FIRST)
        flat = (base + parent).flatten()
        token = torch.where(was_ended, PAD, token + FIRST).flatten()
        tokens = torch.cat([tokens[flat], token[:, None]], 1)
        if _is_settled(score, rank, ended, length, decoding.length_power):
            rank = torch.where(ended, rank, -torch.inf)
            break
        writer.select(flat)
    return tokens[(base[:, 0] + rank.argmax(1))]


def _top(ranks: Tensor, width: int) -> tuple[Tensor, Tensor]:
    """The largest values of each row and where they are; of equal ones the first, as in argmax."""
    if width == 1:
        return ranks.max(1, keepdim=True)
    value, place = ranks.topk(min(width, ranks.shape[1]), 1)
    return value, place


def _is_settled(score: Tensor, rank: Tensor, ended: Tensor, length: int, power: float) -> bool:
    """Whether in every row some ended text is better than anything that may yet be written."""
    best = torch.where(ended, rank, -torch.inf).amax(1)
    # A score only falls, and is divided by no more than the penalty of the longest text.
    hope = torch.where(ended, -torch.inf, score).amax(1) / length_penalty(float(length), power)
    return bool((best >= hope).all())


def _padded(tokens: Tensor, length: int) -> Tensor:
    return torch.nn.functional.pad(tokens, (0, length - tokens.shape[1]), value=PAD)
