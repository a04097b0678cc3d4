"""Rows of a pandas frame, the cells of a CSV as they were written beside it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from polymodal.data.kinds import CELLWISE, COUNTED
from polymodal.data.names import Raw, objects
from polymodal.data.png import as_bytes_like
from polymodal.data.rows import Column, RowIndex, Rows, is_nothing, untouched
from polymodal.data.schema import Schema
from polymodal.data.series import whole_like
from polymodal.data.sounds_like import sounds_like
from polymodal.data.specs import ModalitySpec
from polymodal.data.table_file import Written
from polymodal.data.tags import tags_like
from polymodal.data.written import written_like

if TYPE_CHECKING:
    from pandas import DataFrame, Index, Series


@dataclass(frozen=True)
class FrameRows(Rows):
    """Rows of a pandas frame.

    Arguments:
        frame: The frame, held as it is.
        origin: What errors call it: a file's name, or ``frame``.
        base: The folder that paths of pictures are relative to.
        written: The cells as they stand in a CSV, if the frame was read from one.
        places: The rows' places in their source, (N,); None if they are all of it.
        replaced: Columns that are no longer those of ``written``.
    """

    frame: DataFrame
    origin: str = "frame"
    base: Path | None = None
    written: Written | None = None
    places: np.ndarray | None = None
    replaced: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        names = [str(label) for label in self.frame.columns]
        if len(set(names)) < len(names):
            twice = next(one for i, one in enumerate(names) if one in names[:i])
            raise ValueError(
                f"{self.origin}: column {twice!r} stands twice; rename or drop one of the two."
            )
        object.__setattr__(self, "_labels", dict(zip(names, self.frame.columns, strict=True)))

    _labels: Mapping[str, Any] = None  # type: ignore[assignment]

    def __len__(self) -> int:
        return len(self.frame)

    def take(self, rows: RowIndex) -> FrameRows:
        return replace(self, frame=self.frame.iloc[rows], places=self.numbers[rows])

    def select(self, schema: Schema) -> FrameRows:
        used = {one for spec in schema.modalities.values() for one in spec.sources}
        labels = [label for name, label in self._labels.items() if name in used]
        some: Raw = self.frame[labels]
        return replace(self, frame=some)

    def has(self, name: str) -> bool:
        return name in self._labels

    def known(self) -> list[str]:
        return list(self._labels)

    def native(self) -> DataFrame:
        return self.frame.copy()

    def index(self) -> Index:
        return self.frame.index

    def series(self, modality: str, name: str) -> Series | None:
        found: Raw = self.frame[self._labels[name]] if name in self._labels else None
        return found

    def fetch(self, schema: Schema) -> None:
        if self.written is not None:
            wanted = {one for spec in schema.modalities.values() for one in spec.read_as_words}
            self.written.fetch([one for one in wanted if self._is_guessed(one)])

    def as_written(self, name: str) -> Series | None:
        if self.written is None or not self._is_guessed(name):
            return None
        found = self.written.column(name)
        if found is None:
            return None
        found = found if self.places is None else found.iloc[self.places]
        return found.set_axis(self.index())

    def _is_guessed(self, name: str) -> bool:
        """Whether a column of a CSV is there and something else than strings."""
        if name not in self._labels or name in self.replaced:
            return False
        column = self.frame[self._labels[name]]
        if getattr(column.dtype, "kind", "O") in "iufb":
            return True
        known = column.dropna()
        return len(known) > 0 and not isinstance(known.iloc[0], str)

    def column(self, name: str) -> Column | None:
        if name not in self._labels:
            return None
        column = self.frame[self._labels[name]]
        return Column(column.to_numpy(dtype=object), column.notna().to_numpy(dtype=bool))

    def with_values(
        self, name: str, spec: ModalitySpec, old: Raw, new: Raw, present: np.ndarray
    ) -> FrameRows:
        frame = self.frame.copy(deep=False)
        if spec.kind == "table":
            for column in new.columns:
                frame[self._labels.get(column, column)] = new[column].array
            return self._with(frame, new.columns)
        label = self._labels.get(spec.sources[0], spec.sources[0])
        words = self.as_written(spec.sources[0]) if spec.read_as_words else None
        if words is not None:
            frame[label] = words
        cells = objects(new)
        same = np.zeros(len(self), dtype=bool)
        if spec.kind in CELLWISE:
            cells[~present.any(1)] = None
            if old is not None:
                equal = (new == old) | (np.isnan(new) & np.isnan(old))
                same = equal.reshape(len(self), -1).all(1)
        elif old is not None:
            same = untouched(new, old)
        if same.any():
            cells[same] = frame[label].to_numpy(dtype=object)[same]
        if spec.kind == "image" and label in frame.columns:
            cells = as_bytes_like(cells, ~same, frame[label])
        if spec.kind == "audio" and label in frame.columns:
            cells = sounds_like(cells, ~same, frame[label], spec.rate)
        if spec.kind == "series" and label in frame.columns:
            cells = whole_like(cells, ~same, frame[label], spec.likelihood in COUNTED)
        if spec.kind == "tags" and label in frame.columns:
            cells = tags_like(cells, ~same, frame[label], spec.separator or ",")
        elif spec.kind != "image" and label in frame.columns:
            cells = written_like(cells, ~same, frame[label])
        frame[label] = _like(cells, frame[label] if label in frame.columns else None)
        return self._with(frame, [spec.sources[0]])

    def _with(self, frame: DataFrame, names: Iterable[Any]) -> FrameRows:
        replaced = self.replaced | {str(name) for name in names}
        return replace(self, frame=frame, replaced=replaced)


def _like(cells: np.ndarray, before: Raw) -> Raw:
    """Strings keep the string dtype that the column had; all else is a column of objects."""
    import pandas as pd

    dtype = getattr(before, "dtype", None)
    if not isinstance(dtype, pd.StringDtype):
        return cells
    strings = all(isinstance(one, str) or is_nothing(one) for one in cells)
    return pd.array(cells, dtype=dtype) if strings else cells
