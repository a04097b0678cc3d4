r"""Factorised representations: one vector that tells the label, and one for each modality.

Encoders are deterministic: :math:`z_y` from all inputs together, :math:`z_m` from each. Factors
:math:`f_y = F(z_y)` and :math:`f_m = F_m(z_m)` are what is decoded: the target from :math:`f_y`,
each input from both.

.. math::
    \mathcal L = -\alpha \log p(y \mid f_y) - \lambda_x \sum_m \log p(x_m \mid f_m, f_y)
        + \lambda \Big[\mathrm{MMD}^2(z_y, N) + \sum_m \mathrm{MMD}^2(z_m, N)\Big]
        + \mathcal L_{\text{missing}}

The discrepancies from draws of N(0, I) make generation possible; they are statistics of the
batch: rows are *not* independent, unless :math:`\lambda = 0`.

**Missing modalities.** A surrogate encoder reads whatever is there and says :math:`\hat z_y` and
the :math:`\hat z_m` of what is not. In training a part of each row is withheld from it, and
:math:`\mathcal L_{\text{missing}}` is the cost of target and inputs decoded from what it said in
the place of the withheld. The target is never read by the encoders, only by the surrogate, and
only where it was given: so that inputs can be asked given a label.

References:
    Yao-Hung Hubert Tsai, Paul Pu Liang, Amir Zadeh, Louis-Philippe Morency, Ruslan Salakhutdinov.
    Learning Factorized Multimodal Representations. ICLR 2019. https://arxiv.org/abs/1806.06176,
    sections 2.1 to 2.3.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

import torch
from torch import Tensor, nn

from polymodal.distributions.diagonal import Diagonal
from polymodal.distributions.implicit import PartlyKnown
from polymodal.distributions.observed import Observed
from polymodal.latent import LatentLayout
from polymodal.likelihoods.base import Likelihood
from polymodal.model import LatentModel, Modality, row_log_prob
from polymodal.networks.mlp import MLPEncoder
from polymodal.objectives.discrepancy import discrepancy
from polymodal.posteriors.features import (
    Features,
    SetNetwork,
    chosen_modality,
    encode_all,
    withhold,
)
from polymodal.priors.standard import StandardPrior
from polymodal.typing import Batch, Present, Terms


class FactorisedModel(LatentModel):
    """A discriminative vector and one for each input, all deterministic.

    Arguments:
        modalities: The modalities; their decoders are made here.
        latent_dim: Size of z_y, which all inputs share.
        private_dim: Size of each input's z_m.
        target: The modality that is predicted; "" for the last. A lone modality is an input, and
            there is no target.
        alpha: Weight of the target's log-likelihood.
        reconstruction: Weight of the inputs' log-likelihoods (lambda_x).
        discrepancy: Weight of the discrepancies from N(0, I) (lambda).
        withhold: Share of the rows of which something is withheld from the surrogate in training,
            in (0, 1]; of the other rows it is given all.
        hidden: Size of the hidden layers.

    Raises:
        ValueError: If a setting makes no sense.
    """

    lacks: Mapping[str, str] = MappingProxyType(
        {
            "score": "the encoders are deterministic, so that a posterior has no density to weigh "
            "draws by."
        }
    )

    def __init__(
        self,
        modalities: Sequence[Modality],
        latent_dim: int,
        private_dim: int,
        *,
        target: str = "",
        alpha: float = 10.0,
        reconstruction: float = 1.0,
        discrepancy: float = 1000.0,
        withhold: float = 0.8,
        hidden: int = 256,
    ) -> None:
        super().__init__()
        if min(latent_dim, private_dim, hidden) < 1:
            raise ValueError(
                "FactorisedModel: latent_dim, private_dim and hidden must be at least 1, got "
                f"{latent_dim}, {private_dim} and {hidden}."
            )
        if not min(alpha, reconstruction, discrepancy) >= 0 or not 0 < withhold <= 1:
            raise ValueError(
                "FactorisedModel: weights must be at least 0 and withhold in (0, 1], got "
                f"{alpha}, {reconstruction}, {discrepancy} and {withhold}."
            )
        self.names = tuple(modality.name for modality in modalities)
        if len(set(self.names)) != len(self.names) or not self.names:
            raise ValueError(f"a model needs modalities of names of their own, got {self.names}.")
        target_at = chosen_modality(self.names, target, "target", -1)
        self.target = self.names[target_at] if len(self.names) > 1 else None
        sizes = [int(m.encoder.out_features) for m in modalities]  # pyright: ignore[reportArgumentType]
        self._index = {name: i for i, name in enumerate(self.names)}
        self.inputs = tuple(name for name in self.names if name != self.target)
        at = [self._index[name] for name in self.inputs]
        self._at = at
        self.layout = LatentLayout(
            latent_dim, {n: 0 if n == self.target else private_dim for n in self.names}
        )
        self.alpha, self.reconstruction = float(alpha), float(reconstruction)
        self.discrepancy, self.share = float(discrepancy), float(withhold)
        self.weights = {modality.name: float(modality.weight) for modality in modalities}
        self.encoders = nn.ModuleList(modality.encoder for modality in modalities)
        self.fusion = SetNetwork([sizes[i] for i in at], hidden)
        self.label_head = nn.Linear(hidden, latent_dim)
        self.own_heads = nn.ModuleList(nn.Linear(sizes[i], private_dim) for i in at)
        self.surrogate = SetNetwork(sizes, hidden)
        self.surrogate_head = nn.Linear(hidden, self.layout.dim)
        self.label_factor = MLPEncoder(latent_dim, (hidden,), latent_dim)
        self.own_factors = nn.ModuleList(
            MLPEncoder(private_dim, (hidden,), private_dim) for _ in at
        )
        self.decoders = nn.ModuleList(m.decoder(self.layout.dim_of(m.name)) for m in modalities)
        self.likelihoods = nn.ModuleList(modality.likelihood for modality in modalities)
        self._prior = StandardPrior(self.layout.dim)

    def likelihood(self, name: str) -> Likelihood:
        """The likelihood of a modality."""
        return self.likelihoods[self._index[name]]  # pyright: ignore[reportReturnType]

    def prior(self) -> Diagonal:  # pyright: ignore[reportIncompatibleVariableOverride]
        """N(0, I) over ``[z_y | z_1 | ... ]``, event shape ``(D,)``."""
        return self._prior()  # pyright: ignore[reportReturnType]

    def posterior(  # pyright: ignore[reportIncompatibleVariableOverride]
        self, x: Batch, present: Present
    ) -> PartlyKnown:
        """A point where anything is present; the prior where nothing is."""
        features = encode_all(self.names, self.encoders, x, present)
        z = self._mixed(features, self._encoded(features), features.on)
        nothing = ~features.on.any(0).unsqueeze(-1)
        z = torch.where(nothing, torch.zeros_like(z), z)
        return PartlyKnown(z, nothing.to(z))

    def decode(self, z: Tensor, names: Iterable[str]) -> dict[str, Observed]:
        """p(x_m | f_m, f_y) or p(y | f_y) of each modality named; ``z (..., D)``."""
        names = tuple(names)
        self.check_names(names)
        shared = self.layout.shared
        label = self.label_factor(z[..., :shared])
        decoded = {}
        for name in names:
            read = label
            if name != self.target:
                own = self.own_factors[self.inputs.index(name)]
                read = torch.cat([own(self.layout.select(z, name)[..., shared:]), label], -1)
            out = self.decoders[self._index[name]](read.reshape(-1, read.shape[-1]))
            decoded[name] = self.likelihood(name)(out.reshape(*z.shape[:-1], *out.shape[1:]))
        return decoded

    def loss(self, x: Batch, present: Present, step: int = 0) -> Terms:
        """The objective of each row in nats; discrepancies are what the row adds to them."""
        features = encode_all(self.names, self.encoders, x, present)
        encoded = self._encoded(features)
        full = self._mixed(features, encoded, features.on)
        # Withheld from the surrogate, and its answer in the place of what was withheld.
        said = self._mixed(features, encoded, withhold(features.on, self.share))
        decoded = self.decode(torch.stack([full, said]), [n for n in self.names if n in present])
        log_p = {n: row_log_prob(p, x[n], present[n]) for n, p in decoded.items()}  # (2, B)
        apart = self._discrepancies(full, features.on)
        loss, parts = self.discrepancy * apart, {"discrepancy": apart.detach()}
        for name, value in log_p.items():
            weight = self.alpha if name == self.target else self.reconstruction
            loss = loss - weight * self.weights[name] * value.sum(0)
            parts[f"-log p({name})"] = -value[0].detach()
            parts[f"-log p({name}) missing"] = -value[1].detach()
        return Terms(loss, parts)

    def _encoded(self, features: Features) -> Tensor:
        """``[z_y | z_1 | ...]`` as the encoders have it, ``(B, D)``; zeros where absent."""
        values = [features.values[i] for i in self._at]
        on = features.on[self._at]
        blocks = [self.label_head(self.fusion(values, on))]
        blocks += [head(value) for head, value in zip(self.own_heads, values, strict=True)]
        return torch.cat(blocks, -1)

    def _mixed(self, features: Features, encoded: Tensor, on: Tensor) -> Tensor:
        """The latent vector given ``on (M, B)``: encoded where it is, else the surrogate's."""
        said = self.surrogate_head(self.surrogate(features.values, on))
        known = self.layout.private_on(on)  # (B, W)
        whole = on[self._at].all(0).unsqueeze(-1).expand(-1, self.layout.shared)
        return torch.where(torch.cat([whole, known], -1), encoded, said)

    def _discrepancies(self, z: Tensor, on: Tensor) -> Tensor:
        """What each row adds to the discrepancies of all blocks from N(0, I), ``(B,)``."""
        real, anything = torch.randn_like(z), on.any(0)
        shared = self.layout.shared
        total = discrepancy(z[:, :shared], real[:, :shared], anything)
        for name in self.inputs:
            own, drawn = (self.layout.select(v, name)[:, shared:] for v in (z, real))
            total = total + discrepancy(own, drawn, anything)
        return total
