"""Where raw values live: the caller's frame or arrays, read column by column, never changed."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from polymodal.data.names import Raw, nearest
from polymodal.data.schema import Schema
from polymodal.data.specs import ModalitySpec

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
    places: np.ndarray | None
    """The rows' places in their source, (N,); None if they are all of it."""

    @property
    def numbers(self) -> np.ndarray:
        """The rows' numbers in their source, (N,)."""
        return np.arange(len(self)) if self.places is None else self.places

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


def untouched(new: Raw, old: Raw) -> np.ndarray:
    """Where the very objects stand that were read: for them the cell itself can stand; (N,)."""
    return np.fromiter((a is b for a, b in zip(new, old, strict=True)), dtype=bool)


def are_nothing(array: np.ndarray) -> np.ndarray:
    """Where an array of objects or strings holds None, NaN, NA or NaT; (N,)."""
    if array.dtype != object:
        return np.zeros(len(array), dtype=bool)
    return np.fromiter((is_nothing(one) for one in array), dtype=bool, count=len(array))


def is_nothing(value: object) -> bool:
    """Whether a cell holds None, NaN, NA or NaT."""
    import pandas as pd

    if isinstance(value, float | np.floating):
        return bool(np.isnan(value))
    return value is None or value is pd.NA or value is pd.NaT
