"""Coherence as a further measure of an examination: of all models, on the same rows.

The numbers are those of ``evaluate_coherence`` with the same seed; the sums over test rows let
them be averaged over seeds and compared row by row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from polymodal.data.tensors import Tensors
from polymodal.evaluate.coherence import Subset, counted_rows, subsets_of
from polymodal.evaluate.decoded import judge_generated, judge_given
from polymodal.evaluate.examination import Examination
from polymodal.evaluate.judge import Judge, classes_of_judges
from polymodal.evaluate.sheet import MeanOf, OverRows, RowSums
from polymodal.metrics.classes import chance_agreement
from polymodal.model import LatentModel
from polymodal.random import derive_seed
from polymodal.typing import rows_present

GROUP = "coherence"
SHARES = "class shares of new "
"""How the group of a modality's class shares begins; its columns are the classes' numbers."""


@dataclass(frozen=True)
class CoherenceMeasure:
    """Conditional coherence by number of inputs, joint coherence, and the judges' cap.

    Beside the joint coherence stand the class shares of each modality of the new rows: a decoder
    that always shows one class agrees with itself.

    Arguments:
        codes: The classes of the test rows, ``(N,)``; -1 where unknown.
        judges: Modality -> its judge, trained on training rows.
        names: The modalities that are given and decoded.
    """

    codes: Tensor
    judges: Mapping[str, Judge]
    names: tuple[str, ...]

    def __call__(self, model: LatentModel, exam: Examination) -> dict[str, OverRows | str]:
        """Name -> sums over the test rows, or why the model does not have it."""
        found: dict[str, OverRows] = {}
        shares: dict[str, OverRows] = {}
        lacking: dict[str, OverRows | str] = {}
        for what, verb in (("conditional", "translate"), ("joint", "generate")):
            if verb in model.lacks:
                lacking[f"{what} coherence"] = model.lacks[verb]
            elif verb == "translate":
                found |= self._conditional(model, exam.test, derive_seed(exam.seed, 1))
            elif len(self.judges) > 1:
                classes = self._generated(model, derive_seed(exam.seed, 3))
                found |= self._joint(classes)
                shares = self._shares(classes)
        found["cap"] = MeanOf(list(self.caps(exam.test).values()))
        return {f"{GROUP}: {what}": one for what, one in found.items()} | shares | lacking

    def caps(self, test: Tensors) -> dict[str, RowSums]:
        """How often each judge tells the class of the real values of the test rows."""
        rows = self._rows(test)
        said = {
            name: judge.predict(test.x[name], test.present[name])
            for name, judge in self.judges.items()
        }
        asked: list[tuple[Subset, str]] = [((), name) for name in said]
        return dict(zip(said, self._right(asked, list(said.values()), rows), strict=True))

    def judged(self, test: Tensors) -> dict[str, Tensor]:
        """How many rows each share stands on that a mean is of: column -> ``(Q,)``."""
        rows = self._rows(test)
        sources = [name for name in self.names if bool(rows[name].any())]
        asked = [(s, name) for s in subsets_of(sources) for name in self.judges if name not in s]
        found: dict[str, list[int]] = {"joint": [len(self.codes)]}
        for given, target in [*asked, *(((), name) for name in self.judges)]:
            column = _inputs(len(given)) if given else "cap"
            counted = counted_rows([(given, target)], self.codes >= 0, rows)
            found.setdefault(column, []).append(int(counted.sum()))
        return {what: torch.tensor([n for n in each if n]) for what, each in found.items()}

    def _conditional(self, model: LatentModel, test: Tensors, seed: int) -> dict[str, OverRows]:
        rows = self._rows(test)
        sources = [name for name in self.names if bool(rows[name].any())]
        said = judge_given(
            model, test.to(model.device), self.judges, subsets_of(sources), own=False, seed=seed
        )
        asked = [(given, target) for given, target in said if target not in given]
        sums = self._right(asked, [said[one] for one in asked], rows)
        by_inputs: dict[int, dict[Subset, list[OverRows]]] = {}
        for (given, _), one in zip(asked, sums, strict=True):
            if one.counts.any():
                by_inputs.setdefault(len(given), {}).setdefault(given, []).append(one)
        return {
            _inputs(k): MeanOf([MeanOf(each) for each in subsets.values()])
            for k, subsets in sorted(by_inputs.items())
        }

    @property
    def _n_classes(self) -> int:
        return len(classes_of_judges(self.judges))

    def _generated(self, model: LatentModel, seed: int) -> dict[str, Tensor]:
        """The classes of as many new rows as test rows, which stand for them in the resamples."""
        said = judge_generated(model, len(self.codes), self.judges, seed=seed)
        return {name: one.cpu() for name, one in said.items()}

    def _joint(self, said: Mapping[str, Tensor]) -> dict[str, OverRows]:
        classes = torch.stack(list(said.values()))  # (M, N)
        agree = ((classes == classes[0]).all(0) & (classes[0] >= 0)).double()
        return {
            "joint": RowSums(agree, torch.ones_like(agree)),
            "joint by chance": ByChance(classes, self._n_classes),
        }

    def _shares(self, said: Mapping[str, Tensor]) -> dict[str, OverRows]:
        """The share of each class in each modality of the new rows."""
        return {
            f"{SHARES}{name}: {code}": RowSums((one == code).double(), (one >= 0).double())
            for name, one in said.items()
            for code in range(self._n_classes)
        }

    def _rows(self, test: Tensors) -> dict[str, Tensor]:
        """Which rows have each modality."""
        return {name: rows_present(test.present[name]).cpu() for name in self.names}

    def _right(
        self,
        asked: Sequence[tuple[Subset, str]],
        said: Sequence[Tensor],
        rows: Mapping[str, Tensor],
    ) -> list[RowSums]:
        """Whether the class was seen, of rows with a label and all that was given."""
        if not asked:
            return []
        counted = counted_rows(asked, self.codes >= 0, rows)  # (N, Q)
        return [
            RowSums(((one.cpu() == self.codes) & there).double(), there.double())
            for one, there in zip(said, counted.T, strict=True)
        ]


def _inputs(k: int) -> str:
    return f"{k} input{'s' * (k != 1)}"


@dataclass(frozen=True)
class ByChance:
    """How often modalities of such classes would agree if they had nothing else in common.

    Arguments:
        classes: The class seen in each row of each modality, ``(M, N)``; -1 for none.
        n_classes: How many classes there are.
    """

    classes: Tensor
    n_classes: int

    @cached_property
    def _shown(self) -> Tensor:
        """One-hot codes, zeros of no class, float64 ``(M, N, C)``."""
        shown = one_hot(self.classes.clamp(min=0), self.n_classes).double()
        return torch.where(self.classes[..., None] >= 0, shown, 0.0)

    def mean(self, weights: Tensor) -> Tensor:
        """The share for each set of weights of rows, ``(R, N)`` -> ``(R,)``."""
        counts = weights @ self._shown  # (M, R, C)
        return chance_agreement(counts / counts.sum(-1, keepdim=True).clamp(min=1.0))
