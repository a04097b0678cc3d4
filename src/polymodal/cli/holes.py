"""What became of the holes of a table: filled, with what a CSV shows as a hole, or left open."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from polymodal.cli.known import filled_in
from polymodal.cli.outputs import count
from polymodal.data.table_file import holes_among
from polymodal.spelling import listed

if TYPE_CHECKING:
    import pandas as pd

    from polymodal.data.dataset import MultimodalData
    from polymodal.data.schema import Schema
    from polymodal.data.specs import ModalitySpec


@dataclass(frozen=True)
class Holes:
    """Holes by name, where there are any.

    Arguments:
        filled: Modality -> how many have a value now.
        lost: Modality -> how many got what the file, a CSV, shows as a hole, in one draw at least.
        left_open: Column that the model does not know -> how many it has.
        share: Of the rows, those that had a hole in a modality of the model.
    """

    filled: Mapping[str, int]
    lost: Mapping[str, int]
    left_open: Mapping[str, int]
    share: float

    @classmethod
    def of(
        cls,
        rows: MultimodalData,
        schema: Schema,
        missing: Mapping[str, np.ndarray],
        frame: pd.DataFrame,
        *,
        csv: bool,
    ) -> Holes:
        """Those of some rows.

        Arguments:
            rows: As they were, N.
            schema: The model's.
            missing: Modality -> what was filled in, bool (N,) or (N, P).
            frame: What came of it, N rows or N rows once a draw.
            csv: Whether it is written to a CSV.
        """
        lost = dict.fromkeys(missing, 0)
        if csv:
            lost = {name: _lost(frame, schema[name], mask) for name, mask in missing.items()}
        filled = {name: int(mask.sum()) - lost[name] for name, mask in missing.items()}
        there = [mask if mask.ndim == 1 else mask.any(1) for mask in missing.values()]
        share = float(np.any(there, axis=0).mean())
        lost = {name: n for name, n in lost.items() if n}
        return cls(filled, lost, _unknown(rows, schema), share)

    def __str__(self) -> str:
        lines = [f"{name}: {count(n, 'hole')} filled" for name, n in self.filled.items() if n]
        lines += [
            f"{name}: {count(n, 'hole')} got a value that a CSV shows as a hole"
            for name, n in self.lost.items()
        ]
        if self.left_open:
            named = listed(f"{name} ({count(n, 'hole')})" for name, n in self.left_open.items())
            lines.append(f"Left open, as the model does not know the column: {named}.")
        return "\n".join(lines or ["Nothing was missing."])

    def to_dict(self) -> dict[str, Any]:
        """As plain values."""
        return {
            "filled": dict(self.filled), "lost_in_csv": dict(self.lost),
            "left_open": dict(self.left_open), "share_of_rows_with_holes": self.share,
        }  # fmt: skip


def shown_as_holes(cells: Iterable[Any]) -> np.ndarray:
    """Where cells have a value that a CSV shows as a hole, such as the empty text; bool (N,)."""
    held = [one if isinstance(one, str) else "-" for one in cells]
    holes = holes_among(held)
    return np.fromiter((one in holes for one in held), dtype=bool, count=len(held))


def _lost(frame: pd.DataFrame, spec: ModalitySpec, filled: np.ndarray) -> int:
    """How many of the filled holes (N,) or (N, P) are shown as holes, in one draw at least."""
    lost = 0
    for place, column in enumerate(spec.sources):
        if column in frame:
            shown = shown_as_holes(frame[column]).reshape(-1, len(filled)).any(0)
            lost += int((filled_in(spec, filled, place) & shown).sum())
    return lost


def _unknown(rows: MultimodalData, schema: Schema) -> dict[str, int]:
    """Columns of a frame that no modality is read from, with their holes, where any."""
    import pandas as pd

    frame = rows.native()
    if not isinstance(frame, pd.DataFrame):
        return {}
    known = {name for spec in schema.modalities.values() for name in spec.sources}
    unknown = [name for name in frame.columns if name not in known]
    holes = {str(name): int(np.asarray(frame[name].isna()).sum()) for name in unknown}
    return {name: n for name, n in holes.items() if n}
