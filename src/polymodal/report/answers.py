"""Given these, what about those? Test rows, what was read of them, the truth and the answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import TYPE_CHECKING

import torch

from polymodal.data.tensors import Tensors
from polymodal.random import seeded
from polymodal.report.cells import Cell, Compared, compare, show
from polymodal.tasks.impute import impute
from polymodal.tasks.latent_draws import posterior_draws
from polymodal.typing import rows_present

if TYPE_CHECKING:
    from polymodal.data.codec import DataCodec
    from polymodal.model import LatentModel

EVERY_SUBSET_UP_TO = 4
"""With more modalities than this, only one given and all but one given are shown."""
DRAWS, DRAWS_SHOWN, TEXTS_SHOWN = 20, 4, 3
PROPOSALS = 200
CELLS_A_ROW = 8


@dataclass(frozen=True)
class Answer:
    """One wanted modality in one row."""

    truth: Cell
    answer: Cell
    draws: tuple[Cell, ...] = ()
    compared: tuple[Compared, ...] = ()


@dataclass(frozen=True)
class Line:
    """One row: what was given, and an answer a wanted modality."""

    given: tuple[Cell, ...]
    answers: tuple[Answer, ...]


@dataclass(frozen=True)
class Grid:
    """One question, asked of several rows."""

    given: tuple[str, ...]
    wanted: tuple[str, ...]
    heads: tuple[str, ...]
    lines: tuple[Line, ...]
    open: bool = False


@dataclass(frozen=True)
class CellLine:
    """One row of which single cells were hidden."""

    row: int
    compared: tuple[Compared, ...]


@dataclass(frozen=True)
class CellGrid:
    """Single cells hidden, everything else given."""

    names: tuple[str, ...]
    lines: tuple[CellLine, ...] = field(default=())


def questions(names: Sequence[str]) -> list[tuple[tuple[str, ...], tuple[str, ...]]]:
    """Every (given, wanted) that the report shows, the fullest given first."""
    names = tuple(names)
    sizes = range(len(names) - 1, 0, -1)
    if len(names) > EVERY_SUBSET_UP_TO:
        sizes = (len(names) - 1, 1)
    return [
        (given, tuple(name for name in names if name not in given))
        for size in sizes
        for given in combinations(names, size)
    ]


def which_shown(names: Sequence[str]) -> str:
    """A sentence that says which questions are shown, where they are not all; else nothing."""
    if len(names) <= EVERY_SUBSET_UP_TO:
        return ""
    return (
        f"With {len(names)} modalities only two kinds of question are shown: all but one are "
        "given, or a single one is; the model answers any other choice just as well."
    )


def fullest_rows(tensors: Tensors, n_rows: int) -> torch.Tensor:
    """Rows spread over the data, those that lack least before the others, ``(n,)``."""
    lacking = torch.stack([_lack(mask) for mask in tensors.present.values()]).sum(0)
    best = torch.argsort(lacking, stable=True)
    full = best[: max(n_rows, int((lacking == lacking.min()).sum()))]
    step = torch.linspace(0, len(full) - 1, min(n_rows, len(full))).round().long()
    return full[step].unique()


def answer_grids(
    model: LatentModel, codec: DataCodec, tensors: Tensors, *, n_rows: int = 4, seed: int = 0
) -> list[Grid]:
    """A grid a question; none where there is only one modality."""
    few = tensors.rows(fullest_rows(tensors, n_rows))
    grids = []
    for i, (given, wanted) in enumerate(questions(tensors.names)):
        # With many left to answer the table would be wider than any screen.
        shown = wanted[: EVERY_SUBSET_UP_TO + 2]
        grids.append(_grid(model, codec, few, given, shown, seed, i < len(tensors.names)))
    return grids


_SMOOTH = ("image", "vector", "embedding", "series", "audio")


def cell_grid(
    model: LatentModel, codec: DataCodec, tensors: Tensors, *, n_rows: int = 4, seed: int = 0
) -> CellGrid | None:
    """Hide a third of the known cells of each table in a few rows and answer them."""
    names = tuple(
        name
        for name in tensors.names
        if codec.kind(name) == "table" and tensors.x[name].shape[1] > 1
    )
    if not names:
        return None
    chosen = fullest_rows(tensors, n_rows)
    few = tensors.rows(chosen)
    draw = torch.Generator().manual_seed(seed)
    hidden = {}
    for name in names:
        known = few.present[name].cpu()
        some = torch.rand(known.shape, generator=draw) < 1 / 3
        some[:, 0] |= ~some.any(1)
        hidden[name] = some & known
    masks = {
        name: mask & ~hidden[name].to(mask.device) if name in hidden else mask
        for name, mask in few.present.items()
    }
    said = impute(model, Tensors(few.x, masks), draws=DRAWS, names=names, seed=seed)
    lines = []
    for row in range(len(few)):
        compared: list[Compared] = []
        for name in names:
            columns = hidden[name][row].nonzero().flatten().tolist()[:CELLS_A_ROW]
            compared += compare(
                codec, name, row, few.x[name], said.point[name], said.draws[name], columns
            )
        if compared:
            lines.append(CellLine(int(chosen[row]), tuple(compared)))
    return CellGrid(names, tuple(lines)) if lines else None


def _grid(
    model: LatentModel,
    codec: DataCodec,
    few: Tensors,
    given: tuple[str, ...],
    wanted: tuple[str, ...],
    seed: int,
    opened: bool,
) -> Grid:
    source = few.select(given)
    said = impute(model, source, draws=DRAWS, names=wanted, keep=False, seed=seed)
    clean = _draws_without_noise(model, codec, source, wanted, seed)
    read = [show(codec, name, few.x[name], few.present[name]) for name in given]
    answers, heads = [], []
    for name in wanted:
        point, draws = said.point[name], clean.get(name, said.draws[name])
        truth = show(codec, name, few.x[name], few.present[name])
        if codec.kind(name) == "table":
            heads += [name, "", ""]
            answers.append(
                [
                    Answer(
                        truth[row],
                        Cell("absent"),
                        compared=tuple(compare(codec, name, row, few.x[name], point, draws)),
                    )
                    for row in range(len(few))
                ]
            )
            continue
        heads += [f"{name}: truth", "answer", "draws"]
        n_shown = TEXTS_SHOWN if codec.kind(name) in ("text", "tags") else DRAWS_SHOWN
        best = show(codec, name, point)
        drawn = [show(codec, name, draws[k]) for k in range(n_shown)]
        answers.append(
            [
                Answer(truth[row], best[row], tuple(cells[row] for cells in drawn))
                for row in range(len(few))
            ]
        )
    lines = [
        Line(tuple(c[row] for c in read), tuple(a[row] for a in answers))
        for row in range(len(few))
    ]
    return Grid(given, wanted, tuple(heads), tuple(lines), opened)


def _draws_without_noise(
    model: LatentModel, codec: DataCodec, source: Tensors, wanted: Sequence[str], seed: int
) -> dict[str, torch.Tensor]:
    """Pictures and vectors decoded at drawn latents, ``(n, B, ...)``, without their own noise.

    Independent noise in every pixel would hide what the draws differ in.
    """
    names = [name for name in wanted if codec.kind(name) in _SMOOTH]
    if not names:
        return {}
    x, present = source.gather(torch.arange(len(source), device=source.device))
    drawn = {}
    with torch.no_grad(), seeded(seed):
        z, _ = posterior_draws(model, x, present, DRAWS_SHOWN, PROPOSALS)
        for name, p in model.decode(z, names).items():
            drawn[name] = model.likelihood(name).point(p.statistics) if p.averages else p.mode
    return drawn


def _lack(mask: torch.Tensor) -> torch.Tensor:
    """Share of a row's values that are missing, an absent row counting most, ``(N,)``."""
    if mask.ndim == 1:
        return (~mask).double() * 2
    return (~mask).double().mean(1) + (~rows_present(mask)).double()
