r"""Ranks of methods by their answer sheets, with intervals over rows and seeds.

The error of each thing asked for is divided by that of the mean (or of the most frequent answer)
over all test rows, so that grams and categories can be averaged: first over what was asked of a
modality, then over modalities, so that a table of many columns does not outvote a picture. Skill
is

.. math:: 1 - E / E_b

of such an average E, against that of a rival that takes for each thing the baseline that is best
at it. Where one thing was asked for it is the skill that ``evaluate_skill`` gives. Nothing is
divided by the error of a single column in a resample, which may be zero by chance.

A method with S seeds has the mean over them. Its interval adds two independent sources:

.. math:: \bar s^{(r)} + t^{(r)}_{S-1}\, \hat\sigma / \sqrt S

the mean over seeds in the r-th resample of the test rows, and a draw from Student's t for the
spread over seeds; without spread over rows it is the textbook's t interval, without spread over
seeds the bootstrap's. With one seed nothing is known of that spread and the interval is of rows
alone. Differences between methods are paired over rows, and independent over seeds.

A method's rank is one more than the number of methods that beat it: whose difference to it has a
95 % interval above 0. Where a method of no less skill has a worse rank it has that one: of a
noisy method fewer others are surely better, which is no merit. So ranks follow skill, methods that
cannot be told apart may share one, and the order in which methods are given changes nothing.

References:
    Student. The probable error of a mean. Biometrika 6, 1908. https://doi.org/10.1093/biomet/6.1.1
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from polymodal.evaluate.bootstrap import percentile_interval
from polymodal.evaluate.result import BASELINES, Estimate
from polymodal.evaluate.scores import FEWEST_ROWS, skill_of
from polymodal.evaluate.sheet import Asked, Measured, Sheet


@dataclass(frozen=True)
class Averaged:
    """The mean of a number over seeds.

    Arguments:
        value: The mean.
        draws: What it could as well have been, by rows and by seeds, ``(R,)``.
        by_seed: The number of each seed, ``(S,)``.
    """

    value: float
    draws: Tensor
    by_seed: Tensor

    @property
    def estimate(self) -> Estimate:
        """The mean with its 95 % interval."""
        return Estimate(self.value, *percentile_interval(self.draws))

    @property
    def share(self) -> Estimate:
        """The same of a number that cannot leave [0, 1], whatever a draw for its spread says."""
        low, high = percentile_interval(self.draws.clamp(0, 1))
        return Estimate(self.value, low, high)

    @property
    def seed_sd(self) -> float:
        """Standard deviation over seeds; NaN of one seed."""
        return self.by_seed.std().item() if len(self.by_seed) > 1 else float("nan")


def average(measured: Sequence[Measured], name: str) -> Averaged:
    """The mean of a number over seeds.

    Arguments:
        measured: One a seed, with replicates of the same resamples.
        name: The method; the draws for the spread over seeds follow from it, so that those of two
            methods are independent of each other and of the order of methods.
    """
    by_seed = torch.tensor([one.value for one in measured], dtype=torch.float64)
    draws = torch.stack([one.replicates.double() for one in measured]).mean(0)
    if len(measured) > 1:
        error = by_seed.std() / len(measured) ** 0.5
        draws = draws + error * student_draws(len(measured) - 1, len(draws), name)
    return Averaged(by_seed.mean().item(), draws, by_seed)


def student_draws(freedom: int, n: int, name: str) -> Tensor:
    """The n quantiles of Student's t at (i + 1/2) / n, in an order that follows from a name."""
    from scipy.stats import t

    levels = (torch.arange(n, dtype=torch.float64) + 0.5) / n
    quantiles = torch.from_numpy(t.ppf(levels.numpy(), freedom))
    generator = torch.Generator().manual_seed(zlib.crc32(name.encode()))
    return quantiles[torch.randperm(n, generator=generator)]


