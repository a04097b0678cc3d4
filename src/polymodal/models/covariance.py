r"""The ELBO of an energy model, by covariances under its chains.

With :math:`q(z) \propto e^{s(z)}`, where :math:`s = \log N(z) + \nu^\top T + T^\top G T`, and
:math:`f = \log p(x \mid z) - \nu^\top T`, the evidence lower bound is
:math:`E_q[f] + \log Z_q - \log Z_p`. Neither normaliser is known, and neither is needed:

.. math:: \nabla \mathrm{ELBO} = E_q[\nabla \log p(x \mid z)] + \mathrm{Cov}_q(\nabla s, f)
          + E_q[\nabla\, T^\top G T] - E_p[\nabla\, T^\top G T]

in which the decoder's gradient is the first term and the prior's expectation comes from
persistent chains. The covariance over K chains is unbiased and noisy. ``"conditional"`` takes it
apart by the law of total covariance, for the part of s that a block :math:`z_m` is in:

.. math:: \mathrm{Cov}(T_m, f) = E[\mathrm{Cov}(T_m, f \mid z_{-m})]
          + \mathrm{Cov}(E[T_m \mid z_{-m}], f)

Given the other blocks :math:`z_m` is Gaussian, so the first part is the pathwise gradient through
its mean and scale (a pair's gradient is shared between its two blocks); with G = 0 it is that of
a VAE and the second part vanishes.

The loss is a surrogate: its gradient is the estimator, its value an upper bound of the negative
ELBO that needs no normaliser, since :math:`\mathrm{KL}(q \| p) + \mathrm{KL}(p \| q) =
E_q[\nu^\top T] - E_p[\nu^\top T]`.

References:
    Score-function and pathwise gradients: Shakir Mohamed, Mihaela Rosca, Michael Figurnov, Andriy
    Mnih. Monte Carlo Gradient Estimation in Machine Learning. JMLR 21, 2020.
    https://arxiv.org/abs/1906.10652.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from polymodal.models.gibbs import posterior_draws
from polymodal.models.interaction import moments, statistics
from polymodal.models.poise import POISE
from polymodal.objectives.pieces import (
    at_step,
    checked_weight,
    reconstruction_parts,
    weighted_sum,
)
from polymodal.objectives.schedules import Schedule
from polymodal.typing import Batch, Present, Terms

Estimator = Literal["conditional", "covariance"]


class CovarianceELBO(nn.Module):
    """The surrogate of the negative ELBO, one value a row.

    Arguments:
        beta: Weight of the divergence: a number or a schedule of the optimiser's step.
        samples: Chains a row K, at least 2.
        estimator: ``"covariance"`` plainly, or ``"conditional"`` with less noise.
    """

    def __init__(
        self,
        beta: float | Schedule = 1.0,
        samples: int = 4,
        estimator: Estimator = "conditional",
    ) -> None:
        super().__init__()
        if samples < 2:
            raise ValueError(f"a covariance needs samples of at least 2, got {samples}.")
        if estimator not in get_args(Estimator):
            raise ValueError(
                f"estimator must be one of {', '.join(get_args(Estimator))}, got {estimator!r}."
            )
        self.beta = checked_weight("CovarianceELBO", "beta", beta)
        self.samples, self.estimator = samples, estimator

    def forward(self, model: POISE, x: Batch, present: Present, step: int) -> Terms:
        """The surrogate of each row in nats."""
        evidence, matrix = model.evidence(x, present), model.interaction()
        still, held = evidence.detach(), matrix.detach()
        z = posterior_draws(held, still, (self.samples,), model.field_sweeps, model.sweeps)
        fantasies = statistics(model.fantasies(held, step))  # (C, M, 2 d)
        return self.at(model, x, present, step, (evidence, matrix), z, fantasies)

    def at(
        self,
        model: POISE,
        x: Batch,
        present: Present,
        step: int,
        parameters: tuple[Tensor, Tensor],
        z: Tensor,
        fantasies: Tensor,
    ) -> Terms:
        """The surrogate at given draws.

        Arguments:
            model: The model.
            x: Values.
            present: What is there.
            step: The optimiser's step.
            parameters: nu ``(B, M, 2 d)`` and G ``(2 M d, 2 M d)``, with their gradients.
            z: Draws of the posterior, ``(K, B, M, d)``.
            fantasies: T(z) at draws of the prior, ``(C, M, 2 d)``.
        """
        evidence, matrix = parameters
        beta, told = at_step(self.beta, step), statistics(z)
        # Each pair stands in the conditionals of two blocks: each has half of the gradient.
        half = torch.lerp(matrix.detach(), matrix, 0.5)
        natural = evidence + (told.flatten(-2) @ half).reshape(told.shape)
        moved, expected = z, told.chunk(2, -1)
        if self.estimator == "conditional":
            moved, expected = _conditional(natural, z)
        log_p = model.log_likelihoods(moved.flatten(-2), x, present)
        weighted = weighted_sum(model, log_p)  # (K, B)
        still = evidence.detach()
        price = _meet(still.chunk(2, -1), expected)
        with torch.no_grad():
            gain = weighted - beta * _meet((still,), (told,))
            centred = (gain - gain.mean(0)) / (self.samples - 1)
        fixed = [one.detach() for one in expected]
        # The pairs' part of the divergence, and the score, are one sum; what the first has not of
        # the evidence is taken off again.
        both = (-(centred + beta / self.samples) * _meet(natural.chunk(2, -1), fixed)).sum(0)
        rest = _meet(evidence.chunk(2, -1), [one.mean(0) for one in fixed])
        model_phase = 0.5 * (matrix * _second_moments(fantasies)).sum()
        surrogate = (beta * price - weighted).mean(0) + both + beta * (rest + model_phase)
        with torch.no_grad():
            gap = price.mean(0) - (still * fantasies.mean(0)).sum((-2, -1))
            value = beta * gap - weighted.mean(0)
            share = torch.full((1,), 1 / self.samples, dtype=z.dtype, device=z.device)
            parts = {**reconstruction_parts(log_p, share), "kl both ways": gap}
        return Terms(surrogate - surrogate.detach() + value, parts)


def _conditional(natural: Tensor, z: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """The draws as functions of their conditionals, and T's expectations under these, in halves.

    The noise of a block is what the block differs from its conditional mean by: in a draw of q it
    is standard and independent of the other blocks.
    """
    mean, precision = moments(natural)
    root = precision.rsqrt()
    noise = ((z - mean) / root).detach()
    moved = torch.addcmul(mean, noise, root)
    return moved, (mean, torch.addcmul(root.square(), mean, mean))


@torch.no_grad()
def _second_moments(told: Tensor) -> Tensor:
    """The mean over chains of T T', ``(C, M, 2 d) -> (2 M d, 2 M d)``."""
    flat = told.flatten(1)
    return (flat.T @ flat) / len(flat)


def _meet(one: Sequence[Tensor], other: Sequence[Tensor]) -> Tensor:
    """The inner product over blocks and statistics, ``(..., M, d)`` each -> ``(...)``."""
    parts = [(a * b).sum((-2, -1)) for a, b in zip(one, other, strict=True)]
    return sum(parts[1:], parts[0])
