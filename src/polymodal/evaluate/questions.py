"""What an evaluation asks: hide what is known, give the rest, ask for what was hidden."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from polymodal.data.tensors import Tensors
from polymodal.evaluate.inputs import Described
from polymodal.evaluate.result import Task
from polymodal.typing import Present, rows_present

MOST_COLUMNS = 40
"""Columns of one table that are judged: evenly spread ones of wider tables."""


@dataclass(frozen=True)
class Target:
    """One thing that is asked for.

    Arguments:
        name: The modality.
        kind: That of a table's column, or of the modality.
        column: The column's name, for tables.
        index: Its place in the table.
    """

    name: str
    kind: str
    column: str | None = None
    index: int | None = None

    @property
    def label(self) -> str:
        """``column (modality)`` or the modality's name."""
        if self.column is None or self.column == self.name:
            return self.name
        return f"{self.column} ({self.name})"

    @property
    def numeric(self) -> bool:
        """Whether the values are numbers."""
        return self.kind not in ("ordinal", "category", "text", "tags")

    def of(self, values: Tensor) -> Tensor:
        """This target's part of a modality's values ``(..., N, P)`` or of its cell mask."""
        return values if self.index is None else values[..., self.index]


@dataclass(frozen=True)
class Question:
    """Rows with something hidden.

    Arguments:
        task: ``"modality"`` or ``"cells"``.
        rows: Which test rows these are, ``(N,)``.
        hidden: They, without what is asked for.
        targets: What is asked for.
        asked: Modality -> where the answer is known and was hidden, bool ``(N,)`` or ``(N, P)``.
    """

    task: Task
    rows: Tensor
    hidden: Tensors
    targets: tuple[Target, ...]
    asked: dict[str, Tensor]

    @property
    def names(self) -> list[str]:
        """The modalities of the targets."""
        return list(dict.fromkeys(target.name for target in self.targets))

    @property
    def title(self) -> str:
        """For a progress bar."""
        return f"{self.task}: {', '.join(self.names)}"


def targets_of(codec: Described, name: str) -> list[Target]:
    """The targets of one modality: itself, or the columns of a table."""
    if codec.kind(name) != "table":
        return [Target(name, codec.kind(name))]
    columns = list(enumerate(codec.columns(name)))
    if len(columns) > MOST_COLUMNS:
        spread = torch.linspace(0, len(columns) - 1, MOST_COLUMNS).round().int().tolist()
        columns = [columns[i] for i in spread]
    return [Target(name, column.kind, column.name, index) for index, column in columns]


def modality_questions(codec: Described, test: Tensors) -> Iterator[Question]:
    """For each modality: the rows that have it and anything else, with it hidden."""
    names = [name for name in codec.names if name in test.x]
    for name in names:
        others = [rows_present(test.present[other]) for other in names if other != name]
        if not others:
            continue
        here = rows_present(test.present[name]) & torch.stack(others).any(0)
        rows = here.nonzero()[:, 0]
        if not len(rows):
            continue
        known = test.present[name][rows]
        hidden = with_present(test, rows, {name: torch.zeros_like(known)})
        targets = tuple(targets_of(codec, name))
        yield Question("modality", rows, hidden, targets, {name: known})


def cell_question(
    codec: Described, test: Tensors, share: float, generator: torch.Generator
) -> Question | None:
    """All rows with a share of the known cells of every table hidden; None if there are none.

    The share is taken a column, at least one cell. Tables of one column are left out, as that is
    hiding a modality; so are columns with a single known cell.
    """
    asked, shown, targets = {}, {}, []
    for name in codec.names:
        if name not in test.x or codec.kind(name) != "table" or len(codec.columns(name)) < 2:
            continue
        known = test.present[name]
        cells = known if known.ndim == 2 else known[:, None].expand(test.x[name].shape)
        chosen = torch.stack(
            [_choose(column, share, generator) for column in cells.cpu().T], dim=1
        ).to(cells.device)
        if not chosen.any():
            continue
        asked[name], shown[name] = chosen, cells & ~chosen
        targets += targets_of(codec, name)
    if not asked:
        return None
    rows = torch.arange(len(test), device=next(iter(test.x.values())).device)
    return Question("cells", rows, with_present(test, rows, shown), tuple(targets), asked)


def with_present(source: Tensors, rows: Tensor, changed: Present) -> Tensors:
    """The rows ``rows`` of a source with some masks replaced; the source is left as it was."""
    x, present = source.gather(rows)
    return dataclasses.replace(source, x=dict(x), present={**present, **changed})


def take(source: Tensors, rows: Tensor) -> Tensors:
    """The rows ``rows`` of a source."""
    return with_present(source, rows, {})


def judged(targets: Sequence[Target], asked: dict[str, Tensor]) -> Iterator[tuple[Target, Tensor]]:
    """Each target with its rows (of those of the question) in which the answer is known."""
    for target in targets:
        mask = asked[target.name]
        if target.index is not None and mask.ndim == 2:
            mask = mask[:, target.index]
        rows = rows_present(mask).nonzero()[:, 0]
        if len(rows):
            yield target, rows


def _choose(known: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """A share of the true values of ``known (N,)``."""
    where = known.nonzero()[:, 0]
    chosen = torch.zeros_like(known)
    if len(where) < 2:
        return chosen
    wanted = max(1, round(share * len(where)))
    order = torch.randperm(len(where), generator=generator)[:wanted]
    chosen[where[order]] = True
    return chosen
