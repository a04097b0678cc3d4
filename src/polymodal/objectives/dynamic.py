r"""The objective of the explainable dynamic multimodal VAE.

.. math:: \mathcal L = -\mathrm{ELBO}(S) - \sum_{m \in S \cap A} \mathrm{ELBO}(\{m\})
          - \gamma \log p\big(y \mid \mu(x_{S \setminus y})\big), \qquad
          \mathrm{ELBO}(B) = \mathbb E_{q_B} \sum_{m \in B} \beta_m \log p(x_m \mid z)
          - \alpha\, \mathrm{KL}(q_B \| p)

S is what a row has, A are the modalities with an ELBO of their own (in the paper the pictures)
and :math:`\beta_m` the modalities' weights. With a target y, its decoder is also a classifier that
reads the mean of the posterior given all but y, as it does when y is asked for.

References:
    Ling-Yun Xu, Qi Liu, Hui Pan, Jiang-Feng Mao, Min Liang, Hui-Jun Wang, Ting Chen. Explainable
    Dynamic Multimodal Variational Autoencoder for the Prediction of Patients with Suspected
    Central Precocious Puberty. IEEE JBHI 26, 2022. https://doi.org/10.1109/JBHI.2021.3103271.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from polymodal.model import MultimodalVAE
from polymodal.objectives.pieces import at_step, checked_weight, stratum_kl, weighted_sum
from polymodal.objectives.schedules import Schedule
from polymodal.objectives.subsampled import all_and_single
from polymodal.posteriors.fused import FusedPosterior
from polymodal.typing import Batch, Present, Terms


class DynamicELBO(nn.Module):
    """The ELBO of what a row has, of some modalities alone, and a classifier's log-likelihood.

    Arguments:
        alone: Whether each modality has an ELBO of its own, in the model's order.
        alpha: Weight of the divergence: a number or a schedule of the optimiser's step.
        target: The modality that is predicted, by its place; None for none.
        supervision: Weight gamma of its log-likelihood at the mean.
    """

    def __init__(
        self,
        alone: Sequence[bool],
        alpha: float | Schedule = 1.0,
        target: int | None = None,
        supervision: float = 1.0,
    ) -> None:
        super().__init__()
        self.alpha = checked_weight("DynamicELBO", "alpha", alpha)
        if not supervision >= 0:
            raise ValueError(f"DynamicELBO: supervision must be at least 0, got {supervision}.")
        self.alone, self.target, self.supervision = tuple(alone), target, supervision

    def forward(self, model: MultimodalVAE, x: Batch, present: Present, step: int) -> Terms:
        """The objective of each row in nats."""
        posterior: FusedPosterior = model.posterior  # pyright: ignore[reportAssignmentType]
        encoded = posterior.encode(x, present)
        on = encoded.on
        alone = torch.tensor([True, *self.alone], device=on.device).unsqueeze(-1)
        chosen = all_and_single(on) & alone  # (M, 1 + M, B)
        n_bounds = chosen.shape[1]
        others = on
        if self.target is not None:
            others = on.clone()
            others[self.target] = False
            chosen = torch.cat([chosen, others.unsqueeze(1)], 1)
        q = posterior.fuse(encoded, chosen)
        if q.n_strata != 1:
            raise ValueError(f"DynamicELBO needs a posterior with one stratum, got {q.n_strata}.")
        z = q.stratified(1)[0, 0]  # (R, B, D)
        z = torch.cat([z[:n_bounds], q.loc[0, n_bounds:]])
        kl = stratum_kl(q, model.prior())[0, :n_bounds]
        kl = torch.where(chosen[:, :n_bounds].any(0), kl, torch.zeros_like(kl))
        parts = {"kl": kl[0].detach(), "kl alone": kl[1:].sum(0).detach()}
        log_p = self._log_likelihoods(model, z, x, present)
        parts |= {f"-log p({name})": -one[0].detach() for name, one in log_p.items()}
        n_own = {name: 1 + alone for name, alone in zip(model.names, self.alone, strict=True)}
        bounds = {name: one[: n_own[name]].sum(0) for name, one in log_p.items()}
        loss = at_step(self.alpha, step) * kl.sum(0) - weighted_sum(model, bounds)
        if self.target is not None:
            name, at_mean = model.names[self.target], torch.zeros_like(loss)
            if name in log_p:
                # Where the target is all that a row has, there is nothing to tell it from.
                at_mean = torch.where(others.any(0), log_p[name][-1], at_mean)
            parts["-log p(target at the mean)"] = -at_mean.detach()
            loss = loss - self.supervision * at_mean
        return Terms(loss, parts)

    def _log_likelihoods(
        self, model: MultimodalVAE, z: Tensor, x: Batch, present: Present
    ) -> dict[str, Tensor]:
        """log p(x_m | z) of each modality in nats, zero in rows that lack it.

        Arguments:
            model: The model.
            z: What all sets say: all that a row has, each modality alone, all but the target,
                ``(R, B, D)``.
            x: Values.
            present: What is there.

        Returns:
            Name -> ``(R_m, B)``: from all, then from the modality alone if it has an ELBO of its
            own, then of the target from the others. Each decoder runs once.
        """
        alike: dict[tuple[bool, bool], list[int]] = {}
        for m, name in enumerate(model.names):
            if name in present:
                alike.setdefault((self.alone[m], m == self.target), []).append(m)
        found: dict[str, Tensor] = {}
        for (alone, target), members in alike.items():
            sets = [[0] + [1 + m] * alone + [len(z) - 1] * target for m in members]
            names = [model.names[m] for m in members]
            own = z[torch.tensor(sets, device=z.device)]
            found |= model.log_likelihoods(own, x, present, names, each=True)
        return {name: found[name] for name in model.names if name in found}
