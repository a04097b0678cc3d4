"""What a fidelity says: a row a modality and way of making it, the means, and doubts."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from polymodal.evaluate.result import finite

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class FidelityRow:
    """One modality, made in one way.

    Arguments:
        name: The modality.
        given: What it was made from; empty for the prior.
        frechet: Fréchet distance of its features to those of the real rows.
        floor: What as many real rows in its place would have, from two halves of the real rows.
        precision: Share of what was made that lies among real rows.
        recall: Share of real rows that lie among what was made.
        n: Rows compared, of each: the same test rows where it was made from others.
        fid: Fréchet distance by the features of the published Inception network; NaN where it was
            not asked.
        fid_floor: What as many real rows in its place would have.
    """

    name: str
    given: tuple[str, ...]
    frechet: float
    floor: float
    precision: float
    recall: float
    n: int
    fid: float = math.nan
    fid_floor: float = math.nan


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
        """A line a modality and way of making it; columns of Inception only if it was asked."""
        import pandas as pd

        lines = [{**asdict(row), "given": " + ".join(row.given)} for row in self.rows]
        columns = ["name", "given", "frechet", "floor", "precision", "recall", "n"]
        if any(is_known(row.fid) for row in self.rows):
            columns += ["fid", "fid_floor"]
        named = {"fid": "FID (Inception)", "fid_floor": "FID floor"}
        return pd.DataFrame(lines, columns=columns).rename(columns=named)

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
                f"{row.name} {way}: {row.frechet:.4g} (real rows {row.floor:.4g}), precision "
                f"{row.precision:.2f}, recall {row.recall:.2f}{_said_of_inception(row)}."
            )
        return "\n".join([*said, *self.notes])


def is_known(value: float) -> bool:
    """Whether a distance was asked for and worked out."""
    return not math.isnan(value)


def _said_of_inception(row: FidelityRow) -> str:
    if not is_known(row.fid):
        return ""
    return f"; FID (Inception) {row.fid:.4g} (real rows {row.fid_floor:.4g})"