@dataclass(frozen=True)
class Ranking:
    """Methods side by side.

    Arguments:
        sheets: Method -> its answer sheets, one a seed; the baselines among them, by their names.
        asked_rows: The test rows of each thing asked for, ``(n,)``, in the order of ``asked``;
            where they are not told, all things count as asked of the same rows.

    Raises:
        ValueError: If the sheets are not of the same questions and resamples, or the rows are
            those of other questions.
    """

    sheets: Mapping[str, Sequence[Sheet]]
    asked_rows: Sequence[Tensor] | None = None

    def __post_init__(self) -> None:
        missing = [name for name in BASELINES if name not in self.sheets]
        if missing:
            raise ValueError(f"a ranking needs the sheet of the baseline {missing[0]!r}.")
        first = self.sheets[BASELINES[0]][0]
        for name, sheets in self.sheets.items():
            for sheet in sheets:
                if sheet.asked != first.asked or sheet.replicates.shape != first.replicates.shape:
                    raise ValueError(
                        f"the sheet of {name!r} is of other questions or resamples than that of "
                        f"{BASELINES[0]!r}; they cannot be compared."
                    )
        if self.asked_rows is not None:
            told, counted = [len(rows) for rows in self.asked_rows], [one.n for one in first.asked]
            if told != counted:
                raise ValueError(
                    f"the sheets are of questions about {counted} rows, asked_rows of {told}; "
                    "give the rows of each thing asked for, in the order of asked."
                )

    @property
    def asked(self) -> tuple[Asked, ...]:
        """What every method was asked for."""
        return self.sheets[BASELINES[0]][0].asked

    @property
    def modalities(self) -> tuple[str, ...]:
        """The modalities that were asked for, in order."""
        return tuple(dict.fromkeys(one.modality for one in self.asked))

    @property
    def settled(self) -> tuple[Asked, ...]:
        """What the mean tells without error, as where all test rows are alike: it has no skill."""
        scales = self._scale.isnan().tolist()
        return tuple(one for one, nothing in zip(self.asked, scales, strict=True) if nothing)

    @cached_property
    def best_baseline(self) -> Tensor:
        """Which baseline is best at each thing asked for, ``(T,)``; of equals the first."""
        errors = torch.stack([self.sheets[name][0].errors for name in BASELINES])
        return errors.argmin(0)

    @cached_property
    def skill(self) -> dict[str, Averaged]:
        """Method -> its overall skill."""
        return {
            name: average([self._of(sheet, self.modalities) for sheet in sheets], name)
            for name, sheets in self.sheets.items()
        }

    @cached_property
    def skill_at(self) -> dict[str, dict[str, Averaged]]:
        """Modality -> method -> its skill there."""
        return {
            modality: {
                name: average([self._of(sheet, (modality,)) for sheet in sheets], name)
                for name, sheets in self.sheets.items()
            }
            for modality in self.modalities
        }

    @property
    def telling(self) -> bool:
        """Whether there are enough test rows to call anything better."""
        return self._n_rows[None] >= FEWEST_ROWS

    def count_rows(self, chosen: Callable[[Asked], bool]) -> int:
        """Test rows that any of the chosen things was asked of, each row once."""
        here = [i for i, one in enumerate(self.asked) if chosen(one)]
        if not here:
            return 0
        if self.asked_rows is None:
            return max(self.asked[i].n for i in here)
        return len(torch.cat([self.asked_rows[i] for i in here]).unique())

    @cached_property
    def _n_rows(self) -> dict[str | None, int]:
        """Modality -> test rows that anything of it was asked of; None for all together."""
        return {
            name: self.count_rows(lambda one, name=name: name in (None, one.modality))
            for name in (None, *self.modalities)
        }

    def beats(self, one: str, other: str, modality: str | None = None) -> bool:
        """Whether a method is better than another beyond noise, overall or at one modality."""
        if one == other or self._n_rows[modality] < FEWEST_ROWS:
            return False
        skill = self.skill if modality is None else self.skill_at[modality]
        low, _ = percentile_interval(skill[one].draws - skill[other].draws)
        return low > 0

    def ranks(self) -> dict[str, int]:
        """Method -> 1 + the number of methods that beat it, or one of no less skill."""
        names = list(self.sheets)
        own = {name: 1 + sum(self.beats(other, name) for other in names) for name in names}
        value = {name: self.skill[name].value for name in names}
        return {
            name: max(own[other] for other in names if value[other] >= value[name])
            for name in names
        }

    def measure(self, name: str, what: str) -> Averaged | None:
        """Another measure of a method; None where it has none."""
        found = [sheet.measures[what] for sheet in self.sheets[name] if what in sheet.measures]
        return average(found, name) if found else None

    @cached_property
    def _scale(self) -> Tensor:
        """What errors are divided by, ``(T,)``; NaN where guessing the mean makes no error."""
        errors = self.sheets[BASELINES[0]][0].errors
        return torch.where(errors > 0, errors, torch.nan)

    @cached_property
    def _rival(self) -> tuple[Tensor, Tensor]:
        """Errors of the best baseline at each thing, ``(T,)``, and resampled, ``(R, T)``."""
        baselines = [self.sheets[name][0] for name in BASELINES]
        errors = torch.stack([one.errors for one in baselines])
        replicates = torch.stack([one.replicates for one in baselines])
        column = torch.arange(len(self.best_baseline))
        best = self.best_baseline
        return errors[best, column], replicates[best, :, column].T

    def _pooled(self, errors: Tensor, modalities: Sequence[str]) -> Tensor:
        """Errors ``(..., T)`` over their scale, averaged over things, then over modalities."""
        ratio = errors / self._scale
        parts = []
        for modality in modalities:
            here = torch.tensor([one.modality == modality for one in self.asked])
            parts.append(ratio[..., here].nanmean(-1))
        return torch.stack(parts, -1).nanmean(-1)

    def _of(self, sheet: Sheet, modalities: Sequence[str]) -> Measured:
        """Skill at some modalities together."""
        whole, replicates = self._rival
        value = skill_of(self._pooled(sheet.errors, modalities), self._pooled(whole, modalities))
        resampled = skill_of(
            self._pooled(sheet.replicates, modalities), self._pooled(replicates, modalities)
        )
        return Measured(value.item(), resampled)
