"""Skill: hide what is known on held-out rows, and compare the answers with simple baselines."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from polymodal.data.codec import DataCodec
from polymodal.data.tensors import Tensors
from polymodal.evaluate.answers import Imputer
from polymodal.evaluate.captions import score_texts
from polymodal.evaluate.examiner import Examiner, Hits
from polymodal.evaluate.held import count_held
from polymodal.evaluate.questions import (
    MOST_COLUMNS,
    Question,
    cell_question,
    modality_questions,
)
from polymodal.evaluate.result import Evaluation, SkillRow
from polymodal.evaluate.verdict import write_verdict
from polymodal.metrics.coverage import COVERAGE_LEVELS, attainable, draws_needed
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
    notes: Sequence[str] = (),
    held_out: bool = True,
    progress: Progress | None = None,
    imputer: Imputer = impute,
) -> Evaluation:
    """Judge a model on rows that it has not seen.

    Every modality that test rows have is hidden whole, the others given; then a share of the cells
    of every table is hidden, the rest given. The model's answers are scored beside baselines that
    see the same inputs. A row of the result says all of one column or modality. Texts that were
    hidden whole are scored as captions and translations besides (``Evaluation.texts``).

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
        notes: What the reader should know of the rows, a sentence each.
        held_out: Whether it is known that the model did not learn from the test rows.
        progress: Told of every question.
        imputer: What answers; has the signature of ``polymodal.tasks.impute``.

    Raises:
        ValueError: If there are no rows, or fewer draws than the intervals need.
    """
    _check(test, train, draws, level, bootstrap, cell_share)
    levels = sorted({*attainable(COVERAGE_LEVELS, draws), level})
    examiner = Examiner(codec, train, draws, levels, levels.index(level), bootstrap, seed, imputer)
    generator = torch.Generator().manual_seed(derive_seed(seed, 1))
    questions = list(modality_questions(codec, test))
    cells = cell_question(codec, test, cell_share, generator)
    questions += [cells] if cells is not None else []
    rows: list[SkillRow] = []
    told_of: list[Hits] = []
    for number, question in enumerate(questions):
        if progress is not None:
            progress(number, len(questions), question.title)
        for found, hits in examiner.judge(model, question):
            rows += found
            told_of += [hits] if hits is not None else []
    texts, left_out = score_texts(examiner, test)
    if progress is not None:
        progress(len(questions), len(questions), "done")
    hits = _joined(told_of, len(levels))
    calibration = _calibration(levels, hits)
    held = count_held(
        hits.inside[examiner.level_index], hits.rows, len(test),
        resamples=bootstrap, seed=derive_seed(seed, 4),
    )  # fmt: skip
    told = [*notes, *_notes(codec, questions, examiner.unknown)]
    verdict = write_verdict(rows, held, level, len(test), told, held_out=held_out)
    return Evaluation(rows, verdict, calibration, level, [*told, *left_out], texts, held)


def _joined(hits: Sequence[Hits], n_levels: int) -> Hits:
    """All numbers together."""
    none = Hits(torch.zeros(n_levels, 0, dtype=torch.bool), torch.zeros(0, dtype=torch.long))
    return Hits(*(torch.cat(one, -1) for one in zip(none, *hits, strict=True)))


def _calibration(levels: list[float], hits: Hits) -> list[tuple[float, float, int]]:
    """Observed coverage of each level, over all numbers."""
    n = len(hits.rows)
    shares = hits.inside.double().mean(1).tolist()
    return [(level, share, n) for level, share in zip(levels, shares, strict=True)] if n else []


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
                f"{name} could not be judged, as no row judged has both it and anything else."
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
