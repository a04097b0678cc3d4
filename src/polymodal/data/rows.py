"""Where raw values live: the caller's frame or arrays, read column by column, never changed."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from polymodal.data.cells import emptied, masked
from polymodal.data.kinds import CELLWISE, COUNTED
from polymodal.data.names import Raw, nearest, objects
from polymodal.data.png import as_bytes_like
from polymodal.data.schema import ModalitySpec, Schema
from polymodal.data.series import whole_like
from polymodal.data.sounds_like import sounds_like
from polymodal.data.table_file import Written
from polymodal.data.tags import tags_like
from polymodal.data.written import written_like

if TYPE_CHECKING:
    from pandas import DataFrame, Index, Series

RowIndex = slice | np.ndarray


class Column(NamedTuple):
    """The raw cells of one column or array, with the rows where something is there, (N,)."""

    values: Raw
    present: np.ndarray


class Rows(ABC):
    """Rows of raw data behind one face, whether they came as a frame or as arrays."""

    origin: str
    base: Path | None

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def take(self, rows: RowIndex) -> Rows:
        """Some rows."""

    @abstractmethod
    def select(self, schema: Schema) -> Rows:
        """Only what a schema names."""

    @abstractmethod
    def has(self, name: str) -> bool:
        """Whether there is a column or array of that name."""

    @abstractmethod
    def native(self) -> Raw:
        """What the caller handed in, in its own container."""

    @abstractmethod
    def index(self) -> Index:
        """The index that frames made from these rows have."""

    @abstractmethod
    def column(self, name: str) -> Column | None:
        """The cells of one column or array that is no frame; None if there is none."""

    @abstractmethod
    def with_values(
        self, name: str, spec: ModalitySpec, old: Raw, new: Raw, present: np.ndarray
    ) -> Rows:
        """The rows with other values of one modality."""

    @abstractmethod
    def series(self, modality: str, name: str) -> Series | None:
        """One column of a table; None if there is none."""

    def fetch(self, schema: Schema) -> None:
        """Make ready, in one go, what :meth:`as_written` will be asked for."""
        return

    def as_written(self, name: str) -> Series | None:
        """The strings of a column as a CSV has them; None where the cells themselves are all."""
        return None

    @abstractmethod
    def known(self) -> list[str]:
        """Names of all columns or arrays."""

    def table(self, name: str, spec: ModalitySpec, absent_ok: bool = True) -> DataFrame:
        """The columns of a table modality, in the schema's order.

        Columns that are not there are full of NaN, or refused if ``absent_ok`` is false.
        """
        import pandas as pd

        columns: dict[str, Any] = {}
        for column in spec.columns:
            found = self.as_written(column.name) if column.has_words else None
            found = self.series(name, column.name) if found is None else found
            if found is None:
                if not absent_ok:
                    raise ValueError(
                        f"{self.origin}: the schema has a column {column.name!r} that is not "
                        f"there.{nearest(column.name, self.known())}"
                    )
                found = pd.Series(np.full(len(self), np.nan), index=self.index())
            columns[column.name] = found
        # keys keep two columns apart whatever their own names were
        return pd.concat(columns, axis=1)


@dataclass(frozen=True)
class FrameRows(Rows):
    """Rows of a pandas frame.

    Arguments:
        frame: The frame, held as it is.
        origin: What errors call it: a file's name, or ``frame``.
        base: The folder that paths of pictures are relative to.
        written: The cells as they stand in a CSV, if the frame was read from one.
        places: The rows' places among those of ``written``, (N,); None if they are all.
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
        places = self.places
        if self.written is not None:
            places = (np.arange(len(self)) if places is None else places)[rows]
        return replace(self, frame=self.frame.iloc[rows], places=places)

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
            same = _untouched(new, old)
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


def _untouched(new: Raw, old: Raw) -> np.ndarray:
    """Where the very objects stand that were read: for them the cell itself can stand; (N,)."""
    return np.fromiter((a is b for a, b in zip(new, old, strict=True)), dtype=bool)


def _like(cells: np.ndarray, before: Raw) -> Raw:
    """Strings keep the string dtype that the column had; all else is a column of objects."""
    import pandas as pd

    dtype = getattr(before, "dtype", None)
    if not isinstance(dtype, pd.StringDtype):
        return cells
    strings = all(isinstance(one, str) or _nothing(one) for one in cells)
    return pd.array(cells, dtype=dtype) if strings else cells


@dataclass(frozen=True)
class ArrayRows(Rows):
    """Rows of arrays (or frames) by name, all of one length.

    Arguments:
        arrays: Name -> array (N, ...), array of objects (N,), or frame of N rows.
        given: Name -> bool (N,) or (N, P), where the caller said what is there.
        origin: What errors call them.
    """

    arrays: Mapping[str, Any]
    given: Mapping[str, np.ndarray]
    origin: str = "arrays"
    base: Path | None = None

    def __len__(self) -> int:
        return len(next(iter(self.arrays.values()), ()))

    def take(self, rows: RowIndex) -> ArrayRows:
        arrays = {
            name: array.iloc[rows] if hasattr(array, "iloc") else array[rows]
            for name, array in self.arrays.items()
        }
        return replace(
            self, arrays=arrays, given={name: mask[rows] for name, mask in self.given.items()}
        )

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
                cells, same = arrays[source].astype(object), _untouched(new, old)
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


def are_nothing(array: np.ndarray) -> np.ndarray:
    """Where an array of objects or strings holds None, NaN, NA or NaT; (N,)."""
    if array.dtype != object:
        return np.zeros(len(array), dtype=bool)
    return np.fromiter((_nothing(one) for one in array), dtype=bool, count=len(array))


def _nothing(value: object) -> bool:
    import pandas as pd

    if isinstance(value, float | np.floating):
        return bool(np.isnan(value))
    return value is None or value is pd.NA or value is pd.NaT
