r"""Draws from p(z | what is given), by sampling-importance-resampling.

Proposals :math:`z_k \sim q(z \mid x_S)` are weighted by
:math:`w_k \propto p(x_S \mid z_k)\, p(z_k) / q(z_k \mid x_S)` and resampled. With many given
values a few weights can hold nearly all the mass, and resampling would then repeat one draw and
promise a certainty that nobody has. Each row's log-weights are therefore tempered,
:math:`w_k^\tau` with the largest :math:`\tau \le 1` for which the effective sample size is at
least the number of draws asked for; :math:`\tau = 0` are draws from q itself. The effective
sample size that is reported is that of the untempered weights: where it is small, the amortised
posterior is far from the true one.

References:
    Donald Rubin. Using the SIR algorithm to simulate posterior distributions. Bayesian Statistics
    3, 1988. Tempering of weights: Eugenia Koblents, Joaquin Miguez. A population Monte Carlo
    scheme with transformed weights. Statistics and Computing 25, 2015.
    https://doi.org/10.1007/s11222-013-9440-2
"""

from __future__ import annotations

import torch
from torch import Tensor

from polymodal.model import LatentModel
from polymodal.tasks.given_nothing import prior_where_nothing
from polymodal.typing import Batch, Present

_BISECTIONS = 20


def effective_sample_size(log_weights: Tensor) -> Tensor:
    """Share of the K importance samples that count.

    Arguments:
        log_weights: Unnormalised log-weights in nats, ``(K, ...)``.

    Returns:
        Values in [1/K, 1], ``(...)``.
    """
    weights = log_weights.softmax(0)
    return 1 / (weights.square().sum(0) * len(log_weights))


def temper(log_weights: Tensor, least: float) -> Tensor:
    """Scale log-weights ``(K, B)`` so that their effective sample size is at least ``least`` of K.

    A row that has it already is left as it is, bit for bit; a weight of zero stays zero.
    """
    low = torch.zeros_like(log_weights[0])
    high = torch.ones_like(low)
    done = effective_sample_size(log_weights) >= least
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        enough = effective_sample_size(_scaled(middle, log_weights)) >= least
        low, high = torch.where(enough, middle, low), torch.where(enough, high, middle)
    return torch.where(done, log_weights, _scaled(low, log_weights))


def _scaled(tau: Tensor, log_weights: Tensor) -> Tensor:
    return torch.where(log_weights.isneginf(), log_weights, tau * log_weights)


def resample(log_weights: Tensor, n_draws: int) -> Tensor:
    """Systematic resampling in random order: log-weights ``(K, B)`` -> indices ``(n, B)``."""
    cumulative = log_weights.softmax(0).cumsum(0).T.contiguous()  # (B, K)
    n_rows = len(cumulative)
    start = torch.rand(n_rows, 1, dtype=cumulative.dtype, device=cumulative.device)
    steps = torch.arange(n_draws, dtype=cumulative.dtype, device=cumulative.device)
    points = (start + steps) / n_draws  # (B, n)
    index = torch.searchsorted(cumulative, points).clamp(max=cumulative.shape[1] - 1)
    order = torch.rand(n_rows, n_draws, device=index.device).argsort(1)
    return index.gather(1, order).T


def posterior_draws(
    model: LatentModel,
    x: Batch,
    present: Present,
    draws: int,
    proposals: int,
    least: float | None = None,
) -> tuple[Tensor, Tensor]:
    """Draw z given everything that ``present`` shows.

    Where the model has no density to weigh by, the draws are those of its posterior.

    Arguments:
        model: The model; its posterior needs a density.
        x: Values, ``(B, ...)`` each.
        present: What is given.
        draws: Draws a row, n.
        proposals: Proposals a row, K.
        least: Share of K that must count, or weights are tempered; n / K when None.

    Returns:
        Draws ``(n, B, D)`` and the effective sample size's share of K, ``(B,)``.
    """
    q = model.answer_posterior(x, present)
    if "score" in model.lacks:
        z = prior_where_nothing(model, q.sample(torch.Size((draws,))), present)
        return z, z.new_ones(z.shape[1])
    z = q.sample(torch.Size((proposals,)))  # (K, B, D)
    log_p = torch.stack(list(model.log_likelihoods(z, x, present).values())).sum(0)
    log_weights = (log_p + model.prior().log_prob(z) - q.log_prob(z)).double()
    # A value so wild that its density leaves the range of floats must not make the answer NaN:
    # such a proposal is not drawn, and where there is no other the draws are those of q.
    log_weights = torch.where(log_weights.isfinite(), log_weights, -torch.inf)
    lost = log_weights.isneginf().all(0)
    log_weights = torch.where(lost, 0.0, log_weights)
    share = torch.where(lost, 1 / proposals, effective_sample_size(log_weights))
    tempered = temper(log_weights, min(1.0, draws / proposals if least is None else least))
    index = resample(tempered, draws)  # (n, B)
    chosen = z.gather(0, index.unsqueeze(-1).expand(*index.shape, z.shape[-1]))
    return chosen, share.to(z.dtype)
