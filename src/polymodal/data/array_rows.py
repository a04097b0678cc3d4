"""Rows of arrays by name, with what the caller said is there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from polymodal.data.cells import emptied, masked
from polymodal.data.names import Raw
from polymodal.data.rows import Column, RowIndex, Rows, are_nothing, untouched
from polymodal.data.schema import Schema
from polymodal.data.specs import ModalitySpec
from polymodal.data.tags import tags_like

if TYPE_CHECKING:
    from pandas import Index, Series


@dataclass(frozen=True)
class ArrayRows(Rows):
    """Rows of arrays (or frames) by name, all of one length.

    Arguments:
        arrays: Name -> array (N, ...), array of objects (N,), or frame of N rows.
        given: Name -> bool (N,) or (N, P), where the caller said what is there.
        origin: What errors call them.
        places: The rows' places in their source, (N,); None if they are all of it.
    """

    arrays: Mapping[str, Any]
    given: Mapping[str, np.ndarray]
    origin: str = "arrays"
    base: Path | None = None
    places: np.ndarray | None = None

    def __len__(self) -> int:
        return len(next(iter(self.arrays.values()), ()))

    def take(self, rows: RowIndex) -> ArrayRows:
        arrays = {
            name: array.iloc[rows] if hasattr(array, "iloc") else array[rows]
            for name, array in self.arrays.items()
        }
        given = {name: mask[rows] for name, mask in self.given.items()}
        return replace(self, arrays=arrays, given=given, places=self.numbers[rows])

    def select(self, schema: Schema) -> ArrayRows:
        used = {one for spec in schema.modalities.values() for one in spec.sources}
        used |= set(schema.names)
        return replace(
            self,
            arrays={name: one for name, one in self.arrays.items() if name in used},
            given={name: one for name, one in self.given.items() if name in used},
        )

    def has(self, name: str) -> bool:
        return name in self.arrays or any(
            name in map(str, one.columns) for one in self.arrays.values() if hasattr(one, "iloc")
        )

    def known(self) -> list[str]:
        frames = [one for one in self.arrays.values() if hasattr(one, "iloc")]
        return [*self.arrays, *(str(c) for frame in frames for c in frame.columns)]

    def native(self) -> dict[str, Any]:
        return {name: array.copy() for name, array in self.arrays.items()}

    def index(self) -> Index:
        import pandas as pd

        frames = [one for one in self.arrays.values() if hasattr(one, "iloc")]
        return frames[0].index if frames else pd.RangeIndex(len(self))

    def series(self, modality: str, name: str) -> Series | None:
        import pandas as pd

        array: Raw = self.arrays.get(modality)
        if hasattr(array, "iloc"):
            labels = {str(label): label for label in array.columns}
            if name in labels:
                column = array[labels[name]].set_axis(self.index())
                mask = self.given.get(modality)
                if mask is None:
                    return column
                place = list(labels).index(name)
                return masked(column, mask if mask.ndim == 1 else mask[:, place])
        array = self.arrays.get(name)
        if array is None or hasattr(array, "iloc") or array.ndim != 1:
            return None
        try:
            column = pd.Series(array, index=self.index())
        except UnicodeEncodeError:
            # pandas' strings are UTF-8, which halves of characters are not
            column = pd.Series(array, index=self.index(), dtype=object)
        mask = self.given.get(name)
        return column if mask is None else masked(column, mask)

    def column(self, name: str) -> Column | None:
        array = self.arrays.get(name)
        if array is None or hasattr(array, "iloc"):
            return None
        mask = self.given.get(name)
        there = np.ones(len(self), dtype=bool) if mask is None else mask
        if array.dtype == object or array.dtype.kind in "UT":
            there = there & ~are_nothing(array)
        return Column(array, there)

    def with_values(
        self, name: str, spec: ModalitySpec, old: Raw, new: Raw, present: np.ndarray
    ) -> ArrayRows:
        arrays, given = dict(self.arrays), dict(self.given)
        if spec.kind != "table":
            source = spec.sources[0]
            if spec.kind == "tags" and source in arrays and new.dtype == object:
                cells, same = arrays[source].astype(object), untouched(new, old)
                filled = tags_like(new, ~same, cells, spec.separator or ",")
                new = np.where(same, cells, filled)
            arrays[source], given[source] = new, present
            return replace(self, arrays=arrays, given=given)
        if hasattr(arrays.get(name), "iloc"):
            frame = arrays[name].copy(deep=False)
            labels = {str(label): label for label in frame.columns}
            before = given.pop(name, None)
            for place, column in enumerate(labels):
                if column in new.columns:
                    frame[labels[column]] = new[column].array
                elif before is not None:
                    mask = before if before.ndim == 1 else before[:, place]
                    frame[labels[column]] = emptied(frame[labels[column]], mask)
            for column in new.columns.difference(list(labels), sort=False):
                frame[column] = new[column].array
            arrays[name] = frame
            return replace(self, arrays=arrays, given=given)
        for column in new.columns:
            values = new[column].to_numpy()
            there = new[column].notna().to_numpy(dtype=bool)
            dtype = arrays[column].dtype if column in arrays else values.dtype
            if dtype.kind in "iub" and not there.all():
                # no room for a hole: zero under the mask that says so
                values = new[column].fillna(0).to_numpy()
            arrays[column] = values.astype(dtype) if dtype.kind != "U" else values.astype(object)
            given[column] = there
        return replace(self, arrays=arrays, given=given)
