"""Train judges: classifiers of each modality, by real rows, from a seed, kept in a folder.

AdamW with one cycle of the step size on cross-entropy with smoothed labels; pictures are moved by
up to two pixels. A tenth of the rows is held out for the judge's accuracy, the cap of whatever it
judges. A kept judge is found by a hash of its rows, labels and settings, so that it can never be
that of other data.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, pad

from polymodal.data.tensors import Tensors
from polymodal.evaluate.judge import Judge, JudgeInput, as_values, clean
from polymodal.random import derive_seed, seeded
from polymodal.typing import Column, rows_present

_VERSION = 1
"""Raised when training changes, so that judges kept before are not taken for new ones."""

_FEWEST_ROWS = 10


@dataclass(frozen=True)
class JudgeSettings:
    """How judges are trained.

    Arguments:
        hidden: Size of the features.
        dropout: Share of hidden units dropped.
        epochs: Passes over the rows; 15, or what makes 600 steps of fewer rows, when None.
        batch_size: Rows a step.
        learning_rate: AdamW's highest step size.
        weight_decay: AdamW's weight decay.
        smoothing: Share of each label that is spread over all classes.
        shift: Pixels by which pictures are moved at most, if each side has 16 or more.
        held_out: Share of the rows on which the accuracy is measured.
        seed: Everything random follows from it.
    """

    hidden: int = 128
    dropout: float = 0.3
    epochs: int | None = None
    batch_size: int = 128
    learning_rate: float = 3e-3
    weight_decay: float = 0.01
    smoothing: float = 0.05
    shift: int = 2
    held_out: float = 0.1
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.held_out < 1:
            raise ValueError(f"held_out must be between 0 and 1, got {self.held_out}.")
        for name in ("hidden", "batch_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}.")
        if self.epochs is not None and self.epochs < 1:
            raise ValueError(f"epochs must be at least 1, got {self.epochs}.")


def train_judge(
    x: Tensor | np.ndarray,
    labels: Tensor | np.ndarray,
    *,
    present: Tensor | None = None,
    columns: Sequence[Column] = (),
    classes: Sequence[str] | None = None,
    settings: JudgeSettings | None = None,
    cache: str | Path | None = None,
    name: str = "judge",
) -> Judge:
    """Train a judge of one modality, or read it from the folder where it was kept.

    Arguments:
        x: Real values ``(N, ...)`` of training rows: pictures ``(N, C, H, W)`` in [0, 1] or bytes,
            numbers ``(N, P)``, tokens ``(N, T)`` int64.
        labels: The class of each row, whole numbers from 0 on, ``(N,)``; -1 where unknown.
        present: What is there, bool ``(N,)`` or ``(N, P)``; all when None.
        columns: The columns, if ``x`` is a table with categories.
        classes: Names of the classes; their numbers when None.
        settings: How it is trained.
        cache: The folder where judges are kept; not kept when None.
        name: The modality, for errors and file names.

    Returns:
        The judge, in evaluation mode, with its accuracy on rows that it did not see.

    Raises:
        ValueError: If too few rows have both value and label, or only one class.
        FileError: If the judge that was kept is damaged.
    """
    settings = settings or JudgeSettings()
    x = clean(as_values(x))
    codes = torch.as_tensor(labels).cpu().long()
    if codes.shape != (len(x),):
        raise ValueError(
            f"judge of {name!r}: labels must have shape ({len(x)},), got {tuple(codes.shape)}."
        )
    there = torch.ones(len(x), dtype=torch.bool) if present is None else present.cpu()
    known = labelled_rows(name, there, codes)
    found = codes[known].unique()
    names = tuple(classes if classes is not None else map(str, range(int(found.max()) + 1)))
    if int(found.max()) >= len(names):
        raise ValueError(
            f"judge of {name!r}: a label is {int(found.max())}, but there are {len(names)} "
            "classes."
        )
    reads = JudgeInput.of(x, columns)
    index = known.nonzero()[:, 0]
    rows = _Rows(x[index.to(x.device)], there[index], codes[index])
    path = None
    if cache is not None:
        key = _key(rows, reads, names, settings)
        safe = "".join(c if c.isalnum() else "_" for c in name)
        path = Path(cache) / f"judge-{safe}-{key}.safetensors"
        if path.exists():
            return Judge.read(path).to(x.device)
    judge = _train(rows, reads, names, settings)
    if path is not None:
        judge.write(path)
    return judge


def labelled_rows(name: str, present: Tensor, labels: Tensor) -> Tensor:
    """Which rows the judge of a modality learns from, bool ``(N,)``.

    Raises:
        ValueError: If too few rows have both value and label, or only one class.
    """
    known = rows_present(present).cpu() & (labels >= 0)
    n_classes = len(labels[known].unique())
    if int(known.sum()) < _FEWEST_ROWS or n_classes < 2:
        raise ValueError(
            f"judge of {name!r}: needs at least {_FEWEST_ROWS} rows with a value and a label, of "
            f"two classes or more; got {int(known.sum())} rows of {n_classes}."
        )
    return known


def train_judges(
    train: Tensors,
    labels: Tensor | np.ndarray,
    names: Sequence[str] | None = None,
    *,
    columns: Mapping[str, Sequence[Column]] | None = None,
    classes: Sequence[str] | None = None,
    settings: JudgeSettings | None = None,
    cache: str | Path | None = None,
    on_judge: Callable[[int, int, str], None] | None = None,
) -> dict[str, Judge]:
    """A judge for each modality of the training rows; see ``train_judge``.

    Arguments:
        train: Training rows.
        labels: Their classes, ``(N,)``; -1 where unknown.
        names: The modalities; all when None.
        columns: Modality -> its columns, for tables.
        classes: Names of the classes.
        settings: How they are trained.
        cache: The folder where judges are kept.
        on_judge: Told the number of judges done, of all, and the modality that is next.
    """
    wanted = tuple(names if names is not None else train.names)
    judges = {}
    for done, name in enumerate(wanted):
        if on_judge is not None:
            on_judge(done, len(wanted), name)
        judges[name] = train_judge(
            train.x[name],
            labels,
            present=train.present[name],
            columns=(columns or {}).get(name, ()),
            classes=classes,
            settings=settings,
            cache=cache,
            name=name,
        )
    return judges


@dataclass(frozen=True)
class _Rows:
    """Rows with a value and a label; ``there`` is ``(N,)`` or ``(N, P)``."""

    x: Tensor
    there: Tensor
    codes: Tensor


def _key(rows: _Rows, reads: JudgeInput, classes: Sequence[str], settings: JudgeSettings) -> str:
    """A hash of all that a judge follows from."""
    facts = (_VERSION, asdict(reads), list(classes), asdict(settings))
    seen = hashlib.sha256(repr(facts).encode())
    cells = rows.there.reshape(*rows.there.shape, *(1,) * (rows.x.ndim - rows.there.ndim))
    x = rows.x.cpu()
    for part in (torch.where(cells, x, torch.zeros_like(x)), rows.there, rows.codes):
        seen.update(part.contiguous().numpy().data)
    return seen.hexdigest()[:20]


def _train(
    rows: _Rows, reads: JudgeInput, classes: Sequence[str], settings: JudgeSettings
) -> Judge:
    n_rows, device = len(rows.codes), rows.x.device
    order = torch.Generator().manual_seed(derive_seed(settings.seed, 1))
    shuffled = torch.randperm(n_rows, generator=order)
    n_held = min(max(1, round(settings.held_out * n_rows)), n_rows - 1)
    held, kept = shuffled[:n_held], shuffled[n_held:]
    cells = rows.there.to(device) if rows.there.ndim == 2 else None
    with seeded(derive_seed(settings.seed, 2)):
        judge = Judge(reads, classes, settings.hidden, settings.dropout).to(device)
        seen = kept.to(device)
        judge.standardise(rows.x[seen], None if cells is None else cells[seen])
        _descend(judge, rows, cells, kept, settings)
    judge.eval()
    said = judge.predict(rows.x[held.to(device)], rows.there[held])
    judge.accuracy = (said == rows.codes[held]).double().mean().item()
    judge.n_held_out = n_held
    return judge


def _descend(
    judge: Judge, rows: _Rows, cells: Tensor | None, kept: Tensor, settings: JudgeSettings
) -> None:
    device = rows.x.device
    size = min(settings.batch_size, len(kept))
    a_pass = math.ceil(len(kept) / size)
    epochs = settings.epochs or max(15 if a_pass < 400 else 8, math.ceil(600 / a_pass))
    optimiser = torch.optim.AdamW(
        judge.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay
    )
    rate = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, settings.learning_rate, total_steps=epochs * a_pass, pct_start=0.2
    )
    moves = judge.reads.kind == "picture" and min(judge.reads.shape[1:]) >= 16
    codes = rows.codes.to(device)
    judge.train()
    for _ in range(epochs):
        for batch in kept[torch.randperm(len(kept))].split(size):
            batch = batch.to(device)
            x = _moved(rows.x[batch], settings.shift) if moves else rows.x[batch]
            scores = judge(x, None if cells is None else cells[batch])[1]
            loss = cross_entropy(scores, codes[batch], label_smoothing=settings.smoothing)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            rate.step()


def _moved(x: Tensor, shift: int) -> Tensor:
    """A batch of pictures moved by up to ``shift`` pixels each way, edges repeated."""
    if not shift:
        return x
    down, right = torch.randint(0, 2 * shift + 1, (2,)).tolist()
    wide = pad(x, (shift,) * 4, mode="replicate")
    return wide[..., down : down + x.shape[-2], right : right + x.shape[-1]]
