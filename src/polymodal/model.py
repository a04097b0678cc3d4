"""The model: parts and the four verbs; it knows no paper and no loss.

``posterior(x, present)``, ``prior()``, ``decode(z, names)`` and ``loss(x, present, step)``: tasks,
metrics and reports depend on these only.
"""

from __future__ import annotations

import abc
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from types import MappingProxyType

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from polymodal.distributions.observed import Observed
from polymodal.latent import LatentLayout
from polymodal.likelihoods.base import Likelihood
from polymodal.likelihoods.together import ScoredTogether, Scores
from polymodal.networks.side_by_side import Answers, SideBySide
from polymodal.typing import Batch, Present, Terms, rows_present


@dataclass(frozen=True)
class Modality:
    """One modality's networks and likelihood.

    Arguments:
        name: Any string; it is never an attribute or a parameter name.
        encoder: ``(x)`` or ``(x, cells)`` -> features ``(B, F)``; has ``out_features``.
        decoder: Makes the decoder when told how many latent numbers it reads.
        likelihood: What turns the decoder's output into p(x_m | z).
        weight: The weight of its log-likelihood in training (lambda); evaluation never uses it.
    """

    name: str
    encoder: nn.Module
    decoder: Callable[[int], nn.Module]
    likelihood: Likelihood
    weight: float = 1.0

    def __post_init__(self) -> None:
        if not self.weight > 0:
            raise ValueError(
                f"modality {self.name!r}: weight must be positive, got {self.weight}."
            )


class Lacking(ValueError):
    """A model was asked for what its family does not define."""


@dataclass(frozen=True)
class Stage:
    """A part of the training, such as autoencoders before a model of their latents.

    Arguments:
        name: What one calls it.
        share: Its share of the epochs; the shares of all stages count by their ratio.
    """

    name: str
    share: float = 1.0

    def __post_init__(self) -> None:
        if not self.share > 0:
            raise ValueError(f"stage {self.name!r}: share must be positive, got {self.share}.")


