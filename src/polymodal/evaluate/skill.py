"""Skill: hide what is known on held-out rows, and compare the answers with simple baselines."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from polymodal.data.codec import DataCodec
from polymodal.data.tensors import Tensors
from polymodal.evaluate.answers import Answered, Imputer, OwnUnits, ask, thin
from polymodal.evaluate.baselines import predict
from polymodal.evaluate.inputs import Block, Part, fit_blocks, matrix
from polymodal.evaluate.questions import (
    MOST_COLUMNS,
    Question,
    Target,
    cell_question,
    judged,
    modality_questions,
)
from polymodal.evaluate.result import Evaluation, SkillRow
from polymodal.evaluate.scores import Judged, skill_rows
from polymodal.evaluate.units import in_own_units
from polymodal.evaluate.verdict import write_verdict
from polymodal.metrics.coverage import COVERAGE_LEVELS, attainable, draws_needed
from polymodal.metrics.crps import crps_of_sample
from polymodal.model import LatentModel
from polymodal.random import derive_seed
from polymodal.tasks.impute import impute

Progress = Callable[[int, int, str], None]
"""Questions done, questions in all, what is asked now."""


def evaluate_skill(
    model: LatentModel,
    codec: DataCodec,
    test: Tensors,
    train: Tensors,
    *,
    draws: int = 50,
    level: float = 0.9,
    bootstrap: int = 500,
    seed: int = 0,
    cell_share: float = 0.2,
    progress: Progress | None = None,
    imputer: Imputer = impute,
) -> Evaluation:
    """Judge a model on rows that it has not seen.

    Every modality that test rows have is hidden whole, the others given; then a share of the cells
    of every table is hidden, the rest given. The model's answers are scored beside baselines that
    see the same inputs. A row of the result says all of one column or modality.

    Arguments:
        model: The fitted model.
        codec: Its codec, for kinds, columns and units.
        test: Rows to judge on.
        train: Rows to fit the baselines on: those that the model was trained on.
        draws: Draws a row, for CRPS, Brier score and coverage.
        level: Level of the central intervals whose coverage the rows give.
        bootstrap: Resamples of the rows, for 95 % intervals.
        seed: The hidden cells, the draws and the resamples follow from it.
        cell_share: Share of the known cells that is hidden.
        progress: Told of every question.
        imputer: What answers; has the signature of ``polymodal.tasks.impute``.

    Raises:
        ValueError: If there are no rows, or fewer draws than the intervals need.
    """
    _check(test, train, draws, level, bootstrap, cell_share)
    levels = sorted({*attainable(COVERAGE_LEVELS, draws), level})
    examiner = Examiner(
        model, codec, train, draws, levels, levels.index(level), bootstrap, seed, imputer
    )
    generator = torch.Generator().manual_seed(derive_seed(seed, 1))
    questions = list(modality_questions(codec, test))
    cells = cell_question(codec, test, cell_share, generator)
    questions += [cells] if cells is not None else []
    rows: list[SkillRow] = []
    inside: list[Tensor] = []
    for number, question in enumerate(questions):
        if progress is not None:
            progress(number, len(questions), question.title)
        for found, hits in examiner.judge(question):
            rows += found
            inside += [hits] if hits is not None else []
    if progress is not None:
        progress(len(questions), len(questions), "done")
    calibration = _calibration(levels, inside)
    notes = _notes(codec, questions, examiner.unknown)
    verdict = write_verdict(rows, calibration, level, len(test), notes)
    return Evaluation(rows, verdict, calibration, level, notes)


@dataclass
class Examiner:
    """Puts questions to the model and to the baselines and scores the answers.

    Arguments:
        model: The model.
        codec: Its codec.
        train: The training rows.
        draws: Draws a row.
        levels: Levels of the central intervals.
        level_index: Which of them the rows of skill show.
        bootstrap: Number of resamples.
        seed: Of everything random.
        imputer: What answers.
    """

    model: LatentModel
    codec: DataCodec
    train: Tensors
    draws: int
    levels: list[float]
    level_index: int
    bootstrap: int
    seed: int
    imputer: Imputer

    def __post_init__(self) -> None:
        self.blocks: dict[Part, Block] = fit_blocks(self.codec, self.train.x, self.train.present)
        self.given_train: dict[Part, np.ndarray] = {
            part: block.transform(self.train.x, self.train.present)
            for part, block in self.blocks.items()
        }
        self.unknown: list[str] = []
        self.own_units: OwnUnits = partial(in_own_units, self.codec)

    def judge(self, question: Question) -> Iterator[tuple[list[SkillRow], Tensor | None]]:
        """Rows of skill of each target, and hits of its intervals ``(L, cells)``."""
        x, present = question.hidden.x, question.hidden.present
        truth = {
            name: self.own_units(name, _filled(x[name], question.asked[name]))
            for name in question.names
        }
        given = {
            part: block.transform(x, present)
            for part, block in self.blocks.items()
            if question.task == "cells" or part[0] not in question.names
        }
        answers = ask(
            self.imputer, self.model, question, truth, self.own_units,
            draws=self.draws, levels=self.levels, seed=derive_seed(self.seed, 2),
        )  # fmt: skip
        for target, rows in judged(question.targets, question.asked):
            baselines = self._baselines(question, target, given, rows.cpu())
            if baselines is None:
                self.unknown.append(target.label)
                continue
            cells = question.asked[target.name].cpu() if target.kind == "vector" else None
            cells = cells[rows.cpu()] if cells is not None and cells.ndim == 2 else None
            true = target.of(truth[target.name])[rows.cpu()]
            yield self._score(
                question, target, answers[target], true, cells, rows.cpu(), baselines
            )

    def _baselines(
        self, question: Question, target: Target, given: dict[Part, np.ndarray], rows: Tensor
    ) -> dict[str, Tensor] | None:
        """What the baselines say of the rows asked for, in own units."""
        if target.name not in self.train.x:
            return None
        whole = question.task == "modality"
        part = (target.name, None if whole else target.column)
        train_inputs = matrix(self.given_train, part, len(self.train))
        test_inputs = matrix(given, part, len(question.rows))[rows.numpy()]
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

    def _score(
        self,
        question: Question,
        target: Target,
        answer: Answered,
        truth: Tensor,
        cells: Tensor | None,
        rows: Tensor,
        baselines: dict[str, Tensor],
    ) -> tuple[list[SkillRow], Tensor | None]:
        spread: dict[str, Tensor] = {}
        hits = None
        spread_cells = None
        if answer.brier is not None:
            spread["brier"] = answer.brier[rows, None]
        if answer.crps is not None and answer.inside is not None:
            inside = answer.inside[:, rows]
            spread["crps"] = answer.crps[rows]
            spread["crps_mean"] = self._crps_of_column(target, truth)
            spread["coverage"] = inside[self.level_index].double()
            if cells is not None:
                spread_cells = thin(target, cells)
            hits = inside[:, spread_cells] if spread_cells is not None else inside.flatten(1)
        judgement = Judged(
            question.task, target, truth, cells, {"model": answer.point[rows], **baselines},
            spread, spread_cells,
        )  # fmt: skip
        found = skill_rows(judgement, resamples=self.bootstrap, seed=derive_seed(self.seed, 4))
        # Pixels lie on the bounds 0 and 1 so often that their coverage says little.
        return found, None if target.kind in ("image", "count") else hits

    def _crps_of_column(self, target: Target, truth: Tensor) -> Tensor:
        """CRPS of the training rows' own distribution, ``(n, F)``."""
        name = target.name
        mask = _known(self.train.present[name].cpu(), target)
        values = target.of(
            self.own_units(name, _filled(self.train.x[name], self.train.present[name]))
        )
        true, values = thin(target, truth), thin(target, values)
        mask = thin(target, mask) if target.kind == "vector" and mask.ndim == 2 else mask[:, None]
        mask = mask.expand(values.shape)
        found = [crps_of_sample(values[mask[:, j], j], true[:, j]) for j in range(values.shape[1])]
        return torch.stack(found, 1)


