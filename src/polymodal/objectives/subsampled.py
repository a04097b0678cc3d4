r"""The sub-sampled ELBO of MVAE: the full set, every modality alone, and random subsets.

.. math:: \mathcal L = -\mathrm{ELBO}(S) - \sum_{m \in S} \mathrm{ELBO}(\{m\})
          - \sum_{j=1}^{k} \mathrm{ELBO}(S_j), \qquad
          \mathrm{ELBO}(A) = \mathbb E_{q_A} \sum_{m \in A} \lambda_m \log p(x_m \mid z)
          - \beta\, \mathrm{KL}(q_A \| p)

Only the modalities in a subset are reconstructed from it. All posteriors come from one run of the
encoders and each decoder runs once, on the draws of all the subsets that hold its modality.

References:
    Mike Wu, Noah Goodman. Multimodal Generative Models for Scalable Weakly-Supervised Learning.
    NeurIPS 2018. https://arxiv.org/abs/1802.05335, eq. 7.
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor, nn

from polymodal.distributions.strata import Strata
from polymodal.likelihoods.together import Scores
from polymodal.model import MultimodalVAE
from polymodal.objectives.pieces import at_step, checked_weight, stratum_kl, weighted_sum
from polymodal.objectives.schedules import Schedule
from polymodal.posteriors.fused import FusedPosterior
from polymodal.typing import Batch, Present, Terms, is_whole


def draw_proper_subsets(on: Tensor, n_subsets: int) -> Tensor:
    """Random subsets of what is present: the size uniform, then the subset uniform.

    Arguments:
        on: bool ``(M, B)``.
        n_subsets: How many a row, k.

    Returns:
        bool ``(M, k, B)``; non-empty where anything is present.
    """
    shape = (on.shape[0], n_subsets, on.shape[1])
    here = on.unsqueeze(1).expand(shape)
    order = torch.rand(shape, device=on.device).masked_fill(~here, 2.0)
    rank = order.argsort(0).argsort(0)
    size = (torch.rand(shape[1:], device=on.device) * on.sum(0)).floor() + 1
    return here & (rank < size)


def all_and_single(on: Tensor, *, complete: bool = False) -> Tensor:
    """The set of all that a row has, then each modality alone: ``(M, B)`` -> ``(M, 1 + M, B)``.

    Where all rows are known to be complete, they are seen to have the same sets.
    """
    single = torch.eye(len(on), dtype=torch.bool, device=on.device).unsqueeze(-1)
    if complete:
        return torch.cat([torch.ones_like(single[:, :1]), single], 1).expand(-1, -1, on.shape[1])
    return torch.cat([on.unsqueeze(1), single & on.unsqueeze(1)], 1)


class ScoresSets(Protocol):
    """What `log_p_within` asks of a model."""

    names: tuple[str, ...]

    def log_likelihoods(self, z: Tensor, x: Batch, present: Present, *, each: bool) -> Scores:
        """log p(x_m | z) in nats, ``(R, B)`` each, of draws ``z (M, R, B, D)``."""
        ...


def log_p_within(
    model: ScoresSets,
    z: Tensor,
    x: Batch,
    present: Present,
    chosen: Tensor,
    *,
    complete: bool = False,
) -> Scores:
    """Log-likelihoods of each modality from the sets that hold it; each decoder runs once.

    Arguments:
        model: The model.
        z: A draw from the posterior of every set, ``(R, B, D)``.
        x: Values.
        present: What is there.
        chosen: The sets, bool ``(M, R, B)``: ``all_and_single``, then any k others.
        complete: Whether there are no others and all rows are known to be complete.

    Returns:
        Name -> log p in nats, ``(2 + k, B)``: from all that a row has, from the modality alone,
        from the others; zero where the set of a row lacks the modality.
    """
    n_modalities = len(chosen)
    own = torch.cat(
        [
            z[:1].expand(n_modalities, 1, *z.shape[1:]),
            z[1 : 1 + n_modalities].unsqueeze(1),
            z[1 + n_modalities :].expand(n_modalities, -1, *z.shape[1:]),
        ],
        1,
    )  # (M, 2 + k, B, D)
    if complete:
        return model.log_likelihoods(own, x, present, each=True)
    alone = chosen[:, 1 : 1 + n_modalities].diagonal(dim1=0, dim2=1).T.unsqueeze(1)
    here = torch.cat([chosen[:, :1], alone, chosen[:, 1 + n_modalities :]], 1)
    named = [m for m, name in enumerate(model.names) if name in present]
    if len(named) < n_modalities:
        own, here = own[named], here[named]
    log_p = model.log_likelihoods(own, x, present, each=True)
    scored = torch.where(here, log_p.together, torch.zeros_like(log_p.together))
    return Scores(tuple(log_p), scored)


class SubsampledELBO(nn.Module):
    """The sum of the negative ELBOs of the full set, the single modalities and k random subsets.

    Arguments:
        subsets: Random subsets a row, k.
        beta: Weight of the divergence: a number or a schedule of the optimiser's step.
    """

    def __init__(self, subsets: int = 0, beta: float | Schedule = 1.0) -> None:
        super().__init__()
        if not is_whole(subsets):
            raise ValueError(
                f"SubsampledELBO: subsets must be a whole number of at least 0, got {subsets!r}."
            )
        self.subsets = subsets
        self.beta = checked_weight("SubsampledELBO", "beta", beta)

    def forward(self, model: MultimodalVAE, x: Batch, present: Present, step: int) -> Terms:
        """The negative sub-sampled ELBO of each row in nats."""
        posterior: FusedPosterior = model.posterior  # pyright: ignore[reportAssignmentType]
        encoded = posterior.encode(x, present)
        complete = encoded.experts.complete
        chosen = all_and_single(encoded.on, complete=complete)
        if self.subsets:
            drawn = draw_proper_subsets(encoded.on, self.subsets)
            chosen = torch.cat([chosen, drawn], 1)  # (M, R, B), R = 1 + M + k
        q: Strata = posterior.fuse(encoded, chosen)
        if q.n_strata != 1:
            raise ValueError(
                f"SubsampledELBO needs a posterior with one stratum, got {q.n_strata}. "
                "Use ProductOfExperts, or ELBO for a mixture."
            )
        z = q.stratified(1).flatten(0, 2)  # (R, B, D)
        kl = stratum_kl(q, model.prior()).squeeze(0)  # (R, B)
        if not complete:
            kl = torch.where(chosen.any(0), kl, torch.zeros_like(kl))
        loss = at_step(self.beta, step) * kl.sum(0)
        parts = {"kl": kl[0].detach(), "kl of subsets": kl[1:].sum(0).detach()}
        log_p = log_p_within(model, z, x, present, chosen, complete=complete and not self.subsets)
        loss = loss - weighted_sum(model, log_p).sum(0)
        of_all = -log_p.together[:, 0].detach()
        parts |= {
            f"-log p({name})": one for name, one in zip(log_p, of_all.unbind(0), strict=True)
        }
        return Terms(loss, parts)
