r"""POISE-VAE: a latent vector a modality, tied by an energy instead of by fusion.

.. math:: p(z) \propto \prod_m N(z_m) \exp \sum_{m<n} T(z_m)^\top G_{mn} T(z_n), \qquad
          q(z \mid x) \propto p(z) \exp \sum_{m \in S} \nu_m(x_m)^\top T(z_m)

A modality that is absent says nothing: its :math:`\nu` is 0, and its latent vector follows those
of the others. Modality m is decoded from :math:`z_m` alone. Posterior and prior are known up to
their normalisers and drawn by block-Gibbs chains, those of the posterior from the mean field of
the row, those of the prior from persistent chains; neither has a density.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from types import MappingProxyType

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from polymodal.distributions.implicit import Implicit
from polymodal.distributions.observed import Observed
from polymodal.likelihoods.base import Likelihood
from polymodal.model import LatentModel, Modality
from polymodal.models.chains import PersistentChains
from polymodal.models.gibbs import gibbs, posterior_draws
from polymodal.models.interaction import Interaction, moments, natural, statistics
from polymodal.posteriors.features import encode_all
from polymodal.typing import Batch, Present, Terms

_MEAN_CHAINS = 32


class EnergyDistribution(Implicit):
    """Draws of all latent vectors by block Gibbs, each draw from a chain of its own.

    Arguments:
        matrix: All blocks of G, ``(2 M d, 2 M d)``.
        evidence: nu, ``(B, M, 2 d)``; ``(M, 2 d)`` for the prior.
        sweeps: Sweeps of each chain, and of the mean field before them.
        chains: States ``(C, M, d)`` from which draws begin at random, as the prior's do: one mean
            field would begin them all in the same place. None for the mean field of each row.
    """

    def __init__(
        self, matrix: Tensor, evidence: Tensor, sweeps: int, chains: Tensor | None = None
    ) -> None:
        size = evidence.shape[-2] * evidence.shape[-1] // 2
        super().__init__(evidence.shape[:-2], size)
        self.matrix, self.evidence, self.sweeps, self.chains = matrix, evidence, sweeps, chains

    def sample(self, sample_shape: torch.Size | tuple[int, ...] = ()) -> Tensor:
        """Independent draws, ``(*sample_shape, B, M d)``."""
        return self._states(tuple(sample_shape)).flatten(-2)

    @cached_property
    def _mean(self) -> Tensor:
        z = self._states((_MEAN_CHAINS,))
        with torch.no_grad():
            mean, _ = moments(natural(self.matrix, self.evidence, statistics(z)))
        return mean.mean(0).flatten(-2)

    @property
    def mean(self) -> Tensor:
        """The mean of the conditional means over some chains, ``(B, M d)``; drawn once."""
        return self._mean

    def _states(self, shape: tuple[int, ...]) -> Tensor:
        if self.chains is None:
            return posterior_draws(self.matrix, self.evidence, shape, self.sweeps, self.sweeps)
        chosen = torch.randint(len(self.chains), shape, device=self.chains.device)
        return gibbs(self.matrix, self.evidence, self.chains[chosen], self.sweeps)


class EvidenceHead(nn.Module):
    """An encoder's features -> nu, as the location and the precision of a Gaussian in z_m.

    Arguments:
        features: Size of the encoder's output.
        dim: Size d of the latent vector.
    """

    def __init__(self, features: int, dim: int) -> None:
        super().__init__()
        self.linear = nn.Linear(features, 2 * dim)

    def forward(self, features: Tensor) -> Tensor:
        """Features ``(B, F)`` -> nu ``(B, 2 d)`` in float32 or better, half of it negative."""
        out = self.linear(features)
        out = out.to(torch.promote_types(out.dtype, torch.float32))
        loc, raw = out.chunk(2, -1)
        precision = softplus(raw)
        return torch.cat([loc * precision, -0.5 * precision], -1)


class POISE(LatentModel):
    """Encoders that give evidence, an energy, decoders, an objective.

    The latent vector is ``[z_1 | ... | z_M]``.

    Arguments:
        modalities: The modalities.
        dim: Size d of each latent vector.
        objective: Model + batch -> Terms.
        field_sweeps: Sweeps of the mean field where the chains of a training step begin.
        sweeps: Gibbs sweeps of these chains.
        prior_sweeps: Gibbs sweeps of the persistent chains in a step; with 1 they stay behind.
        answer_sweeps: Sweeps of mean field and Gibbs for an answer.
        n_chains: Persistent chains of the prior.
    """

    lacks: Mapping[str, str] = MappingProxyType(
        {"score": "the energies of prior and posterior have no normaliser that can be computed."}
    )

    def __init__(
        self,
        modalities: Sequence[Modality],
        dim: int,
        objective: nn.Module,
        *,
        field_sweeps: int = 3,
        sweeps: int = 1,
        prior_sweeps: int = 3,
        answer_sweeps: int = 15,
        n_chains: int = 128,
    ) -> None:
        super().__init__()
        self.names = tuple(modality.name for modality in modalities)
        if len(set(self.names)) != len(self.names) or not self.names:
            raise ValueError(
                f"a model needs modalities, each with a name of its own, got {self.names}."
            )
        given = {"latent_dim": dim, "field_sweeps": field_sweeps, "sweeps": sweeps}
        given |= {"prior_sweeps": prior_sweeps, "answer_sweeps": answer_sweeps}
        given["chains"] = n_chains
        for what, value in given.items():
            if value < 1:
                raise ValueError(f"poise: {what} must be at least 1, got {value}.")
        self.dim, self.objective = dim, objective
        self.field_sweeps, self.sweeps = field_sweeps, sweeps
        self.prior_sweeps, self.answer_sweeps = prior_sweeps, answer_sweeps
        self.encoders = nn.ModuleList(m.encoder for m in modalities)
        self.heads = nn.ModuleList(
            EvidenceHead(int(m.encoder.out_features), dim)  # pyright: ignore[reportArgumentType]
            for m in modalities
        )
        self.interaction = Interaction(len(modalities), dim)
        self.decoders = nn.ModuleList(m.decoder(dim) for m in modalities)
        self.likelihoods = nn.ModuleList(m.likelihood for m in modalities)
        self.weights = {modality.name: float(modality.weight) for modality in modalities}
        self.chains = PersistentChains(torch.randn(n_chains, len(modalities) * dim))
        self._index = {name: i for i, name in enumerate(self.names)}

    def evidence(self, x: Batch, present: Present) -> Tensor:
        """nu of each row and modality, 0 where it is absent, ``(B, M, 2 d)``.

        Raises:
            ValueError: If the batch names no modality of the model.
        """
        features = encode_all(self.names, self.encoders, x, present)
        said = [head(value) for head, value in zip(self.heads, features.values, strict=True)]
        nu = torch.stack(said, 1)
        return torch.where(features.on.T.unsqueeze(-1), nu, torch.zeros_like(nu))

    def posterior(self, x: Batch, present: Present) -> EnergyDistribution:  # pyright: ignore[reportIncompatibleMethodOverride,reportIncompatibleVariableOverride]
        """q(z | what is present), batch shape ``(B,)``."""
        return EnergyDistribution(
            self.interaction(), self.evidence(x, present), self.answer_sweeps
        )

    def prior(self) -> EnergyDistribution:  # pyright: ignore[reportIncompatibleMethodOverride,reportIncompatibleVariableOverride]
        """p(z), whose chains go on from the persistent ones."""
        matrix = self.interaction()
        nothing = matrix.new_zeros(len(self.names), 2 * self.dim)
        chains = self.chains.after.unflatten(-1, (len(self.names), self.dim))
        return EnergyDistribution(matrix, nothing, self.answer_sweeps, chains)

    def likelihood(self, name: str) -> Likelihood:
        """The likelihood of a modality."""
        return self.likelihoods[self._index[name]]  # pyright: ignore[reportReturnType]

    def decode(self, z: Tensor, names: Iterable[str]) -> dict[str, Observed]:
        """p(x_m | z_m) of each modality named; ``z (..., M d)``.

        Raises:
            ValueError: If a name is not a modality of the model.
        """
        names = tuple(names)
        self.check_names(names)
        decoded = {}
        every = z.unflatten(-1, (-1, self.dim)).unbind(-2)
        for name in names:
            m = self._index[name]
            out = self.decoders[m](every[m].reshape(-1, self.dim))
            decoded[name] = self.likelihood(name)(out.reshape(*z.shape[:-1], *out.shape[1:]))
        return decoded

    def fantasies(self, matrix: Tensor, step: int) -> Tensor:
        """The prior's persistent chains after a step of training, ``(C, M, d)``."""
        shape = (len(self.chains.before), len(self.names), self.dim)
        nothing = matrix.new_zeros(len(self.names), 2 * self.dim)

        def move(state: Tensor) -> Tensor:
            return gibbs(matrix, nothing, state.reshape(shape), self.prior_sweeps).flatten(-2)

        return self.chains.advance(step, move).reshape(shape)

    def loss(self, x: Batch, present: Present, step: int = 0) -> Terms:
        """The objective of the model on a batch: one value a row in nats."""
        return self.objective(self, x, present, step)
