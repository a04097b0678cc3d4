r"""Fidelity: how near what a model makes is to what is real, by the features of a judge.

The Fréchet distance between features of real and of generated values, with improved precision and
recall beside it, for each modality made from the prior and made from others. A modality made from
itself is a reconstruction and in no mean. Features are those of a judge trained here, so that
values compare between models judged by the same judge, and with nothing that was published. The
floor is the distance between two halves of the real rows, which shrinks with their number: what is
made is compared with as many real rows as there are of it.

References:
    Imant Daunhawer, Thomas Sutter, Kieran Chin-Cheong, Emanuele Palumbo, Julia Vogt. On the
    Limitations of Multimodal VAEs. ICLR 2022. https://arxiv.org/abs/2110.04121 (report quality
    beside coherence: what gains in one loses in the other).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor

from polymodal.data.tensors import Tensors
from polymodal.evaluate.coherence import Subset
from polymodal.evaluate.decoded import given_means
from polymodal.evaluate.result import finite
from polymodal.metrics.frechet import frechet_distance
from polymodal.metrics.manifold import NEIGHBOURS, manifold_precision, manifold_recall
from polymodal.model import LatentModel
from polymodal.random import derive_seed
from polymodal.tasks.answer import chunks
from polymodal.tasks.asking import asking
from polymodal.tasks.traverse import means_of
from polymodal.typing import rows_present

if TYPE_CHECKING:
    import pandas as pd

MOST_FOR_MANIFOLDS = 5000
"""Rows compared by precision and recall, whose cost grows with their square."""


class Featuring(Protocol):
    """What turns values into features; ``polymodal.evaluate.judge.Judge`` does."""

    def features(self, x: Tensor) -> Tensor:
        """Values ``(N, ...)`` -> ``(N, F)``."""
        ...


@dataclass(frozen=True)
class FidelityRow:
    """One modality, made in one way.

    Arguments:
        name: The modality.
        given: What it was made from; empty for the prior.
        frechet: Fréchet distance of its features to those of the real rows.
        floor: That between two halves of the real rows.
        precision: Share of what was made that lies among real rows.
        recall: Share of real rows that lie among what was made.
        n: Rows compared, of each.
    """

    name: str
    given: Subset
    frechet: float
    floor: float
    precision: float
    recall: float
    n: int


@dataclass(frozen=True)
class Fidelity:
    """How near what a model makes is to what is real.

    Arguments:
        rows: One a modality and way of making it.
        unconditional: Mean Fréchet distance over modalities made from the prior.
        conditional: Mean over pairs of one modality given and another made; reconstructions
            are not among them.
        notes: What was not judged and why, a sentence each.
    """

    rows: list[FidelityRow]
    unconditional: float
    conditional: float
    notes: list[str]

    def table(self) -> pd.DataFrame:
        """A line a modality and way of making it."""
        import pandas as pd

        lines = [{**asdict(row), "given": " + ".join(row.given)} for row in self.rows]
        columns = ["name", "given", "frechet", "floor", "precision", "recall", "n"]
        return pd.DataFrame(lines, columns=columns)

    def to_dict(self) -> dict[str, Any]:
        """Plain values that JSON can hold."""
        return finite(asdict(self))

    def __str__(self) -> str:
        said = [
            f"Mean Fréchet distance to real rows: {self.unconditional:.4g} made from the prior, "
            f"{self.conditional:.4g} made from one other modality (less is better; by the "
            "features of the judges trained here)."
        ]
        for row in self.rows:
            way = f"given {' + '.join(row.given)}" if row.given else "from the prior"
            said.append(
                f"{row.name} {way}: {row.frechet:.4g} (real halves {row.floor:.4g}), precision "
                f"{row.precision:.2f}, recall {row.recall:.2f}."
            )
        return "\n".join([*said, *self.notes])


def evaluate_fidelity(
    model: LatentModel,
    test: Tensors,
    judges: Mapping[str, Featuring],
    *,
    names: Sequence[str] | None = None,
    subsets: Sequence[Subset] | None = None,
    neighbours: int = NEIGHBOURS,
    seed: int = 0,
) -> Fidelity:
    """Fréchet distance, precision and recall of each modality, from the prior and from others.

    Arguments:
        model: The model.
        test: Real rows that it has not seen.
        judges: Modality -> what gives its features; modalities without are not judged.
        names: The modalities that are given and made; all of the model when None.
        subsets: What is given; each modality alone when None.
        neighbours: k of precision and recall.
        seed: All draws follow from it.
    """
    names = tuple(names if names is not None else model.names)
    model.check_names(names)
    known = [name for name in names if name in judges and name in test.x]
    real = {name: _real(test, name, judges[name]) for name in known}
    known = [name for name in known if len(real[name]) >= 2 * (neighbours + 1)]
    if not known:
        raise ValueError("fidelity: no modality has a judge and enough real rows.")
    floors = {name: _floor(real[name], seed) for name in known}
    rows: list[FidelityRow] = []
    notes: list[str] = []

    def add(name: str, given: Subset, made: Tensor) -> None:
        n = min(len(made), len(real[name]))
        rows.append(_row(name, given, made[:n], real[name][:n], floors[name], neighbours))

    if "generate" in model.lacks:
        notes.append(f"Nothing was made from the prior: {model.lacks['generate']}")
    else:
        for name, made in _generated(
            model, len(test), known, judges, derive_seed(seed, 1)
        ).items():
            add(name, (), made)
    wanted = subsets if subsets is not None else [(name,) for name in names if name in test.x]
    if "translate" in model.lacks:
        notes.append(f"Nothing was made from others: {model.lacks['translate']}")
        wanted = []
    for given in wanted:
        here = torch.stack([rows_present(test.present[name]).cpu() for name in given]).all(0)
        targets = [name for name in known if name not in given]
        if int(here.sum()) <= neighbours or not targets:
            continue
        said = given_means(model, test.rows(here), given, targets, seed=derive_seed(seed, 2))
        for name in targets:
            add(name, given, judges[name].features(said[name]))
    prior = [row.frechet for row in rows if not row.given]
    pairs = [row.frechet for row in rows if len(row.given) == 1]
    return Fidelity(rows, _mean(prior), _mean(pairs), notes)


def _row(
    name: str, given: Subset, made: Tensor, real: Tensor, floor: float, neighbours: int
) -> FidelityRow:
    some, true = made[:MOST_FOR_MANIFOLDS], real[:MOST_FOR_MANIFOLDS]
    return FidelityRow(
        name,
        given,
        frechet_distance(made, real).item(),
        floor,
        manifold_precision(some, true, neighbours).item(),
        manifold_recall(some, true, neighbours).item(),
        len(made),
    )


def _real(test: Tensors, name: str, judge: Featuring) -> Tensor:
    """Features of the rows that have the modality whole."""
    mask = test.present[name]
    whole = mask if mask.ndim == 1 else mask.all(1)
    return judge.features(test.x[name][whole])


def _floor(real: Tensor, seed: int) -> float:
    """Fréchet distance of two random halves."""
    generator = torch.Generator().manual_seed(derive_seed(seed, 3))
    order = torch.randperm(len(real), generator=generator)
    half = len(real) // 2
    return frechet_distance(real[order[:half]], real[order[half : 2 * half]]).item()


@torch.no_grad()
def _generated(
    model: LatentModel, n: int, names: Sequence[str], judges: Mapping[str, Featuring], seed: int
) -> dict[str, Tensor]:
    """Features of n new rows: name -> ``(n, F)``."""
    pieces: dict[str, list[Tensor]] = {name: [] for name in names}
    with asking(model, seed):
        z = model.prior().sample(torch.Size((n,)))
        for rows in chunks(n, 1, z.device):
            for name, value in means_of(model, z[rows], names).items():
                pieces[name].append(judges[name].features(value))
    return {name: torch.cat(parts) for name, parts in pieces.items()}


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else math.nan
