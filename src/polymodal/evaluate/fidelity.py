r"""Fidelity: how near what a model makes is to what is real, by the features of a judge.

The Fréchet distance between features of real and of generated values, with improved precision and
recall beside it, for each modality made from the prior and made from others. A modality made from
itself is a reconstruction and in no mean. Features are those of a judge trained here, so that
values compare between models judged by the same judge, and with nothing that was published; of
pictures, where the user names a file of its weights, those of the published Inception network
too. What is made is compared with as many real rows as there are of it. The floor is what real
rows in its place would have: the distance between two halves of the real rows, taken to that
number of rows by its law: the bias falls as one over it (Chong and Forsyth). What is made for some
test rows is compared with those very rows, as others may be others in kind: rows that lack
something need not be like those that have it.

References:
    Min Jin Chong, David Forsyth. Effectively Unbiased FID and Inception Score and where to find
    them. CVPR 2020. https://arxiv.org/abs/1911.07023 (section 3).
    Imant Daunhawer, Thomas Sutter, Kieran Chin-Cheong, Emanuele Palumbo, Julia Vogt. On the
    Limitations of Multimodal VAEs. ICLR 2022. https://arxiv.org/abs/2110.04121 (report quality
    beside coherence: what gains in one loses in the other).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from polymodal.data.tensors import Tensors
from polymodal.evaluate.coherence import Subset
from polymodal.evaluate.decoded import given_means
from polymodal.evaluate.fidelity_result import Fidelity, FidelityRow, is_known
from polymodal.metrics.frechet import frechet_distance
from polymodal.metrics.manifold import NEIGHBOURS, manifold_precision, manifold_recall
from polymodal.model import LatentModel
from polymodal.networks.inception import N_FEATURES
from polymodal.random import derive_seed
from polymodal.tasks.answer import chunks
from polymodal.tasks.asking import asking
from polymodal.tasks.traverse import means_of
from polymodal.typing import rows_present

MOST_FOR_MANIFOLDS = 5000
"""Rows compared by precision and recall, at random, as their cost grows with the square."""


class Featuring(Protocol):
    """What turns values into features; ``polymodal.evaluate.judge.Judge`` does."""

    def features(self, x: Tensor) -> Tensor:
        """Values ``(N, ...)`` -> ``(N, F)``."""
        ...


def evaluate_fidelity(
    model: LatentModel,
    test: Tensors,
    judges: Mapping[str, Featuring],
    *,
    inception: Mapping[str, Featuring] | None = None,
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
        inception: Modality of pictures -> the published network, for a second Fréchet distance.
        names: The modalities that are given and made; all of the model when None.
        subsets: What is given; each modality alone when None.
        neighbours: k of precision and recall.
        seed: All draws follow from it.
    """
    names = tuple(names if names is not None else model.names)
    model.check_names(names)
    known = [name for name in names if name in judges and name in test.x]
    also = inception or {}
    readers = {name: [both[name] for both in (judges, also) if name in both] for name in known}
    real = {name: _real(test, name, readers[name]) for name in known}
    enough = 2 * (neighbours + 1)
    known = [name for name in known if len(real[name].features[0]) >= enough]
    if not known:
        raise ValueError("fidelity: no modality has a judge and enough real rows.")
    floors = {name: [_floor(one, seed) for one in real[name].features] for name in known}
    rows: list[FidelityRow] = []
    notes = [
        f"{name} has no judge or too few real rows, so it has no FID (Inception) either."
        for name in also
        if name not in known
    ]

    def add(name: str, given: Subset, made: list[Tensor], asked: Tensor | None = None) -> None:
        both = None if asked is None else _of_the_same_rows(made, asked, real[name], enough)
        if asked is not None and both is None:
            notes.append(_few_in_common(name, given))
        both = both or _of_some_rows(made, real[name], derive_seed(seed, 4))
        rows.append(_row(name, given, both, floors[name], neighbours, derive_seed(seed, 5)))

    if "generate" in model.lacks:
        notes.append(f"Nothing was made from the prior: {model.lacks['generate']}")
    else:
        for name, made in _generated(
            model, len(test), known, readers, derive_seed(seed, 1)
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
            add(name, given, _features(readers[name], said[name]), here)
    prior = [row.frechet for row in rows if not row.given]
    pairs = [row.frechet for row in rows if len(row.given) == 1]
    notes += _few_for_inception(rows)
    return Fidelity(rows, _mean(prior), _mean(pairs), notes)


def _row(
    name: str,
    given: Subset,
    features: Sequence[tuple[Tensor, Tensor]],
    floors: Sequence[float],
    neighbours: int,
    seed: int,
) -> FidelityRow:
    """What features of made and of real rows say: the judge's, and Inception's if there.

    Arguments:
        name, given: What was made of what.
        features: Of made and of real rows, of each reader.
        floors: Distances of two sets of one real row each, of each reader.
        neighbours: k of precision and recall.
        seed: Which rows these see follows from it.
    """
    made, real = features[0]
    floors = [one / len(made) for one in floors]
    chosen = _choice(len(made), MOST_FOR_MANIFOLDS, seed)
    some, true = made[chosen], real[chosen]
    distances = [frechet_distance(*pair).item() for pair in features]
    return FidelityRow(
        name,
        given,
        distances[0],
        floors[0],
        manifold_precision(some, true, neighbours).item(),
        manifold_recall(some, true, neighbours).item(),
        len(made),
        *(value for one in zip(distances[1:], floors[1:], strict=True) for value in one),
    )


def _features(readers: Iterable[Featuring], x: Tensor) -> list[Tensor]:
    return [reader.features(x) for reader in readers]


@dataclass(frozen=True)
class _Real:
    """The rows that have a modality whole.

    Arguments:
        rows: Which of the test rows these are, bool ``(N,)``.
        features: Theirs, ``(n, F)`` of each reader.
    """

    rows: Tensor
    features: list[Tensor]


def _real(test: Tensors, name: str, readers: Iterable[Featuring]) -> _Real:
    mask = test.present[name]
    whole = mask if mask.ndim == 1 else mask.all(1)
    return _Real(whole.cpu(), _features(readers, test.x[name][whole]))


def _of_the_same_rows(
    made: Sequence[Tensor], asked: Tensor, real: _Real, enough: int
) -> list[tuple[Tensor, Tensor]] | None:
    """Features made for rows and real ones of those rows; None where too few have both."""
    both = asked & real.rows
    if int(both.sum()) < enough:
        return None
    mine, its = both[asked], both[real.rows]
    return [(one[mine], true[its]) for one, true in zip(made, real.features, strict=True)]


def _of_some_rows(made: Sequence[Tensor], real: _Real, seed: int) -> list[tuple[Tensor, Tensor]]:
    """As many features of what was made as of real rows, whichever those are."""
    sizes = len(made[0]), len(real.features[0])
    mine, its = (_choice(size, min(sizes), seed) for size in sizes)
    return [(one[mine], true[its]) for one, true in zip(made, real.features, strict=True)]


def _choice(n: int, most: int, seed: int) -> Tensor:
    """All of n places, in order, or as many as there may be at random."""
    if n <= most:
        return torch.arange(n)
    generator = torch.Generator().manual_seed(seed)
    return torch.randperm(n, generator=generator)[:most].sort().values


def _floor(real: Tensor, seed: int) -> float:
    """Fréchet distance of two random halves, taken to one row each."""
    generator = torch.Generator().manual_seed(derive_seed(seed, 3))
    order = torch.randperm(len(real), generator=generator)
    half = len(real) // 2
    return half * frechet_distance(real[order[:half]], real[order[half : 2 * half]]).item()


@torch.no_grad()
def _generated(
    model: LatentModel,
    n: int,
    names: Sequence[str],
    readers: Mapping[str, Sequence[Featuring]],
    seed: int,
) -> dict[str, list[Tensor]]:
    """Features of n new rows: name -> ``(n, F)`` of each reader."""
    pieces: dict[str, list[list[Tensor]]] = {name: [] for name in names}
    with asking(model, seed):
        z = model.prior().sample(torch.Size((n,)))
        for rows in chunks(n, 1, z.device):
            for name, value in means_of(model, z[rows], names).items():
                pieces[name].append(_features(readers[name], value))
    return {
        name: [torch.cat(one) for one in zip(*parts, strict=True)]
        for name, parts in pieces.items()
    }


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else math.nan


def _few_in_common(name: str, given: Subset) -> str:
    return (
        f"{name} given {' + '.join(given)} was compared with real rows chosen at random, as too "
        "few test rows have both; that rows differ in kind may be part of its distance."
    )


def _few_for_inception(rows: Sequence[FidelityRow]) -> list[str]:
    """A doubt where there are fewer rows than features: the distance is then biased upwards."""
    few = [row for row in rows if is_known(row.fid) and row.n <= N_FEATURES]
    if not few:
        return []
    least, names = min(row.n for row in few), ", ".join(dict.fromkeys(row.name for row in few))
    return [
        f"FID (Inception) of {names} is biased upwards: it stands on {least:,} rows, and "
        f"{N_FEATURES:,} features want more rows than that (10,000 or more are usual). Compare it "
        "only with values of as many rows."
    ]
