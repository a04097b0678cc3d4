"""An examination: the same questions about the same rows, put to one method after another.

What is hidden follows from the seed, the codec and the test rows; it is chosen once, so that
models of other recipes and seeds, and the simple baselines, answer the very same questions. Cells
are hidden in several rounds, others each time, as it takes many of them to tell methods apart.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from polymodal.data.codec import DataCodec
from polymodal.data.tensors import Tensors
from polymodal.evaluate.answers import Answered, Imputer
from polymodal.evaluate.bootstrap import bootstrap
from polymodal.evaluate.examiner import COVERED, Examiner
from polymodal.evaluate.hidden_likelihood import hidden_log_likelihood
from polymodal.evaluate.questions import (
    Question,
    Target,
    cell_question,
    judged,
    modality_questions,
)
from polymodal.evaluate.result import BASELINES
from polymodal.evaluate.scores import METRIC, Judged, errors_of, rounding
from polymodal.evaluate.sheet import Asked, ErrorOf, OverRows, RowSums, Sheet, sheet_of
from polymodal.metrics.coverage import draws_needed
from polymodal.model import Lacking, LatentModel
from polymodal.random import derive_seed
from polymodal.tasks.impute import impute

Measure = Callable[[LatentModel, "Examination"], Mapping[str, OverRows | str]]
"""A further measurement of a model: name -> sums over the test rows (``RowSums``, or anything else
that is known for any weights of rows), or one sentence why the model does not have it."""


@dataclass(frozen=True)
class Examination:
    """The same questions for every method.

    Arguments:
        codec: Fitted on the training rows; every model has the same.
        test: Rows to judge on.
        train: Rows that the baselines learn from.
        draws: Draws a row, for intervals and likelihoods.
        level: Level of the central intervals whose coverage is counted.
        resamples: Resamples of the test rows.
        seed: What is hidden, the draws and the resamples follow from it.
        cell_share: Share of the known cells that is hidden in a round.
        cell_rounds: Rounds of hiding cells.
        measures: Further measurements of models.
        imputer: What answers; has the signature of ``polymodal.tasks.impute``.

    Raises:
        ValueError: If there are no rows, or fewer draws than the intervals need.
    """

    codec: DataCodec
    test: Tensors
    train: Tensors
    draws: int = 50
    level: float = 0.9
    resamples: int = 500
    seed: int = 0
    cell_share: float = 0.2
    cell_rounds: int = 5
    measures: tuple[Measure, ...] = ()
    imputer: Imputer = impute

    def __post_init__(self) -> None:
        for what, source in (("test", self.test), ("training", self.train)):
            if not len(source):
                raise ValueError(f"an examination needs at least one {what} row, got none.")
        if not 0 < self.level < 1 or self.draws < draws_needed(self.level):
            raise ValueError(
                f"intervals of level {self.level:g} need a level between 0 and 1 and at least "
                f"{draws_needed(self.level) if 0 < self.level < 1 else 2} draws, got "
                f"draws={self.draws}."
            )

    @cached_property
    def questions(self) -> list[Question]:
        """What is asked: each modality hidden whole, then single cells of the tables."""
        generator = torch.Generator().manual_seed(derive_seed(self.seed, 1))
        found = list(modality_questions(self.codec, self.test))
        cells = [
            cell_question(self.codec, self.test, self.cell_share, generator)
            for _ in range(self.cell_rounds)
        ]
        return [*found, *(one for one in cells if one is not None)]

    @cached_property
    def asked_rows(self) -> tuple[Tensor, ...]:
        """The test rows of each thing asked for, ``(n,)``, in the order of every sheet's."""
        examiner = self._examiner()
        return tuple(
            question.rows[rows].cpu()
            for question in self.questions
            for _, rows in self._targets(examiner, question)
        )

    def of_model(self, model: LatentModel) -> Sheet:
        """What a model's answers come to.

        Raises:
            Lacking: If the model's family cannot fill in what is hidden.
        """
        examiner = self._examiner()
        errors: list[ErrorOf] = []
        inside = RowSums(*torch.zeros(2, len(self.test), dtype=torch.float64))
        for question in self.questions:
            moved = dataclasses.replace(question, hidden=question.hidden.to(model.device))
            truth = examiner.truth(question)
            answers = examiner.answers(model, moved, truth)
            for target, rows in self._targets(examiner, question):
                answer = answers[target]
                spread = self._coverage(answer, rows)
                said = {"it": answer.point[rows]}
                one = examiner.judgement(question, target, truth, rows, said, spread)
                errors.append(_error(one, question.rows[rows], "it"))
                if spread and target.kind in COVERED:
                    _count(inside, question.rows[rows], one)
        sums: dict[str, OverRows] = {"coverage": inside} if inside.counts.any() else {}
        lacks: dict[str, str] = {}
        try:
            sums["log_likelihood"] = self._log_likelihood(model)
        except Lacking as error:
            lacks["log_likelihood"] = str(error).removeprefix("translate: ")
        for measure in self.measures:
            for name, found in measure(model, self).items():
                if isinstance(found, str):
                    lacks[name] = found
                else:
                    sums[name] = found
        return sheet_of(errors, sums, self._resampled, lacks)

    def of_baselines(self) -> dict[str, Sheet]:
        """What the answers of the mean, the linear model and the neighbours come to.

        There is no linear model of texts: there it says what the mean does.
        """
        examiner = self._examiner()
        errors: dict[str, list[ErrorOf]] = {name: [] for name in BASELINES}
        for question in self.questions:
            truth, given = examiner.truth(question), examiner.given(question)
            for target, rows in self._targets(examiner, question):
                said = examiner.baselines(question, target, given, rows) or {}
                said = {name: said.get(name, said["mean"]) for name in BASELINES}
                one = examiner.judgement(question, target, truth, rows, said)
                for name in BASELINES:
                    errors[name].append(_error(one, question.rows[rows], name))
        return {name: sheet_of(found, {}, self._resampled, {}) for name, found in errors.items()}

    def _examiner(self) -> Examiner:
        return Examiner(
            self.codec, self.train, self.draws, [self.level], 0, self.resamples, self.seed,
            self.imputer,
        )  # fmt: skip

    def _targets(self, examiner: Examiner, question: Question) -> Iterator[tuple[Target, Tensor]]:
        for target, rows in judged(question.targets, question.asked):
            if examiner.learnable(target):
                yield target, rows

    @staticmethod
    def _coverage(answer: Answered, rows: Tensor) -> dict[str, Tensor]:
        if answer.inside is None:
            return {}
        return {"coverage": answer.inside[0, rows].double()}

    def _log_likelihood(self, model: LatentModel) -> RowSums:
        """Log-likelihood of what was hidden, in own units: a value a row and question."""
        total, count = torch.zeros(2, len(self.test), dtype=torch.float64)
        for question in self.questions:
            moved = dataclasses.replace(question, hidden=question.hidden.to(model.device))
            log_p, scored = hidden_log_likelihood(
                model, moved, samples=self.draws, seed=derive_seed(self.seed, 5)
            )
            asked = question.asked
            units = self.codec.log_jacobian(question.hidden.x, asked, question.names)
            here = torch.where(scored, log_p + units.double().cpu(), 0.0)
            total.index_add_(0, question.rows, here)
            count.index_add_(0, question.rows, scored.double())
        return RowSums(total, count)

    def _resampled(self, statistic: Callable[[Tensor], Tensor]) -> tuple[Tensor, Tensor]:
        return bootstrap(
            statistic, len(self.test), resamples=self.resamples, seed=derive_seed(self.seed, 4)
        )


def _error(judgement: Judged, rows: Tensor, name: str) -> ErrorOf:
    """The error of one of those who answered."""
    target, metric = judgement.target, METRIC[judgement.target.kind]
    asked = Asked(judgement.task, target.name, target.column, target.kind, len(rows))
    only = dataclasses.replace(judgement, predictions={name: judgement.predictions[name]})
    errors = errors_of(only, metric)
    return ErrorOf(asked, rows, lambda w: errors(name, w), rounding(judgement, metric))


def _count(inside: RowSums, rows: Tensor, judgement: Judged) -> None:
    """Add the truths inside their intervals, and all truths, to the sums of their rows."""
    hits, cells = judgement.spread["coverage"], judgement.spread_cells
    cells = torch.ones_like(hits, dtype=torch.bool) if cells is None else cells
    inside.values.index_add_(0, rows, torch.where(cells, hits, 0.0).sum(1))
    inside.counts.index_add_(0, rows, cells.double().sum(1))
