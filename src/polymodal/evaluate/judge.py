r"""A judge: a classifier of one modality that says which class a decoded value shows.

Pictures are read by strided convolutions, vectors and tables by an MLP that knows holes, texts by
an MLP over the counts of their words; the features are the layer before the class scores. A judge
is trained on real rows (``polymodal.evaluate.judges``), and its accuracy on rows that it did not
see is the cap of every coherence that it measures.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from polymodal.files import FileFormat
from polymodal.metrics.text import words_of
from polymodal.networks.conv import ConvEncoder
from polymodal.networks.mlp import MLPEncoder
from polymodal.networks.table import TableEncoder
from polymodal.networks.vector import VectorEncoder
from polymodal.spelling import listed
from polymodal.typing import Column

JUDGE_FILE = FileFormat("polymodal judge", 1, "Delete the file: the judge will be trained again.")
NO_CLASS = -1
"""What a judge says of a row that is absent, or holds a number that is not finite."""

_SMALLEST_PICTURE = 8
_ROWS = 1024


@dataclass(frozen=True)
class JudgeInput:
    """What a judge reads.

    Arguments:
        kind: How: ``"picture"``, ``"vector"``, ``"table"`` or ``"words"``.
        shape: Shape of one row.
        columns: A table's columns.
        vocabulary: How many token ids a text has.
    """

    kind: Literal["picture", "vector", "table", "words"]
    shape: tuple[int, ...]
    columns: tuple[Column, ...] = ()
    vocabulary: int = 0

    @classmethod
    def of(cls, x: Tensor, columns: Sequence[Column] = (), vocabulary: int = 0) -> JudgeInput:
        """How values ``(N, ...)`` are read, by their columns, type and shape.

        Whole numbers ``(N, T)`` are the tokens of texts; ``(N, C, H, W)`` are pictures if both
        sides have 8 pixels or more; anything else is read as a vector.
        """
        shape = tuple(x.shape[1:])
        if columns:
            return cls("table", shape, tuple(columns))
        if len(shape) == 3 and min(shape[1:]) >= _SMALLEST_PICTURE:
            return cls("picture", shape)
        if x.dtype == torch.int64 and len(shape) == 1:
            top = int(x.max()) if x.numel() else 0
            return cls("words", shape, vocabulary=max(vocabulary, top + 1))
        return cls("vector", shape)


class Judge(nn.Module):
    """A classifier of one modality: classes and features of values in the model's tensor space.

    Arguments:
        reads: What it reads.
        classes: Names of the classes, in the order of their codes.
        hidden: Size of the features.
        dropout: Share of hidden units dropped in training.

    Attributes:
        accuracy: Share of the rows held out from its training that it told right; NaN before.
        n_held_out: How many rows these were.
    """

    accuracy: float = float("nan")
    n_held_out: int = 0
    centre: Tensor
    scale: Tensor

    def __init__(
        self, reads: JudgeInput, classes: Sequence[str], hidden: int = 128, dropout: float = 0.3
    ) -> None:
        super().__init__()
        self.reads, self.classes = reads, tuple(classes)
        self.hidden, self.dropout = hidden, dropout
        self.network = _network(reads, hidden, dropout)
        self.head = nn.Linear(hidden, len(self.classes))
        size = reads.shape[0] if reads.kind == "picture" else int(np.prod(reads.shape))
        self.register_buffer("centre", torch.zeros(size))
        self.register_buffer("scale", torch.ones(size))

    def standardise(self, x: Tensor, cells: Tensor | None) -> None:
        """Take the centre and scale of training values: a channel of pictures, else a number."""
        if self.reads.kind in ("words", "table"):
            return
        flat = self._flat(x)
        if cells is None:
            centre, scale = flat.mean(0), flat.std(0, correction=0)
        else:
            n = cells.sum(0).clamp(min=1)
            centre = torch.where(cells, flat, 0).sum(0) / n
            scale = (torch.where(cells, flat - centre, 0).square().sum(0) / n).sqrt()
        self.centre.copy_(centre)
        self.scale.copy_(torch.where(scale > 1e-6, scale, torch.ones_like(scale)))

    def _flat(self, x: Tensor) -> Tensor:
        """Rows by what shares one centre."""
        return x.transpose(0, 1).flatten(1).T if self.reads.kind == "picture" else x.flatten(1)

    def forward(self, x: Tensor, cells: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Features ``(B, hidden)`` and class scores ``(B, C)`` of values ``(B, ...)``."""
        kind = self.reads.kind
        if kind == "words":
            h = self.network(_counts(x, self.reads.vocabulary))
        elif kind == "picture":
            h = self.network((x - self.centre[:, None, None]) / self.scale[:, None, None])
        else:
            flat = x.flatten(1)
            there = torch.ones_like(flat, dtype=torch.bool) if cells is None else cells
            h = self.network(
                (flat - self.centre) / self.scale if kind == "vector" else flat, there
            )
        return h, self.head(h)

    def predict(self, x: Tensor | np.ndarray, present: Tensor | None = None) -> Tensor:
        """The class of each row, int64 ``(N,)`` on the CPU; -1 where there is none.

        Arguments:
            x: Values ``(N, ...)`` as the judge was trained on; pictures may be bytes.
            present: What is there, bool ``(N,)`` or ``(N, P)``; all when None. Absent rows, and
                those with a number that is not finite, have no class.
        """
        found, fit = self._ask(x, present, 1)
        return torch.where(fit, found.argmax(1), NO_CLASS)

    def features(self, x: Tensor | np.ndarray, present: Tensor | None = None) -> Tensor:
        """What the layer before the class scores says of each row, float32 ``(N, hidden)``."""
        return self._ask(x, present, 0)[0]

    @torch.no_grad()
    def _ask(
        self, x: Tensor | np.ndarray, present: Tensor | None, which: int
    ) -> tuple[Tensor, Tensor]:
        """One of the answers of ``forward``, in pieces, and which rows are fit to be judged."""
        x = as_values(x)
        if tuple(x.shape[1:]) != self.reads.shape:
            raise ValueError(
                f"judge: values must have shape (N, {', '.join(map(str, self.reads.shape))}), got "
                f"{tuple(x.shape)}."
            )
        rows = torch.ones(len(x), dtype=torch.bool) if present is None else present.cpu()
        cells = rows if rows.ndim == 2 else None
        there = rows if cells is None else cells.any(1)
        was_training, device = self.training, self.centre.device
        self.eval()
        outs = [torch.zeros(0, (self.hidden, len(self.classes))[which])]
        fits = [torch.zeros(0, dtype=torch.bool)]
        for start in range(0, len(x), _ROWS):
            part = slice(start, start + _ROWS)
            value = clean(x[part].to(device))
            own = None if cells is None else cells[part].to(device)
            known = value.isfinite() if value.is_floating_point() else torch.ones_like(value) > 0
            value = torch.where(known, value, torch.zeros_like(value))
            known = known.flatten(1)
            fits.append((known.all(1) if own is None else (known | ~own).all(1)).cpu())
            outs.append(self(value, own)[which].float().cpu())
        self.train(was_training)
        return torch.cat(outs), torch.cat(fits) & there

    def write(self, path: Path) -> None:
        """Write the judge to a file, which holds no code."""
        facts = {
            "reads": asdict(self.reads),
            "classes": list(self.classes),
            "hidden": self.hidden,
            "dropout": self.dropout,
            "accuracy": self.accuracy,
            "n_held_out": self.n_held_out,
        }
        JUDGE_FILE.write(path, facts, self.state_dict())

    @classmethod
    def read(cls, path: Path) -> Judge:
        """The judge in a file.

        Raises:
            FileError: If there is none, or it is damaged.
        """
        facts, tensors = JUDGE_FILE.read(path)
        try:
            said: dict[str, Any] = facts["reads"]
            columns = tuple(Column(**one) for one in said["columns"])
            reads = JudgeInput(said["kind"], tuple(said["shape"]), columns, said["vocabulary"])
            judge = cls(reads, facts["classes"], facts["hidden"], facts["dropout"])
            judge.load_state_dict(tensors)
            judge.accuracy, judge.n_held_out = facts["accuracy"], facts["n_held_out"]
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise JUDGE_FILE.error(
                f"{path}: not what a judge has ({error}). {JUDGE_FILE.remedy}"
            ) from error
        return judge.eval()


