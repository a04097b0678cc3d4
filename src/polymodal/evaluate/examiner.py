"""The examiner: puts one question to a model and to the baselines, and scores the answers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from polymodal.data.codec import DataCodec
from polymodal.data.kinds import CELLWISE
from polymodal.data.tensors import Tensors
from polymodal.evaluate.answers import Answered, Imputer, OwnUnits, ask, thin
from polymodal.evaluate.baselines import predict
from polymodal.evaluate.inputs import Block, Part, fit_blocks, matrix
from polymodal.evaluate.questions import Question, Target, judged
from polymodal.evaluate.result import SkillRow
from polymodal.evaluate.scores import Judged, skill_rows
from polymodal.evaluate.units import in_own_units
from polymodal.metrics.crps import crps_of_sample
from polymodal.model import LatentModel
from polymodal.random import derive_seed
from polymodal.typing import as_cells

COVERED = ("number", "positive", "vector", "embedding", "audio")
"""Kinds of which coverage is counted; other numbers stand on bounds or on few steps."""


class Hits(NamedTuple):
    """Which intervals of some numbers hold the truth: ``(L, n)``, and the test rows ``(n,)``."""

    inside: Tensor
    rows: Tensor


@dataclass
class Examiner:
    """Puts questions to a model and to the baselines and scores the answers.

    Arguments:
        codec: Its codec.
        train: The training rows.
        draws: Draws a row.
        levels: Levels of the central intervals.
        level_index: Which of them the rows of skill show.
        bootstrap: Number of resamples.
        seed: Of everything random.
        imputer: What answers.

    Attributes:
        unknown: What no training row has, filled by ``judge``.
        texts: What was said of texts, and in which test rows, filled by ``judge``.
    """

    codec: DataCodec
    train: Tensors
    draws: int
    levels: list[float]
    level_index: int
    bootstrap: int
    seed: int
    imputer: Imputer

    def __post_init__(self) -> None:
        self.unknown: list[str] = []
        self.texts: list[tuple[Judged, Tensor]] = []
        self.own_units: OwnUnits = partial(in_own_units, self.codec)

    @cached_property
    def blocks(self) -> dict[Part, Block]:
        """What the baselines see of each part."""
        return fit_blocks(self.codec, self.train.x, self.train.present)

    @cached_property
    def given_train(self) -> dict[Part, np.ndarray]:
        """The same of the training rows."""
        return {
            part: block.transform(self.train.x, self.train.present)
            for part, block in self.blocks.items()
        }

    def judge(
        self, model: LatentModel, question: Question
    ) -> Iterator[tuple[list[SkillRow], Hits | None]]:
        """Rows of skill of each target, and whether its intervals held the truth."""
        truth = self.truth(question)
        answers = self.answers(model, question, truth)
        given = self.given(question)
        for target, rows in judged(question.targets, question.asked):
            baselines = self.baselines(question, target, given, rows)
            if baselines is None:
                self.unknown.append(target.label)
                continue
            yield self._score(question, target, answers[target], truth, rows, baselines)

    def truth(self, question: Question) -> dict[str, Tensor]:
        """What was hidden, in own units ``(N, ...)``; zeros where nothing was."""
        return {
            name: self.own_units(name, _filled(question.hidden.x[name], question.asked[name]))
            for name in question.names
        }

    def answers(
        self, model: LatentModel, question: Question, truth: dict[str, Tensor]
    ) -> dict[Target, Answered]:
        """What a model says of every target of a question."""
        return ask(
            self.imputer, model, question, truth, self.own_units,
            draws=self.draws, levels=self.levels, seed=derive_seed(self.seed, 2),
        )  # fmt: skip

    def given(self, question: Question) -> dict[Part, np.ndarray]:
        """What the baselines see of the rows of a question."""
        return {
            part: block.transform(question.hidden.x, question.hidden.present)
            for part, block in self.blocks.items()
            if question.task == "cells" or part[0] not in question.names
        }

    def learnable(self, target: Target) -> bool:
        """Whether any training row has the target."""
        if target.name not in self.train.x:
            return False
        return bool(_known(self.train.present[target.name], target).any())

    def baselines(
        self, question: Question, target: Target, given: dict[Part, np.ndarray], rows: Tensor
    ) -> dict[str, Tensor] | None:
        """What the baselines say of some rows of a question, in own units.

        Arguments:
            question: The question.
            target: One of its targets.
            given: What the baselines see of the rows of the question.
            rows: The rows in which the answer is known.

        Returns:
            Baseline -> ``(n, ...)``, or None if no training row has the target.
        """
        if target.name not in self.train.x:
            return None
        whole = question.task == "modality"
        part = (target.name, None if whole else target.column)
        train_inputs = matrix(self.given_train, part, len(self.train))
        test_inputs = matrix(given, part, len(question.rows))[rows.cpu().numpy()]
        values = self.train.x[target.name].cpu()
        known = _known(self.train.present[target.name].cpu(), target)
        predicted = predict(
            target.kind, train_inputs, target.of(values), known, test_inputs,
            seed=derive_seed(self.seed, 3),
        )  # fmt: skip
        if predicted is None:
            return None
        found = predicted.named()
        if target.index is None:
            return found
        own = {name: self._column(target, said) for name, said in found.items()}
        if target.numeric:
            # The mean in own units: that of logarithms would be no mean of a positive column.
            mean = self._column(target, target.of(values)[known]).mean()
            own["mean"] = torch.full_like(own["mean"], mean.item())
        return own

    def _column(self, target: Target, values: Tensor) -> Tensor:
        """One column's values ``(N,)`` in own units."""
        columns = len(self.codec.columns(target.name))
        table = torch.zeros(len(values), columns, dtype=torch.float64)
        table[:, target.index] = values.double()
        return target.of(self.own_units(target.name, table))

    def judgement(
        self,
        question: Question,
        target: Target,
        truth: dict[str, Tensor],
        rows: Tensor,
        predictions: dict[str, Tensor],
        spread: dict[str, Tensor] | None = None,
    ) -> Judged:
        """What was said of a target, beside the truth, ready to be scored.

        Arguments:
            question: The question.
            target: One of its targets.
            truth: What was hidden.
            rows: The rows of the question in which the answer is known.
            predictions: Who -> what they say of those rows.
            spread: What ``Judged`` knows by that name.
        """
        rows = rows.cpu()
        cells = question.asked[target.name].cpu() if target.kind in CELLWISE else None
        cells = cells[rows] if cells is not None and cells.ndim == 2 else None
        true = target.of(truth[target.name])[rows]
        spread_cells = thin(target, cells) if cells is not None else None
        return Judged(question.task, target, true, cells, predictions, spread or {}, spread_cells)

    def _score(
        self,
        question: Question,
        target: Target,
        answer: Answered,
        truth: dict[str, Tensor],
        rows: Tensor,
        baselines: dict[str, Tensor],
    ) -> tuple[list[SkillRow], Hits | None]:
        rows = rows.cpu()
        spread: dict[str, Tensor] = {}
        hits = None
        if answer.brier is not None:
            spread["brier"] = answer.brier[rows, None]
        if answer.crps is not None:
            spread["crps"] = answer.crps[rows]
            spread["crps_mean"] = self._crps_of_column(target, target.of(truth[target.name])[rows])
        if answer.inside is not None:
            spread["coverage"] = answer.inside[self.level_index, rows].double()
        predictions = {"model": answer.point[rows], **baselines}
        judgement = self.judgement(question, target, truth, rows, predictions, spread)
        if target.kind == "text":
            self.texts.append((judgement, question.rows.cpu()[rows]))
        if answer.inside is not None:
            inside, cells = answer.inside[:, rows], judgement.spread_cells
            cells = torch.ones_like(inside[0]) if cells is None else cells
            where = question.rows.cpu()[rows][:, None].expand(cells.shape)
            hits = Hits(inside[:, cells], where[cells])
        found = skill_rows(judgement, resamples=self.bootstrap, seed=derive_seed(self.seed, 4))
        # Pixels lie on the bounds 0 and 1 so often that their coverage says little.
        return found, hits if target.kind in COVERED else None

    def _crps_of_column(self, target: Target, truth: Tensor) -> Tensor:
        """CRPS of the training rows' own distribution, ``(n, F)``."""
        name = target.name
        mask = _known(self.train.present[name].cpu(), target)
        values = target.of(
            self.own_units(name, _filled(self.train.x[name], self.train.present[name]))
        )
        true, values = thin(target, truth), thin(target, values)
        cellwise = target.kind in CELLWISE and mask.ndim == 2
        mask = thin(target, mask) if cellwise else mask[:, None]
        mask = mask.expand(values.shape)
        found = [crps_of_sample(values[mask[:, j], j], true[:, j]) for j in range(values.shape[1])]
        return torch.stack(found, 1)


def _filled(values: Tensor, present: Tensor) -> Tensor:
    """Values on the CPU, with zeros where they are absent: a codec need not decode NaN."""
    values, present = values.detach().cpu(), present.cpu()
    return torch.where(as_cells(present, values), values, torch.zeros_like(values))


def _known(present: Tensor, target: Target) -> Tensor:
    """Rows (or cells of a vector) of which a target is known."""
    return target.of(present) if present.ndim == 2 else present
