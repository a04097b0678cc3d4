r"""Features learned in stages: of each modality, of each pair, then of all together.

.. math:: u_m = g_m(x_m), \qquad v_{mn} = g_{mn}(u_m, u_n), \qquad
          z = g\big([1_{m \in S} u_m]_m, [1_{m, n \in S} v_{mn}]_{m < n}, [1_{m \in S}]_m\big)

Each stage learns one kind on every row that has what it needs, all earlier ones frozen:

1. *modalities*: :math:`u_m` on the rows that have m, which tells the target and m itself;
2. *pairs*: :math:`v_{mn}` on the rows that have both, which tells the target and (one pair a row,
   drawn) all else that the row has;
3. *fusion*: :math:`z` on all rows, which tells everything. Of a share of the rows a random part is
   withheld from it, nothing or all but one left, so that every subset is a task.

Each stage has its own decoders; its cost is the negative log-likelihood of what is told, the
target's times :math:`\alpha`.

References:
    Tao Zhou, Kim-Han Thung, Xiaofeng Zhu, Dinggang Shen. Effective feature learning and fusion of
    multimodality data using stage-wise deep neural network for dementia diagnosis. Human Brain
    Mapping 40, 2019. https://doi.org/10.1002/hbm.24428
    Kim-Han Thung, Pew-Thian Yap, Dinggang Shen. Multi-stage diagnosis of Alzheimer's disease with
    incomplete multimodal data via multi-task deep learning. DLMIA 2017.
    https://doi.org/10.1007/978-3-319-67558-9_19
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from types import MappingProxyType

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from polymodal.distributions.implicit import PartlyKnown
from polymodal.distributions.observed import Observed
from polymodal.likelihoods.base import Likelihood
from polymodal.model import Modality, Stage, row_log_prob
from polymodal.models.stagewise import StagewiseModel
from polymodal.networks.mlp import MLPEncoder
from polymodal.networks.weights import HIDDEN_GAIN
from polymodal.posteriors.features import chosen_modality, encode_all, withhold
from polymodal.typing import Batch, Present, Terms


class PairNetworks(nn.Module):
    """As many small networks as there are pairs, run as one.

    Arguments:
        n_modalities: The number of modalities M; there are P = M (M - 1) / 2 pairs.
        width: Size U of the features read and of those put out.
        hidden: Size of the hidden layer.
    """

    def __init__(self, n_modalities: int, width: int, hidden: int) -> None:
        super().__init__()
        pairs = torch.tensor(list(combinations(range(n_modalities), 2)), dtype=torch.long)
        self.pairs: Tensor
        self.register_buffer("pairs", pairs.reshape(-1, 2).T.contiguous(), persistent=False)
        n_pairs = self.pairs.shape[1]
        self.first = nn.Parameter(_started(n_pairs, 2 * width, hidden, HIDDEN_GAIN))
        self.first_bias = nn.Parameter(torch.zeros(n_pairs, 1, hidden))
        self.second = nn.Parameter(_started(n_pairs, hidden, width, 1.0))
        self.second_bias = nn.Parameter(torch.zeros(n_pairs, 1, width))

    def forward(self, own: Tensor) -> Tensor:
        """Features of the modalities ``(M, B, U)`` -> of the pairs ``(P, B, U)``."""
        both = torch.cat([own[self.pairs[0]], own[self.pairs[1]]], -1)
        inner = nn.functional.silu(both @ self.first + self.first_bias)
        return inner @ self.second + self.second_bias

    def on(self, present: Tensor) -> Tensor:
        """Which pairs are there: bool ``(M, B)`` -> ``(P, B)``."""
        return present[self.pairs[0]] & present[self.pairs[1]]


def _started(n: int, inputs: int, outputs: int, gain: float) -> Tensor:
    return (torch.rand(n, inputs, outputs) * 2 - 1) * gain * (3 / inputs) ** 0.5


class StagedModel(StagewiseModel):
    """Features of modalities, of pairs, of all: each learned with the earlier ones frozen.

    Arguments:
        modalities: The modalities; their decoders are made here, one for each stage.
        latent_dim: Size of the fused features z.
        feature_dim: Size of the features of modalities and pairs.
        target: The modality that every feature is trained to tell; "" for the last.
        alpha: Weight of the target's log-likelihood.
        withhold: Share of the rows of which a part is withheld in the last stage.
        hidden: Size of the hidden layers.

    Raises:
        ValueError: If a setting makes no sense.
    """

    lacks: Mapping[str, str] = MappingProxyType(
        {
            "score": "the features are deterministic, so that there is no density of a row.",
            "generate": "the features are deterministic and have no prior to draw them from.",
        }
    )

    def __init__(
        self,
        modalities: Sequence[Modality],
        latent_dim: int,
        *,
        feature_dim: int = 32,
        target: str = "",
        alpha: float = 10.0,
        withhold: float = 0.5,
        hidden: int = 128,
    ) -> None:
        super().__init__()
        if min(latent_dim, feature_dim, hidden) < 1:
            raise ValueError(
                "StagedModel: sizes must be at least 1, got "
                f"{latent_dim}, {feature_dim} and {hidden}."
            )
        if not 0 <= withhold <= 1 or not alpha >= 0:
            raise ValueError(
                "StagedModel: withhold must be in [0, 1] and alpha at least 0, got "
                f"{withhold} and {alpha}."
            )
        self.names = tuple(modality.name for modality in modalities)
        if len(set(self.names)) != len(self.names) or not self.names:
            raise ValueError(f"a model needs modalities of names of their own, got {self.names}.")
        self.target = self.names[chosen_modality(self.names, target, "target", -1)]
        self.alpha, self.share = float(alpha), float(withhold)
        self.weights = {modality.name: float(modality.weight) for modality in modalities}
        self._index = {name: i for i, name in enumerate(self.names)}
        n = len(self.names)
        sizes = [int(m.encoder.out_features) for m in modalities]  # pyright: ignore[reportArgumentType]
        self.likelihoods = nn.ModuleList(modality.likelihood for modality in modalities)
        self.encoders = nn.ModuleList(modality.encoder for modality in modalities)
        self.own = nn.ModuleList(nn.Linear(size, feature_dim) for size in sizes)
        self.own_decoders = nn.ModuleList(m.decoder(feature_dim) for m in modalities)
        self.fusion = MLPEncoder(
            (n + n * (n - 1) // 2) * feature_dim + n, (hidden, hidden), latent_dim
        )
        self.decoders = nn.ModuleList(m.decoder(latent_dim) for m in modalities)
        self.stages = (Stage("modalities"), Stage("fusion", 2.0))
        self.pairs = None
        if n > 1:
            self.pairs = PairNetworks(n, feature_dim, hidden)
            self.pair_decoders = nn.ModuleList(m.decoder(feature_dim) for m in modalities)
            self.stages = (Stage("modalities"), Stage("pairs"), Stage("fusion", 2.0))

    def likelihood(self, name: str) -> Likelihood:
        """The likelihood of a modality; it learns in every stage."""
        return self.likelihoods[self._index[name]]  # pyright: ignore[reportReturnType]

    def prior(self) -> Distribution:  # pyright: ignore[reportIncompatibleVariableOverride]
        """There is none.

        Raises:
            Lacking: Always.
        """
        self.check_offers("generate")
        raise NotImplementedError

    @property
    def learned(self) -> Sequence[Sequence[nn.Module]]:
        """The networks of modalities, of pairs where there are any, of all together."""
        own = [self.encoders, self.own, self.own_decoders]
        pairs = [] if self.pairs is None else [[self.pairs, self.pair_decoders]]
        return [own, *pairs, [self.fusion, self.decoders]]

    def posterior(  # pyright: ignore[reportIncompatibleVariableOverride]
        self, x: Batch, present: Present
    ) -> PartlyKnown:
        """The fused features of what is present, a point."""
        own, on = self._own_features(x, present)
        z = self._fused(own, self._pair_features(own), on)
        return PartlyKnown(z, torch.zeros_like(z))

    def decode(self, z: Tensor, names: Iterable[str]) -> dict[str, Observed]:
        """p(x_m | z) of each modality named."""
        names = tuple(names)
        self.check_names(names)
        return {name: self._decode(self.decoders, name, z) for name in names}

    def loss(self, x: Batch, present: Present, step: int = 0) -> Terms:
        """The stage's cost of each row in nats."""
        own, on = self._own_features(x, present)
        named = [name for name in self.names if name in present]
        stage = self.stages[self.stage].name
        if stage == "modalities":
            reads = {name: own[self._index[name]] for name in named}
            return self._terms(self.own_decoders, reads, own, on, x, present)
        pairs = self._pair_features(own)
        if stage == "fusion":
            z = self._fused(own, pairs, withhold(on, self.share, least=0))
            reads = dict.fromkeys(named, z)
            return self._terms(self.decoders, reads, z[None], None, x, present)
        there = self.pairs.on(on)  # pyright: ignore[reportOptionalMemberAccess]
        lots = torch.where(there, torch.rand(there.shape, device=there.device), -1.0)
        drawn = lots.argmax(0)  # (B,)
        one = pairs.gather(0, drawn[None, :, None].expand(1, -1, pairs.shape[-1]))[0]
        some = there.any(0)
        present = {
            name: present[name] & (some if present[name].ndim == 1 else some[:, None])
            for name in named
        }
        return self._terms(self.pair_decoders, dict.fromkeys(named, one), pairs, there, x, present)

    def _terms(
        self,
        decoders: nn.ModuleList,
        reads: Mapping[str, Tensor],
        for_target: Tensor,
        on: Tensor | None,
        x: Batch,
        present: Present,
    ) -> Terms:
        """The cost of telling each modality from what it reads ``(B, U)``.

        The target is told from every ``(K, B, U)`` of ``for_target`` that is ``on (K, B)``.
        """
        loss, parts = for_target.new_zeros(for_target.shape[1]), {}
        for name, read in reads.items():
            is_target = name == self.target
            p = self._decode(decoders, name, for_target if is_target else read)
            log_p = row_log_prob(p, x[name], present[name])
            if is_target:
                log_p = log_p if on is None else torch.where(on, log_p, torch.zeros_like(log_p))
                log_p = log_p.sum(0)
            weight = self.weights[name] * (self.alpha if is_target else 1.0)
            loss = loss - weight * log_p
            parts[f"-log p({name})"] = -log_p.detach()
        return Terms(loss, parts)

    def _own_features(self, x: Batch, present: Present) -> tuple[Tensor, Tensor]:
        """u_m ``(M, B, U)``, anything finite where absent, and presence ``(M, B)``."""
        features = encode_all(self.names, self.encoders, x, present)
        own = [layer(value) for layer, value in zip(self.own, features.values, strict=True)]
        return torch.stack(own), features.on

    def _pair_features(self, own: Tensor) -> Tensor:
        """v_mn ``(P, B, U)``; none of one modality."""
        return own[:0] if self.pairs is None else self.pairs(own)

    def _fused(self, own: Tensor, pairs: Tensor, on: Tensor) -> Tensor:
        """z ``(B, D)`` of the modalities ``on (M, B)``."""
        there = on if self.pairs is None else torch.cat([on, self.pairs.on(on)])
        every = torch.cat([own, pairs])
        every = torch.where(there.unsqueeze(-1), every, torch.zeros_like(every))
        flat = every.movedim(0, 1).flatten(1)
        return self.fusion(torch.cat([flat, on.T.to(flat)], -1))

    def _decode(self, decoders: nn.ModuleList, name: str, read: Tensor) -> Observed:
        out = decoders[self._index[name]](read.reshape(-1, read.shape[-1]))
        return self.likelihood(name)(out.reshape(*read.shape[:-1], *out.shape[1:]))