class LatentModel(nn.Module, abc.ABC):
    """The four verbs that every family of models offers.

    Attributes:
        names: The modalities, in order.
        lacks: Verb ("score", "generate"...) -> one sentence why the family does not offer it.
        stages: The stages of training, in order; validation counts in the last one only.
        stage: The stage that ``loss`` belongs to; the last one in a fitted model.
        at_mean: Modalities that a supervised head reads off the posterior's mean, given all
            others; the rest are averaged over draws.
        closed_form: Whether ``start_from`` is all the fitting there is.
        rough: Whether quick answers will do: validation asks for many after every epoch. Families
            whose draws are the ends of long chains take fewer steps then.
    """

    names: tuple[str, ...]
    posterior: Callable[[Batch, Present], Distribution]
    prior: Callable[[], Distribution]
    lacks: Mapping[str, str] = MappingProxyType({})
    at_mean: frozenset[str] = frozenset()
    stages: tuple[Stage, ...] = (Stage("all"),)
    stage: int = -1
    closed_form: bool = False
    rough: bool = False

    @abc.abstractmethod
    def decode(self, z: Tensor, names: Iterable[str]) -> dict[str, Observed]:
        """p(x_m | z) of each modality named; ``z (..., D)``, batch shape ``(...)``."""

    @abc.abstractmethod
    def likelihood(self, name: str) -> Likelihood:
        """The likelihood of a modality."""

    @abc.abstractmethod
    def loss(self, x: Batch, present: Present, step: int) -> Terms:
        """The training objective, one value a row in nats."""

    def decode_density(self, z: Tensor, names: Iterable[str]) -> dict[str, Observed]:
        """As ``decode``, but where a family draws its means: then those of the density alone."""
        return self.decode(z, names)

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return next(chain(self.parameters(), self.buffers())).device

    def answer_posterior(self, x: Batch, present: Present) -> Distribution:
        """What questions are answered from: the posterior, unless a paper has another for that."""
        return self.posterior(x, present)

    def proposal(self, x: Batch, present: Present) -> Distribution:
        """What importance sampling draws from: any good guess at p(z | x)."""
        return self.posterior(x, present)

    def for_points(self, z: Tensor, present: Present) -> Tensor:
        """Draws ``(K, B, D)`` of the answer's posterior as point estimates read them."""
        return z

    def enter(self, stage: int) -> None:
        """Begin a stage of training, by its number; children freeze and free parts here."""
        self.stage = stage

    def start_from(self, x: Batch, present: Present) -> None:
        """Look at all training rows once, before training: natural scales, closed forms."""
        for name in self.names:
            there = present[name]
            self.likelihood(name).start_from(x[name], there if there.ndim == 2 else None)

    def end_with(self, batches: Iterable[tuple[Batch, Present]], step: int) -> None:
        """Look at training rows once more, after training; most families need not.

        Arguments:
            batches: Values and presence of the rows, batch by batch.
            step: How many steps of the optimiser there were.
        """

    def check_offers(self, verb: str) -> None:
        """Raise a ``Lacking`` that says why, if the family does not offer a verb."""
        if verb in self.lacks:
            raise Lacking(f"{verb}: {self.lacks[verb]}")

    def check_names(self, names: Iterable[str]) -> None:
        """Raise a ValueError that names the first that is not a modality of the model."""
        for name in names:
            if name not in self.names:
                raise ValueError(f"no modality {name!r}; the model knows {', '.join(self.names)}.")

    def calibrate(self, name: str, z: Tensor, value: Tensor, mask: Tensor) -> None:
        """Let a likelihood measure its scale on values that were hidden from ``z (K, B, D)``."""
        self.likelihood(name).calibrate(self.decode(z, (name,))[name], value, mask)

    def log_likelihoods(
        self, z: Tensor, x: Batch, present: Present, names: Iterable[str] | None = None
    ) -> Mapping[str, Tensor]:
        """log p(x_m | z) in nats, true and unweighted.

        Arguments:
            z: Latent vectors, ``(..., B, D)``.
            x: Values; under a false mask they may be anything.
            present: What is there.
            names: The modalities to score; all that ``present`` names when None.

        Returns:
            Name -> ``(..., B)``, zero in the rows where the modality is absent.
        """
        wanted = [name for name in (self.names if names is None else names) if name in present]
        decoded = self.decode(z, wanted)
        return {name: row_log_prob(decoded[name], x[name], present[name]) for name in wanted}


def row_log_prob(p: Observed, x: Tensor, mask: Tensor) -> Tensor:
    """Log-likelihood in nats of what is there, zero in absent rows, ``(..., B)``."""
    zero = torch.zeros((), dtype=x.dtype, device=x.device)
    if mask.ndim == 2:
        return p.log_prob(torch.where(mask, x, zero), mask)
    if x.device.type == "cpu" and bool(mask.all()):
        return p.log_prob(x)
    value = torch.where(mask.reshape(-1, *(1,) * (x.ndim - 1)), x, zero)
    log_p = p.log_prob(value)
    return torch.where(mask, log_p, torch.zeros_like(log_p))


