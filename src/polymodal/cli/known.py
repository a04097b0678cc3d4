"""The known cells of a CSV, to be written back exactly as they stood: ``01`` stays ``01``.

As numbers they would lose digits (floats hold whole numbers up to 2^53), zeros and signs.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from polymodal.data.list_text import may_be_list
from polymodal.data.names import objects
from polymodal.data.sounds import HELD
from polymodal.data.table_file import as_written, is_delimited

if TYPE_CHECKING:
    import pandas as pd

    from polymodal.data.dataset import MultimodalData
    from polymodal.data.schema import Schema
    from polymodal.data.specs import ModalitySpec

_WHOLE = re.compile(r"\s*[+-]?\d+\s*")
_ZEROS = re.compile(r"0\d+")
_FILES = ("image", "audio")
"""Kinds whose cells may name files as seen from the table: elsewhere the name is another."""


@dataclass(frozen=True)
class KnownCells:
    """A CSV as it is written, and where it has holes.

    Arguments:
        written: Its cells as strings, (N,) a column.
        holes: Column -> where it is filled, or has a name that is rewritten, bool (N,); a column
            that is not named has none.
    """

    written: pd.DataFrame
    holes: Mapping[str, np.ndarray]

    @classmethod
    def of(
        cls, path: Path, schema: Schema, missing: Mapping[str, np.ndarray]
    ) -> KnownCells | None:
        """Those of a file; None if it is no CSV.

        Arguments:
            path: The file.
            schema: What the columns are.
            missing: Modality -> what was filled in, bool (N,) or (N, P).
        """
        if not is_delimited(path):
            return None
        written, holes = as_written(path), {}
        for name, mask in missing.items():
            spec = schema[name]
            for place, column in enumerate(spec.sources):
                hole = filled_in(spec, mask, place)
                if spec.kind in _FILES and column in written:
                    names = [not may_be_list(one) for one in written[column]]
                    hole = np.logical_or(hole, names)
                holes[column] = hole
        return cls(written, holes)

    def put_into(self, frame: pd.DataFrame) -> pd.DataFrame:
        """The frame, of N rows or of N rows once a draw, with the known cells as they stood.

        The bounds ``NAME_low`` and ``NAME_high`` of a known cell are the cell itself.
        """
        frame = frame.copy(deep=False)
        copies = len(frame) // max(len(self.written), 1)
        for column in self.written:
            stood = self.written[column].to_numpy(dtype=object)
            hole = self.holes.get(str(column), np.zeros(len(stood), dtype=bool))
            known = stood[~hole]
            whole = len(known) > 0 and all(_WHOLE.fullmatch(one) for one in known if one)
            spelled = _spellings(known) if whole else {}
            for title in (column, f"{column}_low", f"{column}_high"):
                if title not in frame or (title != column and title in self.written):
                    continue
                made = objects(frame[title])
                if whole:  # 4 as its like is written, 04
                    made = objects(spelled.get(one, one) for one in without_point(made))
                frame[title] = np.where(np.tile(hole, copies), made, np.tile(stood, copies))
        return frame

    def keep_names(self, frame: pd.DataFrame, schema: Schema | None) -> pd.DataFrame:
        """The frame, with columns of whole numbers that no modality reads as they stood.

        That ``007`` is no number shows in its zeros, which a number does not have.
        """
        specs = () if schema is None else schema.modalities.values()
        read = {source for spec in specs for source in spec.sources}
        frame = frame.copy(deep=False)
        copies = len(frame) // max(len(self.written), 1)
        for column in self.written:
            stood = self.written[column].to_numpy(dtype=object)
            if column in frame and column not in read and any(map(_ZEROS.fullmatch, stood)):
                frame[column] = np.tile(objects(one or None for one in stood), copies)
        return frame


def filled_in(spec: ModalitySpec, mask: np.ndarray, place: int) -> np.ndarray:
    """In which rows a column has something filled in, bool (N,).

    Arguments:
        spec: Its modality.
        mask: What was filled in of that, bool (N,) or (N, P).
        place: The column's among the modality's.
    """
    own = mask[:, place] if spec.kind == "table" else mask.reshape(len(mask), -1).any(1)
    return np.asarray(own)


def samples_of(rows: MultimodalData) -> set[str]:
    """Columns of sounds whose known cells all are lists of samples, as text in a CSV."""
    return {
        str(spec.column)
        for spec in rows.schema.modalities.values()
        if spec.kind == "audio" and (cells := rows.column(str(spec.column))) is not None
        if cells.present.any() and all(map(_is_list, cells.values[cells.present]))
    }


def _is_list(cell: object) -> bool:
    return may_be_list(cell) if isinstance(cell, str) else isinstance(cell, HELD)


def _spellings(known: Iterable[str]) -> dict[int, str]:
    """Whole number -> how it is written most often."""
    return {int(text): text for text, _ in reversed(Counter(filter(None, known)).most_common())}


def without_point(cells: Iterable[Any]) -> np.ndarray:
    """Whole numbers in floats as integers, which are written without ``.0``; the rest as it is.

    Returns:
        Objects, (N,): as floats the numbers would be what they were.

    Example:
        >>> without_point([3.0, 2.5, None, "a"]).tolist()
        [3, 2.5, None, 'a']
    """
    return objects(int(one) if _is_pointless(one) else one for one in cells)


def _is_pointless(cell: object) -> bool:
    return isinstance(cell, float) and cell.is_integer() and abs(cell) < 2**53
