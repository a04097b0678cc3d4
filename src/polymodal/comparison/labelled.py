"""A comparison of rows that have a class: judges trained once, the same for every model."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from polymodal.comparison.folder import Finished
from polymodal.comparison.plan import Split
from polymodal.comparison.result import REAL, Comparison
from polymodal.data.missingness import anything
from polymodal.estimator.labels import (
    check_any,
    classes_of,
    codes_of,
    labels_of,
    rows_left_out,
)
from polymodal.evaluate.coherence import warn_of_collapse
from polymodal.evaluate.coherence_measure import GROUP, SHARES, CoherenceMeasure
from polymodal.evaluate.exact import exact_bounds, note_few, with_width
from polymodal.evaluate.judges import labelled_rows, train_judges
from polymodal.evaluate.result import Estimate
from polymodal.evaluate.sheet import Sheet
from polymodal.metrics.classes import class_shares
from polymodal.typing import rows_present


@dataclass(frozen=True)
class Labelled:
    """The classes of the rows of a split.

    Arguments:
        split: The rows.
        label: The column.
        home: The modality that holds it, which is neither given nor decoded; None if none does.
        classes: The classes of the training rows.
        learned: Those of the training rows as places among them, int64 ``(N,)``; -1 for none.
        judged: Those of the test rows.
        left_out: How many test rows have none and why, a sentence each.
    """

    split: Split
    label: str
    home: str | None
    classes: tuple[str, ...]
    learned: torch.Tensor
    judged: torch.Tensor
    left_out: tuple[str, ...] = ()

    @classmethod
    def of(cls, split: Split, label: str) -> Labelled:
        """Read the labels.

        Raises:
            ValueError: If there is no such column, its values are no classes, fewer than two
                modalities stand beside it, or one of them has too few labelled training rows.
        """
        train = split.train[anything(split.train)]
        learned, home = labels_of(train, label)
        judged, _ = labels_of(split.judged, label)
        classes = classes_of(learned, label)
        codes = codes_of(judged, classes)
        check_any(codes, classes)
        names = [name for name in split.rows.codec.names if name != home]
        if len(names) < 2:
            raise ValueError(
                f"compare: coherence is of two modalities or more beside the one that holds the "
                f"label {label!r}, got {len(names)}; name the modalities in a schema, without it."
            )
        learned = torch.from_numpy(codes_of(learned, classes))
        left_out = tuple(rows_left_out(judged, classes))
        found = cls(split, label, home, classes, learned, torch.from_numpy(codes), left_out)
        for name in found._judged:
            labelled_rows(name, split.rows.train.present[name], learned)
        return found

    @property
    def fingerprint(self) -> str:
        """Of the rows and their labels."""
        seen = hashlib.sha256(self.split.fingerprint.encode())
        for codes in (self.learned, self.judged):
            seen.update(codes.numpy().tobytes())
        return seen.hexdigest()[:16]

    def measure(
        self, cache: Path, on_judge: Callable[[int, int, str], None] | None = None
    ) -> CoherenceMeasure:
        """Train the judges, or read those that were kept, and make the measure.

        Arguments:
            cache: The folder where judges are kept.
            on_judge: Told the number of judges done, of all, and the modality that is next.
        """
        codec, train, names = self.split.rows.codec, self.split.rows.train, self._names
        judges = train_judges(
            train,
            self.learned,
            self._judged,
            columns={name: codec.columns(name) for name in names if codec.kind(name) == "table"},
            classes=self.classes,
            cache=cache,
            on_judge=on_judge,
        )
        return CoherenceMeasure(self.judged, judges, names)

    @property
    def _names(self) -> tuple[str, ...]:
        """The modalities but that of the label."""
        return tuple(name for name in self.split.rows.codec.names if name != self.home)

    @property
    def _judged(self) -> list[str]:
        """Those of them that a training row has."""
        present = self.split.rows.train.present
        return [name for name in self._names if bool(rows_present(present[name]).any())]

    def named(self, found: Comparison, done: Sequence[Finished]) -> Comparison:
        """The comparison with the classes' names over their shares, and the real shares beside.

        Arguments:
            found: The comparison.
            done: Its fits, of which the notes warn where one shows a single class.
        """
        exact = {
            name: Estimate(share, share, share)
            for name, share in zip(self.classes, self._real.tolist(), strict=True)
        }
        shares = []
        for group in found.shares:
            values = {
                method: {self.classes[int(code)]: one for code, one in columns.items()}
                for method, columns in group.values.items()
            }
            shares.append(
                dataclasses.replace(group, columns=self.classes, values={**values, REAL: exact})
            )
        rows = [
            dataclasses.replace(row, notes=(*row.notes, *self._collapses(row.method, done)))
            for row in found.rows
        ]
        return dataclasses.replace(found, rows=tuple(rows), shares=tuple(shares))

    def bounded(self, found: Comparison, measure: CoherenceMeasure) -> Comparison:
        """The comparison with exact intervals where every row was right, or none was."""
        judged = measure.judged(self.split.test)

        def bound(column: str, one: Estimate) -> Estimate:
            if column not in judged or not len(judged[column]):
                return one
            n = judged[column]
            low, high = exact_bounds(torch.full(n.shape, one.value).double(), n).mean(1).tolist()
            return with_width(one, (low, high))

        groups = [
            group
            if group.name != GROUP
            else dataclasses.replace(
                group,
                values={
                    method: {column: bound(column, one) for column, one in columns.items()}
                    for method, columns in group.values.items()
                },
            )
            for group in found.groups
        ]
        return dataclasses.replace(found, groups=tuple(groups))

    @property
    def _real(self) -> torch.Tensor:
        """The share of each class of the test rows, ``(C,)``."""
        return class_shares(self.judged, len(self.classes))

    def _collapses(self, method: str, done: Sequence[Finished]) -> list[str]:
        """A warning a modality of one recipe, where new rows of a fit show a single class.

        Fits are looked at one by one: two that collapsed to two classes have no collapsed mean.
        """
        seeds: dict[str, list[str]] = {}
        for fit in done:
            for name, shares in self._shares(fit.sheets[method]) if fit.recipe == method else ():
                for words in warn_of_collapse(name, shares, self._real, self.classes):
                    seeds.setdefault(words, []).append(str(fit.seed))
        return [
            f"{method} with seed{'s' if len(which) > 1 else ''} {', '.join(which)}: {words}"
            for words, which in seeds.items()
        ]

    def _shares(self, sheet: Sheet) -> Iterator[tuple[str, torch.Tensor]]:
        """Each modality of a fit's new rows, with the share of each class ``(C,)``."""
        shares: dict[str, torch.Tensor] = {}
        for what, measured in sheet.measures.items():
            if what.startswith(SHARES):
                name, _, code = what.removeprefix(SHARES).rpartition(": ")
                shares.setdefault(name, torch.zeros(len(self.classes)))[int(code)] = measured.value
        yield from ((name, each.nan_to_num()) for name, each in shares.items())

    def notes(self, measure: CoherenceMeasure) -> list[str]:
        """What the reader should know of the judges and their rows, a sentence each."""
        weights = torch.ones(1, len(self.judged), dtype=torch.float64)
        caps = ", ".join(
            f"{name} {sums.mean(weights).item():.2f}"
            for name, sums in measure.caps(self.split.test).items()
            if sums.counts.any()
        )
        said = [f"Judges tell {self.label} of real test rows so often: {caps}.", *self.left_out]
        said += note_few(int((self.judged >= 0).sum()))
        if self.home is not None:
            said.append(
                f"Coherence is without {self.home}, which holds the label {self.label}: who is "
                "given it need not understand anything."
            )
        return said
