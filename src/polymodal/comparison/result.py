"""What a comparison says: a row a method, groups of further columns, and advice in words."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from polymodal.evaluate.result import Estimate

if TYPE_CHECKING:
    import pandas as pd


SKILLS = "skill by modality"
"""The group whose numbers may be below 0 and are said with their sign."""

REAL = "(real rows)"
"""What class shares are compared with: those of the test rows."""


@dataclass(frozen=True)
class Row:
    """One method.

    Arguments:
        method: The recipe, or the name of a simple method.
        what: What it is, in a line.
        simple: Whether it is one of the simple methods.
        rank: 1 + the number of methods that beat it, or one of no less skill; None if it failed.
        skill: Mean over seeds of the overall skill, with its 95 % interval over rows and seeds.
        coverage: Share of hidden numbers inside their intervals; None where it gives none.
        log_likelihood: Of what was hidden, nats a row and question; None where it has none.
        cpu_seconds: Processor time of a fit, the mean over seeds.
        wall_seconds: Wall time of a fit.
        seeds: The seeds that were fitted.
        seed_sd: Standard deviation of the overall skill over seeds; NaN of one.
        statuses: How the fit of each seed ended.
        notes: What the reader should know of it, a sentence each.
        failure: Why there are no numbers, in a sentence; None where there are.
        lost: Seeds that were asked for and have no numbers, as the recipe failed.
    """

    method: str
    what: str
    simple: bool
    rank: int | None = None
    skill: Estimate | None = None
    coverage: Estimate | None = None
    log_likelihood: Estimate | None = None
    cpu_seconds: float | None = None
    wall_seconds: float | None = None
    seeds: tuple[int, ...] = ()
    seed_sd: float = math.nan
    statuses: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    failure: str | None = None
    lost: tuple[int, ...] = ()


@dataclass(frozen=True)
class Group:
    """Further columns of the table, that belong together.

    Arguments:
        name: The group, such as ``"skill by modality"``.
        says: What its numbers are, in a sentence.
        columns: The columns, in order.
        values: Method -> column -> a number with its interval; what is not there is a dash.
    """

    name: str
    says: str
    columns: tuple[str, ...]
    values: Mapping[str, Mapping[str, Estimate]]

    @property
    def form(self) -> str:
        """How its numbers are written: skills with their sign."""
        return "{:+.2f}" if self.name == SKILLS else "{:.2f}"


@dataclass(frozen=True)
class Comparison:
    """Several methods on one split of the rows.

    Arguments:
        rows: One a method, the best first.
        groups: Further columns: skill by modality, and what else was measured.
        shares: Of a comparison with a label, the class shares of each modality of new rows: a
            group a modality, a column a class; of ``REAL`` beside the methods.
        recommendation: What to use and why, in a few sentences.
        level: Level of the intervals whose coverage is given.
        sizes: Rows of each part: ``train``, ``validation``, ``test``.
        n_asked: Columns and modalities that were asked for.
        simple_cpu_seconds: Processor time of all simple methods together.
        notes: What could not be judged and why, a sentence each.
        pick: The recipe that the recommendation names; None where none could be fitted.

    Example:
        >>> import polymodal as pm
        >>> data = pm.load_bundled("penguins")[:80]
        >>> found = pm.compare(data, ["pcca"], seeds=1, progress=False)
        >>> sorted(row.method for row in found.rows)
        ['knn', 'linear', 'mean', 'pcca']
    """

    rows: tuple[Row, ...]
    groups: tuple[Group, ...]
    recommendation: str
    level: float
    sizes: Mapping[str, int]
    n_asked: int
    simple_cpu_seconds: float
    notes: tuple[str, ...] = field(default=())
    shares: tuple[Group, ...] = field(default=())
    pick: str | None = None

    def row(self, method: str) -> Row:
        """The row of a method.

        Raises:
            ValueError: If it was not compared.
        """
        for row in self.rows:
            if row.method == method:
                return row
        known = ", ".join(row.method for row in self.rows)
        raise ValueError(f"no method {method!r} was compared; there are {known}.")

    def frame(self) -> pd.DataFrame:
        """A line a method; an estimate gets three columns: ``skill``, ``skill_low``..."""
        import pandas as pd

        lines = []
        for row in self.rows:
            line: dict[str, Any] = {}
            for item in dataclasses.fields(row):
                value = getattr(row, item.name)
                if item.name in ("skill", "coverage", "log_likelihood"):
                    line |= _columns(item.name, value)
                else:
                    line[item.name] = value
            for group in (*self.groups, *self.shares):
                for column in group.columns:
                    estimate = group.values.get(row.method, {}).get(column)
                    line |= _columns(f"{group.name}: {column}", estimate)
            lines.append(line)
        return pd.DataFrame(lines)

    def to_dict(self) -> dict[str, Any]:
        """Plain values that JSON can hold: numbers that are not finite become None."""
        return _plain(dataclasses.asdict(self))

    def text(self, width: int = 100) -> str:
        """The table, what its words mean, and the recommendation, for so many columns."""
        from polymodal.comparison.text import as_text

        return as_text(self, width)

    def __str__(self) -> str:
        return self.text()


def _columns(name: str, estimate: Estimate | None) -> dict[str, float]:
    ends = (("", "value"), ("_low", "low"), ("_high", "high"))
    return {name + end: getattr(estimate, part, math.nan) for end, part in ends}


def _plain(value: Any) -> Any:  # noqa: ANN401
    if isinstance(value, Mapping):
        return {str(key): _plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
