r"""Coherence: does what a model decodes for a modality show the class that it should?

.. math:: C(S \to t) = \frac1N \sum_i 1[c_t(\hat x_t^i) = y^i],\quad t \notin S, \qquad
          C_{joint} = \frac1N \sum_i 1[c_1(\hat x_1^i) = \dots = c_M(\hat x_M^i)]

with judges :math:`c_t` and :math:`\hat x_t` the mean of :math:`p(x_t \mid z)` at one draw of z,
from the posterior given S alone or from the prior. Two averages are published under one name: (i)
by the number k of inputs, over the targets that were not given of each subset of k and then over
the subsets; (ii) by single source, over the M (M - 1) pairs, which is (i) at k = 1. A target that
was given is a reconstruction and in neither. Synergy decodes each modality from all of them.

A decoder that ignores z and always shows one class agrees with itself: beside the joint coherence
stand each modality's class shares, and how often they would agree by chance.

Intervals are of the bootstrap over rows, and exact where all rows are right, or all wrong.

References:
    Yuge Shi, N. Siddharth, Brooks Paige, Philip Torr. Variational Mixture-of-Experts Autoencoders
    for Multi-Modal Deep Generative Models. NeurIPS 2019. https://arxiv.org/abs/1911.03393,
    section 4. Thomas Sutter, Imant Daunhawer, Julia Vogt. Generalized Multimodal ELBO. ICLR 2021.
    https://arxiv.org/abs/2105.02470, section 4.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from polymodal.evaluate.bootstrap import bootstrap
from polymodal.evaluate.coherence_result import Conditional, Joint, Pair
from polymodal.evaluate.exact import exact_bounds, share_estimate
from polymodal.evaluate.result import Estimate
from polymodal.metrics.classes import (
    chance_agreement,
    class_entropy,
    class_shares,
    macro_accuracy,
    total_variation,
)

Subset = tuple[str, ...]
Values = Tensor | np.ndarray
DecodeMean = Callable[[Subset], Mapping[str, Values]]
"""The modalities given -> means ``(N, ...)`` of those decoded from them, for all rows."""

MOST_SUBSETS = 255
"""Up to so many subsets all are asked; of more, those of 1, M - 1 and M modalities."""


class Judging(Protocol):
    """What tells the class of values; ``polymodal.evaluate.judge.Judge`` does."""

    def predict(self, x: Values) -> Tensor:
        """Values ``(N, ...)`` -> classes ``(N,)``, -1 for none."""
        ...


def subsets_of(names: Sequence[str]) -> list[Subset]:
    """The subsets that are asked: by size, then by order, all modalities last.

    Example:
        >>> subsets_of(["a", "b"])
        [('a',), ('b',), ('a', 'b')]
    """
    n = len(names)
    sizes = range(1, n + 1) if 2**n - 1 <= MOST_SUBSETS else sorted({1, n - 1, n})
    return [subset for k in sizes for subset in combinations(names, k)]


def conditional_coherence(
    decode_mean: DecodeMean,
    names: Sequence[str],
    labels: Values,
    judges: Mapping[str, Judging],
    *,
    rows: Mapping[str, Tensor] | None = None,
    real: Mapping[str, Values] | None = None,
    subsets: Sequence[Subset] | None = None,
    resamples: int = 500,
    seed: int = 0,
) -> Conditional:
    """Judge whatever decodes some modalities from others: any library's model will do.

    Arguments:
        decode_mean: Asked once a subset.
        names: The modalities that are given and decoded.
        labels: The class of each row, ``(N,)``; -1 where unknown.
        judges: Modality -> its judge; modalities without one are not judged.
        rows: Modality -> which rows have it, bool ``(N,)``; all when None.
        real: Modality -> real values, for the caps.
        subsets: What is given; ``subsets_of(names)`` when None.
        resamples: Bootstrap resamples of the rows for the intervals.
        seed: The resamples follow from it.
    """
    said: dict[tuple[Subset, str], Tensor] = {}
    for subset in subsets if subsets is not None else subsets_of(names):
        made = decode_mean(subset)
        for name in names:
            if name in judges and name in made:
                said[subset, name] = judges[name].predict(made[name])
    told = {n: judges[n].predict(x) for n, x in (real or {}).items() if n in judges}
    return conditional_of_predictions(
        said, names, labels, rows=rows, real=told, resamples=resamples, seed=seed
    )


def conditional_of_predictions(
    said: Mapping[tuple[Subset, str], Tensor],
    names: Sequence[str],
    labels: Values,
    *,
    rows: Mapping[str, Tensor] | None = None,
    real: Mapping[str, Tensor] | None = None,
    resamples: int = 500,
    seed: int = 0,
) -> Conditional:
    """The averages and intervals of what judges said.

    Arguments:
        said: (given, target) -> the class that a judge saw in each row, ``(N,)``.
        names: The modalities that are given and decoded.
        labels: The class of each row, ``(N,)``; -1 where unknown.
        rows: Modality -> which rows have it, bool ``(N,)``; all when None.
        real: Modality -> what its judge said of the real values, ``(N,)``.
        resamples: Bootstrap resamples of the rows.
        seed: The resamples follow from it.

    Raises:
        ValueError: If nothing was judged, or no row has a label.
    """
    codes = torch.as_tensor(labels).cpu().long()
    known = codes >= 0
    _check(said, codes, known)
    asked = [*said, *(((), name) for name in real or {})]  # the caps come last
    classes = [*said.values(), *(real or {}).values()]
    counted = counted_rows(asked, known, rows or {})
    hits = torch.stack([one.cpu() == codes for one in classes], 1) & counted
    right, there = hits.double(), counted.double()

    def shares(weights: Tensor) -> Tensor:
        return (weights @ right) / (weights @ there)

    whole, replicates = bootstrap(
        shares, len(codes), resamples=resamples, seed=seed, width=2 * len(asked)
    )
    # Whatever is averaged over shares is averaged over their bounds too.
    every = torch.cat([whole[None], exact_bounds(whole, there.sum(0)), replicates])  # (3 + R, Q)

    def estimate(columns: list[int]) -> Estimate:
        return _estimate(every[:, columns].nanmean(1))

    pairs = [
        Pair(
            given,
            target,
            estimate([q]),
            macro_accuracy(classes[q].cpu(), codes, counted[:, q]).item(),
            int(counted[:, q].sum()),
        )
        for q, (given, target) in enumerate(said)
    ]
    n_names = len(names)
    means = {own: _by_inputs(pairs, every, own=own) for own in (False, True)}
    full = {p.target: q for q, p in enumerate(pairs) if len(p.given) == n_names}
    return Conditional(
        pairs,
        means[False],
        means[False].get(1, Estimate(*[float("nan")] * 3)),
        means[True],
        {name: pairs[q].accuracy for name, q in full.items()},
        estimate(list(full.values())),
        {name: estimate([len(said) + i]) for i, name in enumerate(real or {})},
        class_shares(codes, 1).max().item(),
    )


def joint_coherence(
    generated: Mapping[str, Values],
    judges: Mapping[str, Judging],
    labels: Values,
    n_classes: int,
    *,
    classes: Sequence[str] | None = None,
    resamples: int = 500,
    seed: int = 0,
) -> Joint:
    """Judge new rows, from whatever made them.

    Arguments:
        generated: Modality -> values ``(n, ...)``; those of one index belong together.
        judges: Modality -> its judge; modalities without one are not judged.
        labels: Classes of real rows, for their shares; -1 where unknown.
        n_classes: How many classes there are.
        classes: Their names, for warnings; their numbers when None.
        resamples: Bootstrap resamples of the rows.
        seed: The resamples follow from it.
    """
    said = {name: judges[name].predict(x) for name, x in generated.items() if name in judges}
    return joint_of_predictions(
        said, labels, n_classes, classes=classes, resamples=resamples, seed=seed
    )


def joint_of_predictions(
    said: Mapping[str, Tensor],
    labels: Values,
    n_classes: int,
    *,
    classes: Sequence[str] | None = None,
    resamples: int = 500,
    seed: int = 0,
) -> Joint:
    """Agreement of what judges said of new rows, ``(n,)`` a modality; see ``joint_coherence``.

    Raises:
        ValueError: If fewer than two modalities were judged.
    """
    if len(said) < 2:
        raise ValueError(
            f"joint coherence is of two modalities or more; {len(said)} of them have a judge."
        )
    seen = torch.stack([one.cpu() for one in said.values()])  # (M, n)
    agree = ((seen == seen[0]).all(0) & (seen[0] >= 0)).double()
    whole, replicates = bootstrap(
        lambda w: (w @ agree / w.sum(1))[:, None], len(agree), resamples=resamples, seed=seed
    )
    n = torch.tensor([len(agree)])
    codes = torch.as_tensor(labels).cpu().long()
    reference = class_shares(codes, n_classes)
    called = classes or [f"number {code}" for code in range(n_classes)]
    shares = {name: class_shares(one.cpu(), n_classes) for name, one in said.items()}
    return Joint(
        _estimate(torch.cat([whole, exact_bounds(whole, n)[:, 0], replicates[:, 0]])),
        chance_agreement(torch.stack(list(shares.values()))).item(),
        {name: one.tolist() for name, one in shares.items()},
        {name: class_entropy(one).item() for name, one in shares.items()},
        {name: total_variation(one, reference).item() for name, one in shares.items()},
        reference.tolist(),
        len(agree),
        [
            w
            for name, one in shares.items()
            for w in warn_of_collapse(name, one, reference, called)
        ],
    )


def warn_of_collapse(
    name: str, shares: Tensor, reference: Tensor, classes: Sequence[str]
) -> list[str]:
    """A sentence if a class took more than half of what the others have in real rows ``(C,)``."""
    top = int(shares.argmax())
    if shares[top] <= (1 + reference[top]) / 2:
        return []
    return [
        f"WARNING: {shares[top]:.0%} of the new {name} show one class, {classes[top]}, which "
        f"{reference[top]:.0%} of real rows have: they have collapsed to it, and agreement with "
        "it says little."
    ]


def counted_rows(
    asked: Sequence[tuple[Subset, str]], known: Tensor, rows: Mapping[str, Tensor]
) -> Tensor:
    """Rows with a label and all that is given (of a cap: the value itself), bool ``(N, Q)``."""
    columns = []
    for given, target in asked:
        needed = [rows[name].cpu() for name in given or (target,) if name in rows]
        columns.append(torch.stack([known, *needed]).all(0))
    return torch.stack(columns, 1)


def _by_inputs(pairs: Sequence[Pair], every: Tensor, *, own: bool) -> dict[int, Estimate]:
    """k -> mean over the targets of each subset of k modalities, then over the subsets."""
    columns: dict[int, dict[Subset, list[int]]] = {}
    for q, pair in enumerate(pairs):
        if pair.own == own and pair.n:
            columns.setdefault(len(pair.given), {}).setdefault(pair.given, []).append(q)
    found = {}
    for k, subsets in sorted(columns.items()):
        each = [every[:, targets].nanmean(1) for targets in subsets.values()]
        found[k] = _estimate(torch.stack(each, 1).nanmean(1))
    return found


def _estimate(values: Tensor) -> Estimate:
    """The first is of the rows, two are its exact bounds, the others of resamples."""
    value, low, high = values[:3].tolist()
    return share_estimate(value, values[3:], (low, high))


def _check(said: Mapping[tuple[Subset, str], Tensor], codes: Tensor, known: Tensor) -> None:
    if not said:
        raise ValueError("coherence: nothing was judged; no modality decoded has a judge.")
    if not bool(known.any()):
        raise ValueError("coherence: no row has a label, so nothing can be judged.")
    for (given, target), one in said.items():
        if one.shape != codes.shape:
            raise ValueError(
                f"coherence: {target} given {' + '.join(given)} has {len(one)} rows, the labels "
                f"have {len(codes)}."
            )
