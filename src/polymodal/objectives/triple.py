r"""The triple ELBO for any number of modalities.

.. math:: \mathcal L = -\mathrm{ELBO}_\theta(S) - \gamma \sum_{A \in \mathcal A}
          \mathrm{ELBO}_{\mathrm{sg}(\theta)}(A), \qquad
          \mathrm{ELBO}(A) = \mathbb E_{q(z \mid x_A)} \sum_{m \in A} \lambda_m \log p(x_m \mid z)
          - \beta\, \mathrm{KL}\big(q(z \mid x_A) \,\|\, p\big)

The sets :math:`\mathcal A` are the modalities alone (the paper's two further ELBOs) and, with more
than two modalities, random sets between one and all, which the paper has no need of. Their
posteriors are loose; :math:`\mathrm{sg}` keeps them from spoiling the decoders and likelihoods,
which learn from the joint ELBO alone. A set that is all that its row has is the joint ELBO and is
not counted again. The private block of a modality is learned in every set that holds it.

Each decoder runs twice: on the draws of the joint posterior, and on those of all other sets with
its weights held still, so that no gradient of a weight is computed for these.

References:
    Ramakrishna Vedantam, Ian Fischer, Jonathan Huang, Kevin Murphy. Generative Models of Visually
    Grounded Imagination. ICLR 2018. https://arxiv.org/abs/1705.10762, eq. 2.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.func import functional_call

from polymodal.likelihoods.together import Scores
from polymodal.model import MultimodalVAE
from polymodal.objectives.pieces import at_step, checked_weight, stratum_kl
from polymodal.objectives.schedules import Schedule
from polymodal.objectives.subsampled import all_and_single, draw_proper_subsets, log_p_within
from polymodal.posteriors.fused import FusedPosterior
from polymodal.typing import Batch, Present, Terms


class TripleELBO(nn.Module):
    """The sum of the joint ELBO and of ELBOs of smaller sets with frozen decoders.

    Arguments:
        beta: Weight of the divergences: a number or a schedule of the optimiser's step.
        gamma: Weight of the further ELBOs.
        own_weight: Weight of the likelihoods in the further ELBOs (the paper's alpha' / alpha).
        average: Divide the sum by the number of ELBOs, as the released code does.
        subsets: Random sets between one and all, a row, where there are more than two modalities.
        hide: Share of the rows of which a training step sees some cells only, of the modalities
            ``tables``. What it does not see counts as absent, so that every ELBO stays one.
        tables: Tables whose attributes abstract queries leave out: name -> number of columns.
    """

    def __init__(
        self,
        beta: float | Schedule = 1.0,
        gamma: float = 1.0,
        own_weight: float = 1.0,
        average: bool = False,
        subsets: int = 1,
        hide: float = 0.0,
        tables: Mapping[str, int] | None = None,
    ) -> None:
        super().__init__()
        self.beta = checked_weight("TripleELBO", "beta", beta)
        if gamma < 0 or subsets < 0 or not own_weight > 0:
            raise ValueError(
                "TripleELBO: gamma and subsets must be at least 0 and own_weight must be "
                f"positive, got {gamma}, {subsets} and {own_weight}."
            )
        self.gamma, self.own_weight = gamma, own_weight
        if not 0 <= hide <= 1:
            raise ValueError(f"TripleELBO: hide must be between 0 and 1, got {hide}.")
        self.average, self.subsets = average, subsets
        self.hide, self.tables = hide, dict(tables or {})

    def forward(self, model: MultimodalVAE, x: Batch, present: Present, step: int) -> Terms:
        """The objective of each row in nats."""
        posterior: FusedPosterior = model.posterior  # pyright: ignore[reportAssignmentType]
        if self.hide and self.training:
            present = seen_in_part(present, self.tables, self.hide)
        encoded = posterior.encode(x, present)
        on = encoded.on
        chosen = all_and_single(on)
        if self.subsets and len(on) > 2:
            chosen = torch.cat([chosen, draw_proper_subsets(on, self.subsets)], 1)
        counted = chosen.any(0) & (chosen.sum(0) < on.sum(0))  # (R, B)
        counted[0] = True
        q = posterior.fuse(encoded, chosen)
        if q.n_strata != 1:
            raise ValueError(f"TripleELBO needs a posterior with one stratum, got {q.n_strata}.")
        drawn = q.stratified(1)[0, 0]  # (R, B, D)
        kl = stratum_kl(q, model.prior())[0]
        kl = torch.where(counted, kl, torch.zeros_like(kl))
        joint, further, parts = kl.new_zeros(len(kl[0])), torch.zeros_like(kl[0]), {}
        scores = log_p_within(HeldAfterFirst(model), drawn, x, present, chosen)
        for name, log_p in scores.items():
            alone = 1 + model.names.index(name)
            counts = counted[[0, alone, *range(1 + len(on), len(counted))]]
            log_p = torch.where(counts, log_p, torch.zeros_like(log_p))
            joint = joint + model.weights[name] * log_p[0]
            further = further + self.own_weight * model.weights[name] * log_p[1:].sum(0)
            parts[f"-log p({name})"] = -log_p[0].detach()
            parts[f"-log p({name}) of subsets"] = -log_p[1:].sum(0).detach()
        fit = joint + self.gamma * further
        loss = at_step(self.beta, step) * (kl[0] + self.gamma * kl[1:].sum(0)) - fit
        if self.average:
            loss = loss / counted.sum(0)
        return Terms(
            loss, {**parts, "kl": kl[0].detach(), "kl of subsets": kl[1:].sum(0).detach()}
        )


class HeldAfterFirst(nn.Module):
    """Scores draws of several sets; decoders and likelihoods learn from the first set's alone.

    Arguments:
        model: The model.
    """

    def __init__(self, model: MultimodalVAE) -> None:
        super().__init__()
        self.model, self.names = model, model.names

    def log_likelihoods(
        self, z: Tensor, x: Batch, present: Present, *, each: bool = True
    ) -> Scores:
        """log p(x_m | z) in nats, ``(R, B)`` each, of draws ``z (M, R, B, D)``."""
        if not torch.is_grad_enabled():
            return self.model.log_likelihoods(z, x, present, each=each)
        first = self.model.log_likelihoods(z[:, :1], x, present, each=each)
        held = {
            f"model.{part}.{name}": weight.detach()
            for part in ("decoders", "likelihoods")
            for name, weight in self.model.get_submodule(part).named_parameters()
        }
        further = functional_call(self, held, (z[:, 1:], x, present, each))
        return Scores(tuple(first), torch.cat([first.together, further.together], 1))

    def forward(self, z: Tensor, x: Batch, present: Present, each: bool) -> Scores:
        """The model's own answer."""
        return self.model.log_likelihoods(z, x, present, each=each)


def seen_in_part(present: Present, tables: Mapping[str, int], share: float) -> dict[str, Tensor]:
    """Presence with some cells of a share of the rows left out.

    Such a row keeps each cell with a chance that is itself drawn between 0 and 1; a table of one
    column is left as it is.

    Arguments:
        present: What is there.
        tables: Name -> the number of columns.
        share: The share of the rows.
    """
    out = dict(present)
    some = next(iter(present.values()))
    for name, n_columns in tables.items():
        if n_columns < 2:
            continue
        # Drawn also where the batch names no such table, so that other draws do not change.
        whole, chance = torch.rand(2, len(some), 1, device=some.device)
        coins = torch.rand(len(some), n_columns, device=some.device)
        if name in present:
            keep = (whole >= share) | (coins < chance)
            out[name] = present[name].reshape(len(some), -1) & keep
    return out
