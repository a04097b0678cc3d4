"""An answer sheet: what one method's answers came to, in the test rows and in resamples of them.

All sheets of one examination are of the same questions, and their resamples are the same: they
follow from the seed and the number of test rows alone. So sheets can be made on different days,
kept in files, and still be compared row by row: the difference of two sheets' replicates is the
paired bootstrap of the difference.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor

from polymodal.evaluate.result import Task


@dataclass(frozen=True)
class Asked:
    """One thing that every method was asked for.

    Arguments:
        task: What was hidden: a ``"modality"``, or single ``"cells"``.
        modality: The modality.
        column: The column of a table, or None.
        kind: number, positive, count, ordinal, category, vector, image or text.
        n: Test rows in which the answer is known.
    """

    task: Task
    modality: str
    column: str | None
    kind: str
    n: int


class OverRows(Protocol):
    """A quantity of the test rows that is known for any weights of them."""

    def mean(self, weights: Tensor) -> Tensor:
        """The quantity for each set of weights of rows, ``(R, N)`` -> ``(R,)``; NaN of nothing."""
        ...


@dataclass(frozen=True)
class RowSums:
    """A quantity as sums over test rows: its mean is the sum of values over that of counts.

    Arguments:
        values: What each test row adds, ``(N,)``; 0 where it adds nothing.
        counts: How many things that was, ``(N,)``.
    """

    values: Tensor
    counts: Tensor

    def mean(self, weights: Tensor) -> Tensor:
        """The mean for each set of weights of rows, ``(R, N)`` -> ``(R,)``; NaN of nothing."""
        return (weights @ self.values.double()) / (weights @ self.counts.double())


@dataclass(frozen=True)
class MeanOf:
    """The mean of several quantities, of those that are known.

    Arguments:
        parts: The quantities, at least one.
    """

    parts: Sequence[OverRows]

    def mean(self, weights: Tensor) -> Tensor:
        """The mean for each set of weights of rows, ``(R, N)`` -> ``(R,)``; NaN of nothing."""
        return torch.stack([one.mean(weights) for one in self.parts]).nanmean(0)


@dataclass(frozen=True)
class Measured:
    """A number and what it is in R resamples of the test rows.

    Arguments:
        value: Of the rows themselves.
        replicates: Of the resamples, float64 ``(R,)``.
    """

    value: float
    replicates: Tensor


@dataclass(frozen=True)
class Sheet:
    """What one method's answers came to.

    Arguments:
        asked: The T things asked for.
        errors: The error of each, ``(T,)``.
        replicates: The same in R resamples of the test rows, ``(R, T)``.
        measures: Other numbers: ``"coverage"``, ``"log_likelihood"``, and whatever else was
            measured; a name such as ``"coherence: joint"`` belongs to the group ``coherence``.
        lacks: Measure -> one sentence why the method does not have it.
    """

    asked: tuple[Asked, ...]
    errors: Tensor
    replicates: Tensor
    measures: Mapping[str, Measured] = field(default_factory=dict)
    lacks: Mapping[str, str] = field(default_factory=dict)

    def pack(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """What JSON can hold, and tensors."""
        facts = {
            "asked": [vars(one) for one in self.asked],
            "errors": [_or_none(value) for value in self.errors.tolist()],
            "measures": {name: _or_none(one.value) for name, one in self.measures.items()},
            "lacks": dict(self.lacks),
        }
        tensors = {"errors": self.errors, "replicates": self.replicates}
        tensors |= {f"measure/{name}": one.replicates for name, one in self.measures.items()}
        return facts, tensors

    @classmethod
    def unpack(cls, facts: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Sheet:
        """The inverse of ``pack``."""
        values = {
            name: math.nan if value is None else float(value)
            for name, value in facts["measures"].items()
        }
        return cls(
            tuple(Asked(**one) for one in facts["asked"]),
            tensors["errors"],
            tensors["replicates"],
            {name: Measured(v, tensors[f"measure/{name}"]) for name, v in values.items()},
            dict(facts["lacks"]),
        )


@dataclass(frozen=True)
class ErrorOf:
    """An error as a function of weights of the rows that were asked.

    Arguments:
        asked: What was asked for.
        rows: Which test rows these are, ``(n,)``.
        error: Weights ``(R, n)`` -> errors ``(R,)``.
        rounding: Errors up to this are none.
    """

    asked: Asked
    rows: Tensor
    error: Callable[[Tensor], Tensor]
    rounding: float

    def of(self, weights: Tensor) -> Tensor:
        """The errors for sets of weights of all test rows, ``(R, N)`` -> ``(R,)``."""
        found = self.error(weights[:, self.rows]).double()
        return torch.where(found <= self.rounding, 0.0, found)


def sheet_of(
    errors: Sequence[ErrorOf],
    sums: Mapping[str, OverRows],
    resampled: Callable[[Callable[[Tensor], Tensor]], tuple[Tensor, Tensor]],
    lacks: Mapping[str, str],
) -> Sheet:
    """Work all numbers out, in the rows and in their resamples.

    Arguments:
        errors: The errors, T.
        sums: The other measures.
        resampled: A statistic ``(R, N) -> (R, Q)`` -> its value ``(Q,)`` and replicates
            ``(R, Q)``: ``bootstrap`` for the rows and seed of the examination.
        lacks: Measure -> why there is none.
    """

    def statistics(weights: Tensor) -> Tensor:
        found = [one.of(weights) for one in errors]
        return torch.stack([*found, *(one.mean(weights) for one in sums.values())], 1)

    whole, replicates = resampled(statistics)
    n = len(errors)
    measures = {
        name: Measured(whole[n + i].item(), replicates[:, n + i].clone())
        for i, name in enumerate(sums)
    }
    asked = tuple(one.asked for one in errors)
    return Sheet(asked, whole[:n].clone(), replicates[:, :n].clone(), measures, lacks)


def _or_none(value: float) -> float | None:
    return value if math.isfinite(value) else None
