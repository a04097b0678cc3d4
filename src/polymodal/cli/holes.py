"""What became of the holes of a table: filled, filled with the empty text, or left open."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from polymodal.cli.left_out import listed
from polymodal.cli.outputs import count

if TYPE_CHECKING:
    import pandas as pd

    from polymodal.data.dataset import MultimodalData
    from polymodal.data.schema import Schema


@dataclass(frozen=True)
class Holes:
    """Holes by name, where there are any.

    Arguments:
        filled: Modality -> how many have a value now.
        empty: Text modality -> how many got the empty text, in one draw at least.
        left_open: Column that the model does not know -> how many it has.
        share: Of the rows, those that had a hole in a modality of the model.
    """

    filled: Mapping[str, int]
    empty: Mapping[str, int]
    left_open: Mapping[str, int]
    share: float

    @classmethod
    def of(
        cls,
        rows: MultimodalData,
        schema: Schema,
        missing: Mapping[str, np.ndarray],
        frame: pd.DataFrame,
    ) -> Holes:
        """Those of some rows.

        Arguments:
            rows: As they were, N.
            schema: The model's.
            missing: Modality -> what was filled in, bool (N,) or (N, P).
            frame: What came of it, N rows or N rows once a draw.
        """
        empty = {
            name: int((mask & _empty(frame, schema, name, len(mask))).sum())
            for name, mask in missing.items()
            if schema[name].kind == "text"
        }
        filled = {name: int(mask.sum()) - empty.get(name, 0) for name, mask in missing.items()}
        there = [mask if mask.ndim == 1 else mask.any(1) for mask in missing.values()]
        share = float(np.any(there, axis=0).mean())
        return cls(
            filled, {name: n for name, n in empty.items() if n}, _unknown(rows, schema), share
        )

    def __str__(self) -> str:
        lines = [f"{name}: {count(n, 'hole')} filled" for name, n in self.filled.items() if n]
        lines += [
            f"{name}: {count(n, 'hole')} got the empty text, which a CSV shows as a hole"
            for name, n in self.empty.items()
        ]
        if self.left_open:
            named = listed(f"{name} ({count(n, 'hole')})" for name, n in self.left_open.items())
            lines.append(f"Left open, as the model does not know the column: {named}.")
        return "\n".join(lines or ["Nothing was missing."])

    def to_dict(self) -> dict[str, Any]:
        """As plain values."""
        return {
            "filled": dict(self.filled), "filled_empty": dict(self.empty),
            "left_open": dict(self.left_open), "share_of_rows_with_holes": self.share,
        }  # fmt: skip


def _empty(frame: pd.DataFrame, schema: Schema, name: str, n_rows: int) -> np.ndarray:
    """Rows whose text has nothing to be seen, in one draw at least, bool (N,)."""
    column = next(one for one in (schema[name].column, name) if one in frame)
    cells = [one is None or not str(one).strip() for one in frame[column]]
    return np.asarray(np.array(cells, dtype=bool).reshape(-1, n_rows).any(0))


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