class MultimodalVAE(LatentModel):
    """Modalities + latent layout + posterior + prior + objective.

    Arguments:
        modalities: The modalities; their decoders are made here.
        layout: The latent layout.
        posterior: Data + presence -> strata over the whole latent vector.
        prior: ``forward()`` -> a distribution over the whole latent vector.
        objective: Model + batch -> Terms.
    """

    def __init__(
        self,
        modalities: Sequence[Modality],
        layout: LatentLayout,
        posterior: nn.Module,
        prior: nn.Module,
        objective: nn.Module,
    ) -> None:
        super().__init__()
        self.names = tuple(modality.name for modality in modalities)
        if len(set(self.names)) != len(self.names) or not self.names:
            raise ValueError(
                f"a model needs modalities, each with a name of its own, got {self.names}."
            )
        self.layout = layout
        self.posterior = posterior
        self.prior = prior
        self.objective = objective
        # Lists, not dictionaries: torch refuses names such as "type" or "a.b" as keys.
        self.decoders = nn.ModuleList(m.decoder(layout.dim_of(m.name)) for m in modalities)
        self.likelihoods = nn.ModuleList(m.likelihood for m in modalities)
        self.weights = {modality.name: float(modality.weight) for modality in modalities}
        self._index = {name: i for i, name in enumerate(self.names)}
        self._decode = SideBySide(self.decoders)
        self._score = ScoredTogether(self.likelihoods)

    def answer_posterior(self, x: Batch, present: Present) -> Distribution:
        """The posterior's own for answers, where it has one; see the base class."""
        return getattr(self.posterior, "answer", self.posterior)(x, present)

    def likelihood(self, name: str) -> Likelihood:
        """The likelihood of a modality."""
        return self.likelihoods[self._index[name]]  # pyright: ignore[reportReturnType]

    def decode(self, z: Tensor, names: Iterable[str]) -> dict[str, Observed]:
        """p(x_m | z) of each modality named; leading axes are folded into the batch.

        Raises:
            ValueError: If a name is not a modality of the model.
        """
        names = tuple(names)
        outs = self._outputs(z, names, each=False).each
        return {name: self.likelihood(name)(outs[self._index[name]]) for name in names}

    def log_likelihoods(
        self,
        z: Tensor,
        x: Batch,
        present: Present,
        names: Iterable[str] | None = None,
        *,
        each: bool = False,
    ) -> Scores:
        """log p(x_m | z) in nats, true and unweighted; see the base class.

        Arguments:
            z: Latent vectors, ``(..., B, D)``; with ``each``, ``(M, ..., B, D)``.
            x: Values; under a false mask they may be anything.
            present: What is there.
            names: The modalities to score; all that ``present`` names when None.
            each: Whether every modality scored has latent vectors of its own.
        """
        wanted = [name for name in (self.names if names is None else names) if name in present]
        if not wanted:
            return Scores((), z.new_zeros(0, *z.shape[each:-1]))
        outs = self._outputs(z, wanted, each=each)
        if outs.together is not None:
            scores = self._score(
                outs.together, [x[name] for name in wanted], [present[name] for name in wanted]
            )
            if scores is not None:
                return Scores(wanted, scores)
        scores = [
            row_log_prob(self.likelihood(name)(out), x[name], present[name])
            for name, out in ((name, outs.each[self._index[name]]) for name in wanted)
        ]
        return Scores(wanted, torch.stack(scores))

    def _outputs(self, z: Tensor, names: Sequence[str], *, each: bool) -> Answers:
        """What the decoders named put out, in the model's order, ``(..., B, Q)`` each."""
        self.check_names(names)
        lead = z.shape[each:-1]
        everyone = tuple(names) == self.names
        if everyone and self.layout.private_dim == 0:
            z_all = (
                z.flatten(1, -2) if each else z.reshape(-1, z.shape[-1]).expand(len(names), -1, -1)
            )
            out = self._decode.whole(z_all)
            if out is not None:
                return Answers(None, out.reshape(len(names), *lead, *out.shape[2:]))
        reads: list[Tensor | None] = [None] * len(self.names)
        for i, name in enumerate(names):
            read = self.layout.select(z[i] if each else z, name)
            reads[self._index[name]] = read.reshape(-1, read.shape[-1])
        outs = self._decode(reads)
        if outs.together is not None and everyone:
            out = outs.together
            return Answers(None, out.reshape(len(names), *lead, *out.shape[2:]))
        return Answers(
            [None if out is None else out.reshape(*lead, *out.shape[1:]) for out in outs.each]
        )

    def loss(self, x: Batch, present: Present, step: int = 0) -> Terms:
        """The objective of the model on a batch: one value a row in nats."""
        return self.objective(self, x, present, step)


def presence(model: LatentModel, present: Present) -> Tensor:
    """Presence of the model's modalities, in its order, bool ``(M, B)``."""
    some = next(iter(present.values()))
    nowhere = torch.zeros(len(some), dtype=torch.bool, device=some.device)
    return torch.stack(
        [rows_present(present[n]) if n in present else nowhere for n in model.names]
    )