def _filled(values: Tensor, present: Tensor) -> Tensor:
    """Values on the CPU, with zeros where they are absent: a codec need not decode NaN."""
    values, present = values.detach().cpu(), present.cpu()
    present = present.reshape(*present.shape, *(1,) * (values.ndim - present.ndim))
    return torch.where(present, values, torch.zeros_like(values))


def _known(present: Tensor, target: Target) -> Tensor:
    """Rows (or cells of a vector) of which a target is known."""
    return target.of(present) if present.ndim == 2 else present


def _calibration(levels: list[float], inside: list[Tensor]) -> list[tuple[float, float, int]]:
    """Observed coverage of each level, over all numbers."""
    if not inside:
        return []
    hits = torch.cat(inside, 1).double()
    return [
        (level, observed, hits.shape[1])
        for level, observed in zip(levels, hits.mean(1).tolist(), strict=True)
    ]


def _notes(codec: DataCodec, questions: list[Question], unknown: list[str]) -> list[str]:
    """What could not be judged and why."""
    notes = [
        f"{label} could not be judged, as no training row has it."
        for label in dict.fromkeys(unknown)
    ]
    asked = {target.name for question in questions for target in question.targets}
    for name in codec.names:
        if name not in asked:
            notes.append(
                f"{name} could not be judged, as no held-out row has both it and anything else."
            )
        elif codec.kind(name) == "table" and len(codec.columns(name)) > MOST_COLUMNS:
            notes.append(
                f"Of {name}, {MOST_COLUMNS} of {len(codec.columns(name))} columns were judged."
            )
    return notes


def _check(
    test: Tensors, train: Tensors, draws: int, level: float, bootstrap: int, cell_share: float
) -> None:
    for what, source in (("test", test), ("train", train)):
        if not len(source):
            raise ValueError(f"evaluate: the {what} data have no rows; give at least one.")
    if draws < draws_needed(level):
        raise ValueError(
            f"evaluate: intervals of {level:.0%} need at least {draws_needed(level)} draws, "
            f"got draws={draws}; ask for more draws or a lower level."
        )
    if draws < 2 or bootstrap < 1:
        raise ValueError(
            f"evaluate: draws must be at least 2 and bootstrap at least 1, got {draws} and "
            f"{bootstrap}."
        )
    if not 0 < cell_share < 1:
        raise ValueError(f"evaluate: cell_share must be between 0 and 1, got {cell_share}.")