def classes_of_judges(judges: Mapping[str, Judge]) -> tuple[str, ...]:
    """The classes that all judges tell, in the order of their codes.

    Raises:
        ValueError: If there is no judge, or two tell other classes or in another order.
    """
    if not judges:
        raise ValueError("coherence: judges is empty; give at least one.")
    (first, one), *others = judges.items()
    for name, other in others:
        if other.classes != one.classes:
            raise ValueError(
                f"coherence: the judge of {first} tells the classes {listed(one.classes)}, that "
                f"of {name} {listed(other.classes)}: they cannot agree. Train both on one label."
            )
    return tuple(one.classes)


def as_values(x: Tensor | np.ndarray) -> Tensor:
    """Values as a tensor: of an array the same memory."""
    return torch.from_numpy(x) if isinstance(x, np.ndarray) else x


def clean(x: Tensor) -> Tensor:
    """Bytes as shares of 255, other numbers as float32; tokens as they are."""
    if x.dtype == torch.uint8:
        return x.float() / 255
    return x if x.dtype == torch.int64 else x.float()


def _network(reads: JudgeInput, hidden: int, dropout: float) -> nn.Module:
    """Values -> features ``(B, hidden)``."""
    sizes = (hidden, hidden)
    if reads.kind == "table":
        return TableEncoder(reads.columns, sizes, dropout=dropout)
    if reads.kind == "words":
        return MLPEncoder((reads.vocabulary,), sizes, dropout=dropout)
    if reads.kind == "vector":
        return VectorEncoder(int(np.prod(reads.shape)), sizes, dropout=dropout)
    return ConvEncoder(reads.shape, None, (hidden,), activation="relu", dropout=dropout)


def _counts(tokens: Tensor, vocabulary: int) -> Tensor:
    """log(1 + how often each word is there), ``(B, V)``."""
    tokens = tokens.clamp(max=vocabulary - 1)
    counts = torch.zeros(len(tokens), vocabulary, device=tokens.device)
    counts.scatter_add_(1, tokens.clamp(min=0), words_of(tokens).float())
    return counts.log1p()
