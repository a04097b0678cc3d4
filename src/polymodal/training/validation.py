r"""The signal that stops training: can the model tell what it was not shown?

For pairs (row, known modality h) of held-out rows, h is hidden, at least one other modality stays,
and the score is

.. math:: \log \hat p(x_h \mid x_{-h}) = \log \frac1K \sum_k p(x_h \mid z_k),
          \qquad z_k \sim q(z \mid x_{-h}).

A loss would not do: it depends on warm-ups and weights, and reconstruction rewards copying.

**Scale.** An image of 3,072 numbers would drown a label. So the log-likelihoods of each modality
are summed and divided by the number of known values they were over (nats a value), and the score
is the plain mean over modalities. For any kind that number is of order one, and it moves by what
the others say of one value of this modality, so none can hide behind another's size.

**Calibration.** A learned scale is that of reconstruction, and a model that is shown everything it
must tell learns one that is far too small for what was hidden. Before the score is taken, each
likelihood measures on the same pairs how much wider its scale must be (`Likelihood.calibrate`);
evaluation, and so every interval that users see, has the wider one.

Which pairs are hidden, and every draw, follow from the seed alone: the same weights always get the
same number, whatever the epoch. Where no row has two modalities the score is the log-evidence with
nothing hidden, estimated by importance weighting, in nats a value.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.distributions import Distribution

from polymodal.model import LatentModel
from polymodal.random import derive_seed
from polymodal.training.distributed import World
from polymodal.training.randomness import borrowed_draws, reseed
from polymodal.training.source import Source, to_device
from polymodal.typing import Batch, Present, rows_present

FEWEST_PAIRS = 512
"""With fewer held-out rows than this, several modalities of a row are hidden in turn."""
MOST_PAIRS = 8192
"""Beyond this the score moves less than the noise of training does."""
DRAWS = 8
CALIBRATION_ROWS = 512
_CALIBRATION = 1 << 40  # no batch has this number
_STREAM = 0x76616C  # keeps these seeds apart from those of the training steps


@dataclass(frozen=True)
class ValidationScore:
    """The score of held-out rows.

    Arguments:
        score: Mean over the modalities, nats a value; higher is better.
        parts: The same for each modality.
        pairs: How many (row, hidden modality) pairs it is over.
    """

    score: float
    parts: dict[str, float]
    pairs: int


class HeldOut:
    """Held-out rows and the fixed choice of what is hidden in each.

    Arguments:
        source: The rows.
        names: The model's modalities, in order.
        seed: The choice and the draws follow from it.
        batch_size: Rows at a time.
        world: The processes that share the work.
    """

    def __init__(
        self, source: Source, names: tuple[str, ...], *, seed: int, batch_size: int, world: World
    ) -> None:
        self._source, self._names, self._world = source, names, world
        self._seed, self._batch_size = seed, batch_size
        self.rows, self.hidden = self._choose()  # (N,), (N,): row and modality of each pair
        self.pairs = len(self.rows)
        if not self.pairs:
            self.rows = torch.arange(len(source))[:MOST_PAIRS]

    def _choose(self) -> tuple[Tensor, Tensor]:
        known = [
            torch.stack(
                [
                    rows_present(present[name]).cpu()
                    if name in present
                    else torch.zeros(len(index), dtype=torch.bool)
                    for name in self._names
                ],
                1,
            )
            for index in torch.arange(len(self._source)).split(self._batch_size)
            for present in (self._source.gather(index)[1],)
        ]
        on = torch.cat(known)  # (rows, M)
        generator = torch.Generator().manual_seed(derive_seed(self._seed, _STREAM))
        lots = torch.rand(on.shape, generator=generator)
        lots = torch.where(on & (on.sum(1, keepdim=True) > 1), lots, 2.0)  # 2: not to be hidden
        ranks = lots.argsort(1).argsort(1)  # (rows, M): 0 is the first to hide
        able = int((lots < 2).any(1).sum())
        each = math.ceil(FEWEST_PAIRS / max(1, able))
        rows, hidden = ((lots < 2) & (ranks < each)).nonzero(as_tuple=True)
        if len(rows) > MOST_PAIRS:
            some = torch.randperm(len(rows), generator=generator)[:MOST_PAIRS].sort().values
            rows, hidden = rows[some], hidden[some]
        return rows, hidden

    def score(self, model: LatentModel) -> ValidationScore:
        """The score of the model; its mode and the caller's random state stay as they are."""
        training = model.training
        model.eval()
        model.rough = True
        try:
            with torch.no_grad(), borrowed_draws(self._world.device):
                if self.pairs:
                    self._calibrate(model)
                    return self._hidden_score(model)
                return self._evidence_score(model)
        finally:
            model.rough = False
            model.train(training)

    def _batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Pairs of this process; the draws of a batch do not depend on who computes it."""
        for i, at in enumerate(torch.arange(len(self.rows)).split(self._batch_size)):
            if i % self._world.size == self._world.rank:
                reseed(derive_seed(self._seed, _STREAM, i), self._world.device)
                yield self.rows[at], self.hidden[at] if self.pairs else at

    def _gather(self, rows: Tensor) -> tuple[Batch, Present]:
        x, present = self._source.gather(rows)
        return to_device(x, self._world.device), to_device(present, self._world.device)

    def _calibrate(self, model: LatentModel) -> None:
        """Let each likelihood measure its scale on hidden values, the same in every process."""
        reseed(derive_seed(self._seed, _STREAM, _CALIBRATION), self._world.device)
        for i, name in enumerate(self._names):
            rows = self.rows[self.hidden == i][:CALIBRATION_ROWS]
            if not len(rows):
                continue
            x, present = self._gather(rows)
            hidden = torch.full((len(rows),), i, device=self._world.device)
            z = _draws(model.answer_posterior(x, _without(present, self._names, hidden)))
            model.calibrate(name, z, x[name], present[name])

    def _hidden_score(self, model: LatentModel) -> ValidationScore:
        sums = {name: [0.0, 0.0] for name in self._names}
        for rows, hidden in self._batches():
            x, present = self._gather(rows)
            there = hidden.to(self._world.device)
            q = model.answer_posterior(x, _without(present, self._names, there))
            z = _draws(q)  # (K, B, D)
            for i in hidden.unique().tolist():
                name, at = self._names[i], (there == i).nonzero().flatten()
                mask = {name: present[name][at]}
                scored = model.log_likelihoods(z[:, at], {name: x[name][at]}, mask, [name])[name]
                log_p = torch.logsumexp(scored.double(), 0) - math.log(DRAWS)
                sums[name][0] += log_p.sum().item()
                sums[name][1] += model.likelihood(name).dims * _share_known(mask[name])
        parts = _ratios(self._names, self._world.gather(sums))
        return ValidationScore(sum(parts.values()) / max(1, len(parts)), parts, self.pairs)

    def _evidence_score(self, model: LatentModel) -> ValidationScore:
        sums = {"evidence": [0.0, 0.0]}
        for rows, _ in self._batches():
            x, present = self._gather(rows)
            q = model.posterior(x, present)
            z = _draws(q)
            log_w = torch.zeros(z.shape[:2], dtype=torch.float64, device=z.device)  # (K, B)
            if "score" not in model.lacks:
                log_w = model.prior().log_prob(z).double() - q.log_prob(z).double()
            for name, scored in model.log_likelihoods(z, x, present, self._names).items():
                log_w = log_w + scored.double()
                sums["evidence"][1] += model.likelihood(name).dims * _share_known(present[name])
            sums["evidence"][0] += (log_w.logsumexp(0) - math.log(DRAWS)).sum().item()
        parts = _ratios(("evidence",), self._world.gather(sums))
        return ValidationScore(parts.get("evidence", math.nan), {}, 0)


def _draws(q: Distribution) -> Tensor:
    return q.sample(torch.Size((DRAWS,)))


def _without(present: Present, names: tuple[str, ...], hidden: Tensor) -> dict[str, Tensor]:
    kept = {}
    for name, mask in present.items():
        stays = hidden != names.index(name) if name in names else torch.ones_like(hidden) > 0
        kept[name] = mask & (stays if mask.ndim == 1 else stays[:, None])
    return kept


def _share_known(mask: Tensor) -> float:
    """Rows that a mask covers, a row with half its cells as half a row."""
    return (mask if mask.ndim == 1 else mask.double().mean(1)).sum().item()


def _ratios(names: tuple[str, ...], states: list[dict[str, list[float]]]) -> dict[str, float]:
    parts = {}
    for name in names:
        total, values = (sum(state[name][i] for state in states) for i in (0, 1))
        if values:
            parts[name] = total / values
    return parts
