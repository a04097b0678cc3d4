"""Raw data as people see them: rows with several modalities, any of which may be missing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from polymodal.data.array_rows import ArrayRows
from polymodal.data.extract import Extracted, extract
from polymodal.data.kinds import CELLWISE
from polymodal.data.names import Raw, nearest, objects
from polymodal.data.row_error import of_source
from polymodal.data.rows import Column, RowIndex, Rows, are_nothing
from polymodal.data.schema import Schema
from polymodal.data.tags import tags_like
from polymodal.spelling import listed

if TYPE_CHECKING:
    from polymodal.data.missingness import Hidden


_NAMED = 12
"""So many names an error lists."""


class MultimodalData:
    """Rows of raw values with a schema; made by ``read``, ``from_arrays`` or ``load_bundled``.

    ``data[:100]``, ``data[[0, 5]]`` and ``data[bool array]`` take rows, ``data[["image"]]`` takes
    modalities. What the caller handed in is never changed, and every method returns new data.
    """

    def __init__(
        self,
        rows: Rows,
        schema: Schema,
        values: Mapping[str, Any],
        present: Mapping[str, np.ndarray],
    ) -> None:
        self._rows = rows
        self._schema = schema
        self._values = dict(values)
        self._present = dict(present)

    @classmethod
    def build(cls, rows: Rows, schema: Schema, *, absent_ok: bool = False) -> MultimodalData:
        """Read the modalities of a schema from rows.

        Arguments:
            rows: The raw rows.
            schema: What to read; sizes it leaves open are taken from the data.
            absent_ok: Whether modalities and columns of the schema may be lacking. A modality
                that is lacking is left out, a column has nothing in any row.

        Raises:
            ValueError: If the rows do not fit the schema.
        """
        if not schema.modalities:
            raise ValueError(
                f"{rows.origin}: the schema names no modality; give one that does, or none at "
                "all, and it is inferred."
            )
        rows.fetch(schema)
        found: dict[str, Extracted] = {}
        for name, spec in schema.modalities.items():
            with of_source(rows.numbers):
                one = extract(rows, name, spec, absent_ok)
            if one is not None:
                found[name] = one
        if not found:
            raise _nothing_there(rows, schema)
        return cls(
            rows,
            Schema({name: one.spec for name, one in found.items()}, schema.ignored),
            {name: one.values for name, one in found.items() if one.values is not None},
            {name: one.present for name, one in found.items()},
        )

    def __len__(self) -> int:
        return len(self._rows)

    def __repr__(self) -> str:
        kinds = ", ".join(f"{name}: {spec.kind}" for name, spec in self._schema.modalities.items())
        return f"MultimodalData({len(self)} rows; {kinds})"

    @property
    def names(self) -> tuple[str, ...]:
        """The modalities' names, in order."""
        return self._schema.names

    @property
    def origin(self) -> str:
        """Where the rows came from, as errors call it."""
        return self._rows.origin

    @property
    def numbers(self) -> np.ndarray:
        """The rows' numbers where they came from, (N,), as errors call them."""
        return self._rows.numbers

    @cached_property
    def schema(self) -> Schema:
        """The schema, with the share that is missing of each modality and column."""
        modalities = {}
        for name, spec in self._schema.modalities.items():
            there = self._present[name]
            some = there if there.ndim == 1 else there.any(1)
            columns = tuple(
                replace(column, missing=_missing(there[:, i]))
                for i, column in enumerate(spec.columns)
            )
            modalities[name] = replace(spec, columns=columns, missing=_missing(some))
        return Schema(modalities, self._schema.ignored)

    def with_schema(self, schema: Schema, *, absent_ok: bool = False) -> MultimodalData:
        """The same rows, read by another schema."""
        return MultimodalData.build(self._rows, schema, absent_ok=absent_ok)

    def read_as(self, schema: Schema) -> MultimodalData:
        """These rows by a fitted schema; as they are if they were read that way already.

        Modalities and columns that are lacking are absent, others than the schema's are ignored.

        Raises:
            ValueError: If all modalities are lacking.
        """
        as_they_are = all(
            _same_layout(self._schema[name], spec)
            if name in self._schema
            else not any(self._rows.has(one) for one in (name, *spec.sources))
            for name, spec in schema.modalities.items()
        )
        if not as_they_are:
            return self.with_schema(schema, absent_ok=True)
        if not any(name in self._schema for name in schema.names):
            raise _nothing_there(self._rows, schema)
        return self

    def values(self, name: str) -> Raw:
        """Raw values of one modality.

        Returns:
            A frame for a table (nothing where absent), an array (N, P) for a vector, the array
            that came in or an array of N PIL images for images, an array of N strings for texts,
            for series an array (N, T) or (N, C, T), for sounds the array that came in or N arrays
            of samples, for tags the array that came in or N tuples of strings;
            None where an object is absent. Shared with the data: copy before changing.
        """
        spec = self._known(name)
        if spec.kind == "table":
            return self._rows.table(name, spec)
        return self._values[name]

    def formed(self, name: str, made: Raw) -> Raw:
        """What a model made for these rows, in the form of the modality's column if it is there.

        Sets of tags become lists or joined strings, (N,); all else stays as it is.
        """
        if name not in self._schema or self._schema[name].kind != "tags" or made.ndim > 1:
            return made
        spec = self._schema[name]
        column = self._rows.column(spec.sources[0])
        if column is None:
            return made
        every = np.ones(len(made), dtype=bool)
        return tags_like(made, every, column.values, spec.separator or ",")

    def present(self, name: str) -> np.ndarray:
        """What is there of one modality: bool, (N, P) where cells may be missing, else (N,)."""
        self._known(name)
        return self._present[name]

    def column(self, name: str) -> Column | None:
        """Raw cells of a column or array, whether a modality has it or not; None if none is there.

        A column of a frame among arrays is found by :meth:`values` alone.
        """
        return self._rows.column(name)

    @property
    def in_arrays(self) -> bool:
        """Whether the rows came in a dictionary of arrays, not in a frame."""
        return isinstance(self._rows, ArrayRows)

    def native(self) -> Raw:
        """The rows in the container that they came in: a frame, or a dictionary of arrays."""
        return self._rows.native()

    @property
    def index(self) -> Raw:
        """The pandas index of the rows, as it came in."""
        return self._rows.index()

    def __getitem__(self, key: Raw) -> MultimodalData:
        if isinstance(key, str):
            self._known(key)
            raise TypeError(
                f"data[{key!r}] is ambiguous: data[[{key!r}]] takes the modality, "
                f"data.values({key!r}) gives its raw values."
            )
        if isinstance(key, list | tuple) and key and all(isinstance(one, str) for one in key):
            return self.select(key)
        return self._take(self._row_index(key))

    def select(self, names: Sequence[str]) -> MultimodalData:
        """Some modalities only, in the order of ``names``."""
        for name in names:
            self._known(name)
        if len(set(names)) < len(names):
            raise ValueError(f"{self.origin}: a modality is named twice in {list(names)}.")
        schema = self._schema.select(names)
        return MultimodalData(
            self._rows.select(schema),
            schema,
            {name: self._values[name] for name in names if name in self._values},
            {name: self._present[name] for name in names},
        )

    def _row_index(self, key: Raw) -> RowIndex:
        if isinstance(key, slice):
            return key
        if isinstance(key, int | np.integer):
            if not -len(self) <= key < len(self):
                raise IndexError(f"{self.origin}: no row {key}; there are {len(self)} rows.")
            return np.array([key])
        rows = np.asarray(key)
        if rows.dtype == bool:
            if rows.shape != (len(self),):
                raise IndexError(
                    f"{self.origin}: a truth value a row is needed, ({len(self)},), "
                    f"got {rows.shape}."
                )
            return np.flatnonzero(rows)
        if rows.size == 0 and rows.ndim == 1:
            return np.zeros(0, dtype=np.int64)
        if rows.ndim != 1 or rows.dtype.kind not in "iu":
            raise TypeError(
                f"{self.origin}: rows are taken by a slice, whole numbers or truth values, "
                f"modalities by a list of names; got {key!r:.80}."
            )
        if rows.min() < -len(self) or rows.max() >= len(self):
            raise IndexError(f"{self.origin}: a row is out of range; there are {len(self)} rows.")
        return rows

    def _take(self, rows: RowIndex) -> MultimodalData:
        return MultimodalData(
            self._rows.take(rows),
            self._schema,
            {name: one[rows] for name, one in self._values.items()},
            {name: one[rows] for name, one in self._present.items()},
        )

    def replace(
        self, values: Mapping[str, Any], present: Mapping[str, np.ndarray] | None = None
    ) -> MultimodalData:
        """The same rows with other raw values of some modalities, in the same container.

        Arguments:
            values: Modality -> values of the form that :meth:`values` gives; a table's frame may
                have some of its columns only.
            present: Modality -> what is there of them; by default all that is not NaN or None.

        Raises:
            ValueError: If a modality is unknown or the number of rows differs.
        """
        rows, kept, there = self._rows, dict(self._values), dict(self._present)
        for name, new in values.items():
            spec = self._known(name)
            if len(new) != len(self):
                raise ValueError(
                    f"{self.origin}, {name!r}: expected {len(self)} rows, got {len(new)}."
                )
            mask = (present or {}).get(name)
            if spec.kind == "table":
                for column in new.columns:
                    if column not in spec.sources:
                        raise ValueError(
                            f"{self.origin}, {name!r}: no column {column!r}."
                            f"{nearest(column, spec.sources)}"
                        )
                rows = rows.with_values(name, spec, None, new, np.zeros(0, dtype=bool))
                there[name] = rows.table(name, spec).notna().to_numpy(dtype=bool)
                continue
            if isinstance(new, np.ma.MaskedArray):
                raise ValueError(
                    f"{self.origin}, {name!r}: masked arrays are not taken here; hand the values "
                    "over, and what is there as `present`."
                )
            new = np.asarray(new) if spec.kind in CELLWISE else _as_array(new)
            _refuse_other_shape(new, kept.get(name), spec.kind, f"{self.origin}, {name!r}")
            if mask is None:
                mask = _what_is_there(new, spec.kind)
                if new.dtype == object and spec.kind not in CELLWISE:
                    new = new.copy()
                    new[~mask] = None
            mask = np.asarray(mask)
            rows = rows.with_values(name, spec, kept.get(name), new, mask)
            kept[name], there[name] = new, mask
        return MultimodalData(rows, self._schema, kept, there)

    def hide(
        self,
        share_modalities: float = 0.25,
        share_cells: float = 0.1,
        seed: int = 0,
        *,
        modalities: Sequence[str] | None = None,
        columns: Sequence[str] | None = None,
    ) -> tuple[MultimodalData, Hidden]:
        """Hide known things completely at random; see :func:`polymodal.data.missingness.hide`."""
        from polymodal.data.missingness import hide

        return hide(
            self, share_modalities, share_cells, seed, modalities=modalities, columns=columns
        )

    def split(
        self, test_share: float = 0.2, seed: int = 0
    ) -> tuple[MultimodalData, MultimodalData]:
        """Training and test rows, drawn at random, each in the order of the data.

        Example:
            >>> from polymodal.data import from_arrays
            >>> train, test = from_arrays({"x": np.eye(10)}).split(0.3)
            >>> len(train), len(test)
            (7, 3)
        """
        n_test = round(test_share * len(self))
        if not 0 < test_share < 1 or not 0 < n_test < len(self):
            raise ValueError(
                f"{self.origin}: a share of {test_share} of {len(self)} rows leaves training or "
                "test rows empty; use more rows or a share nearer to a half."
            )
        order = np.random.default_rng(seed).permutation(len(self))
        return self[np.sort(order[n_test:])], self[np.sort(order[:n_test])]

    def _known(self, name: str):  # noqa: ANN202
        if name not in self._schema:
            raise ValueError(f"{self.origin}: no modality {name!r}.{nearest(name, self.names)}")
        return self._schema[name]


