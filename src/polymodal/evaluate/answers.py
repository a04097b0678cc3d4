"""Ask the model, and keep of its draws only what the scores need.

Rows are asked in pieces, so that memory does not grow with rows x draws x pixels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from polymodal.data.tensors import Tensors
from polymodal.evaluate.questions import Question, Target, take
from polymodal.metrics.coverage import inside_central
from polymodal.metrics.crps import crps
from polymodal.metrics.errors import brier_of_draws
from polymodal.model import LatentModel
from polymodal.random import derive_seed
from polymodal.tasks.impute import Imputed

MOST_FEATURES = 256
"""Features of a vector, or pixels, whose distribution is scored: evenly spread ones."""

_VALUES_AT_ONCE = 40_000_000


class Imputer(Protocol):
    """What answers: ``polymodal.tasks.impute``."""

    def __call__(
        self, model: LatentModel, source: Tensors, *, draws: int, seed: int, names: list[str]
    ) -> Imputed:
        """Something with ``point`` and ``draws``, name -> ``(N, ...)`` and ``(n, N, ...)``."""
        ...


@dataclass(frozen=True)
class Answered:
    """What a model said of one target in N rows.

    Arguments:
        point: Point estimates in own units, ``(N, ...)``.
        crps: CRPS of some features, ``(N, F)``; None but for numbers.
        inside: Whether the truth was in each central interval, ``(L, N, F)``; None likewise, and
            for vectors of zeros and ones.
        brier: Brier scores ``(N,)``; None but for categories.
    """

    point: Tensor
    crps: Tensor | None
    inside: Tensor | None
    brier: Tensor | None


OwnUnits = Callable[[str, Tensor], Tensor]
"""Modality, its values in tensor space ``(..., N, P)`` -> the same in the data's own units."""


def ask(
    imputer: Imputer,
    model: LatentModel,
    question: Question,
    truth: dict[str, Tensor],
    own_units: OwnUnits,
    *,
    draws: int,
    levels: list[float],
    seed: int,
) -> dict[Target, Answered]:
    """The model's answers to every target of a question.

    Arguments:
        imputer: What answers.
        model: The model.
        question: What is asked.
        truth: Modality -> true values in own units, ``(N, ...)``.
        own_units: From tensor space to own units.
        draws: Draws a row.
        levels: Levels of the central intervals.
        seed: The draws follow from it.
    """
    names = question.names
    # Texts are judged by their point estimate, and words are dear to draw.
    n_draws = draws if any(t.kind != "text" for t in question.targets) else 0
    per_row = sum(truth[name][:1].numel() for name in names) * max(draws, 1)
    size = max(1, _VALUES_AT_ONCE // max(per_row, 1))
    pieces: dict[Target, list[Answered]] = {target: [] for target in question.targets}
    for start in range(0, len(question.rows), size):
        index = torch.arange(start, min(start + size, len(question.rows)))
        source = take(question.hidden, index.to(question.rows.device))
        said = imputer(model, source, draws=n_draws, seed=derive_seed(seed, start), names=names)
        for name in names:
            point = own_units(name, said.point[name].detach().cpu())
            drawn = own_units(name, said.draws[name].detach().cpu()) if n_draws else None
            for target in (one for one in question.targets if one.name == name):
                true = target.of(truth[name][index])
                some = None if drawn is None else target.of(drawn)
                pieces[target].append(_answered(target, target.of(point), some, true, levels))
    return {target: _joined(parts) for target, parts in pieces.items()}


def thin(target: Target, values: Tensor) -> Tensor:
    """Evenly spread features of values ``(..., N, P)`` or pixels ``(..., N, C, H, W)``."""
    if target.index is not None:
        return values.unsqueeze(-1)
    flat = values.flatten(-3) if target.kind in ("image", "audio") else values
    size = flat.shape[-1]
    if size <= MOST_FEATURES:
        return flat
    chosen = torch.linspace(0, size - 1, MOST_FEATURES, dtype=torch.float64).round().long()
    return flat[..., chosen]


def _answered(
    target: Target, point: Tensor, draws: Tensor | None, truth: Tensor, levels: list[float]
) -> Answered:
    """Scores of one piece of rows."""
    if target.kind == "text" or draws is None:
        return Answered(point, None, None, None)
    if target.kind == "tags":
        # without the bias of few draws, as brier_of_draws does it for categories
        n, share = len(draws), draws.double().mean(0)
        scores = (share - truth).square() - share * (1 - share) / max(n - 1, 1)
        return Answered(point, None, None, scores.mean(1))
    if not target.numeric:
        return Answered(point, None, None, brier_of_draws(draws, truth))
    some, true = thin(target, draws).double(), thin(target, truth).double()
    if target.kind == "vector" and bool(((some == 0) | (some == 1)).all()):
        # Of zeros and ones CRPS is the Brier score, and an interval holds one value or all.
        return Answered(point, crps(some, true), None, None)
    return Answered(point, crps(some, true), inside_central(some, true, levels), None)


def _joined(parts: list[Answered]) -> Answered:
    """The pieces as one."""

    def join(values: list[Tensor | None], dim: int = 0) -> Tensor | None:
        there = [value for value in values if value is not None]
        return torch.cat(there, dim) if there else None

    return Answered(
        torch.cat([part.point for part in parts]),
        join([part.crps for part in parts]),
        join([part.inside for part in parts], dim=1),
        join([part.brier for part in parts]),
    )
