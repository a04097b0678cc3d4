r"""Log-likelihoods by importance sampling: of a row, of a part of it, of a part given another.

.. math::
    \text{joint}\quad & \log p(x) \approx
        \log \operatorname{ME}_k \frac{p(x \mid z_k)\, p(z_k)}{q(z_k \mid x)},
        \quad z_k \sim q(z \mid x) \\
    \text{marginal}\quad & \log p(x_T) \approx
        \log \operatorname{ME}_k \frac{p(x_T \mid z_k)\, p(z_k)}{r(z_k)},
        \quad z_k \sim r \\
    \text{predictive}\quad & \log \operatorname{ME}_k\, p(x_T \mid z_k),
        \quad z_k \sim q(z \mid x_S) \\
    \text{conditional}\quad & \log p(x_T \mid x_S) = \log p(x_T, x_S) - \log p(x_S)

ME is the mean of exponentials. Joint and marginal are unbiased for the probability and, in
expectation, below its logarithm. The marginal's proposal r is :math:`q(z \mid x_T)`, or the
posterior of any other set: *what published tables call conditional*, "log p(x_m | x_n)" with
:math:`r = q(z \mid x_n)`, is this estimator, and all its columns estimate one number,
:math:`\log p(x_m)`. The predictive density is a proper one over :math:`x_T`, that of the model
together with its amortised posterior: what translation draws from. The conditional is the model's
own; as a difference of two estimates from below it is neither below nor above.

Private latents of a modality that is read are drawn from its posterior and have their ratio; those
of the target of a predictive density come, as all posteriors here have it, from the prior, and
have none. Likelihood weights play no part anywhere.

References:
    Yuri Burda, Roger Grosse, Ruslan Salakhutdinov. Importance Weighted Autoencoders. ICLR 2016.
    https://arxiv.org/abs/1509.00519, eq. 8. Yuge Shi et al. Variational Mixture-of-Experts
    Autoencoders. NeurIPS 2019. https://arxiv.org/abs/1911.03393, table 3 (the marginal). The
    conditional from one set of draws: a hierarchical multimodal VAE, anonymous, 2021.
    https://openreview.net/forum?id=4V4TZG7i7L_, appendix B.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from polymodal.data.tensors import Tensors
from polymodal.model import Lacking, LatentModel
from polymodal.tasks.answer import chunks
from polymodal.tasks.asking import asking
from polymodal.tasks.given_nothing import prior_where_nothing
from polymodal.tasks.importance import (
    LogMean,
    log_given_z,
    log_means,
    log_ratio,
    posterior_of,
    proposal_for,
)
from polymodal.typing import Batch, Present, rows_present

Kind = Literal["joint", "marginal", "predictive", "conditional"]
Names = Sequence[str]


@dataclass(frozen=True)
class LogLikelihood:
    """How likely some rows are, or a part of them.

    Arguments:
        kind: Which estimator.
        of: The modalities whose density it is.
        given: The modalities that it is given; of a marginal, those that its proposal reads.
        log_p: In nats, float64 ``(N,)``; zero in rows that have nothing of ``of``.
        ess: Effective sample size as a share of the samples, in [1/K, 1], ``(N,)``; of a
            conditional the smaller of the two.
        scored: Rows that have anything of ``of``, bool ``(N,)``.
    """

    kind: Kind
    of: tuple[str, ...]
    given: tuple[str, ...]
    log_p: Tensor
    ess: Tensor
    scored: Tensor


def batch_log_likelihood(model: LatentModel, x: Batch, present: Present, samples: int) -> Tensor:
    """The joint estimate for one batch in nats, ``(B,)``, float64."""
    names = [name for name in model.names if name in present]
    return _Ask(model, x, present, samples).marginal(names, names).value


@torch.no_grad()
def log_likelihood(
    model: LatentModel,
    source: Tensors,
    *,
    samples: int = 1000,
    seed: int = 0,
    of: str | Names | None = None,
    given: str | Names | None = None,
    kind: Kind | None = None,
    one_set: bool = False,
) -> LogLikelihood:
    """Estimate log-likelihoods, in nats of the codec's units.

    Arguments:
        model: The model; its posterior needs a density.
        source: The rows.
        samples: Importance samples a row, K.
        seed: All draws follow from it.
        of: The modalities to score.
        given: The modalities that they are given; for ``kind="marginal"`` those that the proposal
            reads, ``of`` itself when None.
        kind: ``"joint"``, ``"marginal"``, ``"predictive"`` or ``"conditional"``. When None: joint
            with neither ``of`` nor ``given``, marginal with ``of`` alone, else conditional.
        one_set: Estimate both terms of a conditional from one set of draws of q(z | x_given).

    Raises:
        ValueError: If a name is unknown, ``kind`` does not fit the names, or ``samples`` is too
            small.
        Lacking: If the family does not offer it, or its posterior has no density. The predictive
            density needs draws from the posterior and nothing else.
    """
    if samples < 1:
        raise ValueError(f"samples must be at least 1, got {samples}.")
    kind, of, given = question(model.names, source.names, kind, of, given)
    model.check_offers("translate" if kind == "predictive" else "score")
    found: list[LogMean] = []
    with asking(model, seed):
        for rows in chunks(len(source), samples, source.device):
            x, present = source.gather(rows)
            ask = _Ask(model, x, present, samples)
            try:
                found.append(ask.estimate(kind, of, given, one_set=one_set))
            except NotImplementedError as error:
                raise Lacking(
                    f"score: the posterior of this model ({type(model).__name__}) has no density, "
                    "and importance sampling divides by it."
                ) from error
    scored = _anything(source.present, of)
    log_p = torch.cat([one.value for one in found])
    return LogLikelihood(
        kind,
        of,
        given,
        torch.where(scored, log_p, torch.zeros_like(log_p)),
        torch.cat([one.ess for one in found]),
        scored,
    )


def question(
    names: Names,
    there: Names,
    kind: Kind | None,
    of: str | Names | None,
    given: str | Names | None,
) -> tuple[Kind, tuple[str, ...], tuple[str, ...]]:
    """What is asked, complete: the kind, what is scored, what is given.

    Arguments:
        names: The model's modalities.
        there: The modalities of the data.
        kind: As told, or None.
        of: As told, or None.
        given: As told, or None.

    Raises:
        ValueError: If the parts do not fit each other.
    """
    of = (of,) if isinstance(of, str) else of
    given = (given,) if isinstance(given, str) else given
    if kind is not None and kind not in get_args(Kind):
        raise ValueError(f"kind must be one of {', '.join(get_args(Kind))}, got {kind!r}.")
    if kind is None:
        kind = "conditional" if given is not None else "joint" if of is None else "marginal"
    if kind == "joint":
        if of is not None or given is not None:
            raise ValueError(
                "kind='joint' scores all that a row has and takes neither of= nor given=; for a "
                "part of a row use kind='marginal'."
            )
        every = tuple(name for name in names if name in there)
        if not every:
            raise ValueError(f"nothing to score: the data have none of {', '.join(names)}.")
        return kind, every, ()
    if not of:
        raise ValueError(f"kind={kind!r} needs of=, the modalities to score.")
    if kind != "marginal" and not given:
        raise ValueError(f"kind={kind!r} needs given=, the modalities that {list(of)} are given.")
    given = tuple(of) if given is None else tuple(given)
    for name in (*of, *given):
        if name not in names or name not in there:
            known = ", ".join(n for n in names if n in there)
            raise ValueError(f"no modality {name!r} to score; model and data have {known}.")
    both = [name for name in of if name in given]
    if both and kind != "marginal":
        raise ValueError(
            f"kind={kind!r}: {both[0]!r} is in of= and in given=; given itself it is certain. "
            "For log p of it with a proposal that has read it, use kind='marginal'."
        )
    return kind, tuple(of), given


@dataclass(frozen=True)
class _Ask:
    """One batch, and how many samples a row."""

    model: LatentModel
    x: Batch
    present: Present
    samples: int

    def part(self, names: Names) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        return {n: self.x[n] for n in names}, {n: self.present[n] for n in names}

    def estimate(self, kind: Kind, of: Names, given: Names, *, one_set: bool) -> LogMean:
        """The answer of a kind."""
        if kind == "joint":
            return self.marginal(of, of)
        if kind == "marginal":
            return self.marginal(of, given)
        if kind == "predictive":
            return self.predictive(of, given)
        both = [*given, *of]
        if one_set:
            above, below = self.from_one_set(of, given)
        else:
            above, below = self.marginal(both, both), self.marginal(given, given)
        return LogMean(above.value - below.value, torch.minimum(above.ess, below.ess))

    def predictive(self, of: Names, given: Names) -> LogMean:
        """log ME p(x_of | z), draws from q(z | x_given)."""
        q = posterior_of(self.model, self.x, self.present, given, answers=True)
        x, present = self.part(of)
        _, shown = self.part(given)

        def terms(z: Tensor) -> list[Tensor]:
            z = prior_where_nothing(self.model, z, shown)
            return [log_given_z(self.model, z, x, present)]

        return log_means(q, self.samples, terms)[0]

    def from_one_set(self, of: Names, given: Names) -> list[LogMean]:
        """log p(x_of, x_given) and log p(x_given), both by the same draws of q(z | x_given)."""
        q = posterior_of(self.model, self.x, self.present, given)
        q = proposal_for(self.model, q, [*given, *of])
        mine, theirs = self.part(of), self.part(given)

        def terms(z: Tensor) -> list[Tensor]:
            alone = log_ratio(self.model, q, z, *theirs)
            return [alone + log_given_z(self.model, z, *mine), alone]

        return log_means(q, self.samples, terms)

    def marginal(self, of: Names, shown: Names) -> LogMean:
        """log p(x_of), draws from q(z | x_shown)."""
        q = proposal_for(self.model, posterior_of(self.model, self.x, self.present, shown), of)
        x, present = self.part(of)
        (found,) = log_means(q, self.samples, lambda z: [log_ratio(self.model, q, z, x, present)])
        # Nothing has the probability one, also where q for it is not quite the prior.
        some = _anything(present, of)
        return LogMean(
            torch.where(some, found.value, torch.zeros_like(found.value)),
            torch.where(some, found.ess, torch.ones_like(found.ess)),
        )


def _anything(present: Present, names: Names) -> Tensor:
    return torch.stack([rows_present(present[name]) for name in names]).any(0)