def _nothing_there(rows: Rows, schema: Schema) -> ValueError:
    """What is wrong with rows that have nothing of a schema, in the user's own names."""
    wanted = []
    for name, spec in schema.modalities.items():
        shown = listed(map(repr, spec.sources), _NAMED)
        named = spec.sources == (name,)
        wanted.append(repr(name) if named else f"{name!r} (read from {shown})")
    got = listed(map(repr, rows.known()), _NAMED) or "nothing"
    return ValueError(
        f"{rows.origin}: none of the modalities is there: {', '.join(wanted)}. The data have "
        f"{got}. Name their columns or arrays as in training."
    )


def _missing(there: Raw) -> float:
    return float(1 - there.mean()) if len(there) else 0.0


def _same_layout(one: Raw, other: Raw) -> bool:
    keys = ["kind", "sources", "read_as_words", "mode", "size", "rate"]
    if other.kind == "tags" and other.separator is None and one.separator is not None:
        keys.append("levels")  # the strings are split by the tags that are known
    return all(getattr(one, key) == getattr(other, key) for key in keys)


def _refuse_other_shape(new: np.ndarray, old: Raw, kind: str, where: str) -> None:
    """Raise a ValueError if rows are of another shape than the schema has."""
    if kind not in (*CELLWISE, "image") or old is None or object in (new.dtype, old.dtype):
        return
    sizes = [one.shape[1:] for one in (new, old)]
    if kind in CELLWISE:
        sizes = [(int(np.prod(one)),) for one in sizes]
    if sizes[0] != sizes[1]:
        got, wanted = (new.shape[1:], old.shape[1:])
        raise ValueError(
            f"{where}: expected rows of the shape {wanted}, as the schema has them, got {got}; "
            "read other sizes anew."
        )


def _as_array(values: Raw) -> np.ndarray:
    """An array as it is; a list of objects as an array of objects, never stacked."""
    if isinstance(values, np.ndarray):
        return values
    return objects(values)


def _what_is_there(values: np.ndarray, kind: str) -> np.ndarray:
    if kind in CELLWISE:
        values = values.reshape(len(values), -1)
        return ~np.isnan(values) if values.dtype.kind == "f" else np.ones(values.shape, dtype=bool)
    if values.dtype == object:
        return ~are_nothing(values)
    if values.dtype.kind == "f":
        holes: Raw = np.isnan(values.reshape(len(values), -1)).all(1)
        return ~holes
    return np.ones(len(values), dtype=bool)
