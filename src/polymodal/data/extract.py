"""From raw cells to a modality's values and presence, checked against its specification."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from polymodal.data.cells import refuse_infinite, refuse_infinite_frame
from polymodal.data.images import array_layout, describe_images, fit_images
from polymodal.data.kinds import CELLWISE
from polymodal.data.names import Raw, nearest
from polymodal.data.row_error import RowError
from polymodal.data.rows import Column, Rows
from polymodal.data.series import read_series
from polymodal.data.sounds import read_audio
from polymodal.data.specs import ModalitySpec
from polymodal.data.tags import read_tags
from polymodal.data.written import parse_all, shown


class Extracted(NamedTuple):
    """A modality: its specification made complete, values, and bool (N,) or (N, P)."""

    spec: ModalitySpec
    values: Raw
    present: np.ndarray


def extract(rows: Rows, name: str, spec: ModalitySpec, absent_ok: bool) -> Extracted | None:
    """One modality of some rows; None if nothing of it is there at all.

    Raises:
        ValueError: If it is not there and may not be absent, or its values do not fit.
    """
    if spec.kind == "table":
        if absent_ok and all(rows.series(name, one) is None for one in spec.sources):
            return None
        table = rows.table(name, spec, absent_ok)
        refuse_infinite_frame(table, list(table.columns), rows.origin)
        # values of a table are read from the rows when they are asked for
        return Extracted(spec, None, table.notna().to_numpy(dtype=bool))
    source = spec.sources[0]
    column = _strings(rows, source) if source in spec.read_as_words else None
    column = rows.column(source) if column is None else column
    if column is None:
        if absent_ok:
            return None
        raise ValueError(
            f"{rows.origin}: modality {name!r} is read from {source!r}, which is not there."
            f"{nearest(source, rows.known())}"
        )
    where = f"{rows.origin}, {source!r}"
    if column.values.dtype == object and spec.kind not in ("image", "text"):
        column = Column(parse_all(column.values), column.present)
    if column.present.ndim > 1 and spec.kind not in CELLWISE:
        column = Column(column.values, _whole_rows(column.present, spec.kind, where))
    if spec.kind == "audio":
        return Extracted(*read_audio(spec, column.values, column.present, where, rows.base))
    if spec.kind in ("tags", "series"):
        read = {"tags": read_tags, "series": read_series}[spec.kind]
        return Extracted(*read(spec, column.values, column.present, where))
    read = {"image": _image, "text": _text, "vector": _vector, "embedding": _vector}
    return read[spec.kind](rows, spec, column, where)


def _whole_rows(present: np.ndarray, kind: str, where: str) -> np.ndarray:
    """Rows that are there, (N,), from a mask of cells (N, P) of a kind that has no such."""
    some: Raw = present.any(1)
    broken = some & ~present.all(1)
    if broken.any():
        raise RowError(
            where,
            int(np.argmax(broken)),
            f": the mask hides a part of the row; one of "
            f"kind {kind} is there whole or not at all.",
        )
    return some


def _strings(rows: Rows, source: str) -> Column | None:
    """A column of a CSV as strings, where pandas took it for numbers or truth values."""
    found = rows.as_written(source)
    if found is None:
        return None
    return Column(found.to_numpy(dtype=object), found.notna().to_numpy(dtype=bool))


def _image(rows: Rows, spec: ModalitySpec, column: Column, where: str) -> Extracted:
    values, present = column
    if values.dtype != object:
        return _image_array(spec, column, where)
    mode, size = spec.mode, spec.size
    if mode is None or size is None:
        sample = [values[row] for row in np.flatnonzero(present)[:50]]
        found = describe_images(sample, rows.base)
        mode, size = mode or found[0], size or found[1]
    if not isinstance(size, tuple):
        raise ValueError(f"{where}: an image's size must be (height, width), got {size!r}.")
    fitted = fit_images(values, present, mode, size, rows.base, where)
    return Extracted(replace(spec, mode=mode, size=size), fitted, present)


def _image_array(spec: ModalitySpec, column: Column, where: str) -> Extracted:
    values, present = column
    if values.dtype.kind in "UT":
        raise ValueError(
            f"{where}: strings are no pictures here; hand over arrays, or a list of PIL images."
        )
    _, mode, size = array_layout(values.shape, where)
    for key, got, wanted in (("mode", mode, spec.mode), ("size", size, spec.size)):
        if wanted is not None and got != wanted:
            raise ValueError(f"{where}: the schema has {key} {wanted}, the array {got}.")
    if values.dtype.kind == "f":
        flat = values.reshape(len(values), -1)
        holes = np.isnan(flat)
        present = present & ~holes.all(1)
        broken = present & holes.any(1)
        if broken.any():
            raise RowError(
                where,
                int(np.argmax(broken)),
                ": a picture has NaN in some pixels; a "
                "picture is there whole (no NaN) or not at all (NaN everywhere).",
            )
        wrong = present & ~((flat >= 0) & (flat <= 1) | holes).all(1)
        if wrong.any():
            raise RowError(
                where,
                int(np.argmax(wrong)),
                ": pixels must be finite, floats within "
                "[0, 1]; divide by the largest value, or hand over uint8.",
            )
    elif values.dtype != np.uint8:
        raise ValueError(
            f"{where}: pictures must be uint8, or floats in [0, 1], got {values.dtype}; "
            "convert them with .astype('uint8') if they lie in 0..255, or say kind 'series' or "
            "'audio' (a spectrogram) if they are none."
        )
    return Extracted(replace(spec, mode=mode, size=size), values, present)


def _text(rows: Rows, spec: ModalitySpec, column: Column, where: str) -> Extracted:
    values, present = column
    if values.dtype != object and values.dtype.kind not in "UT":
        raise ValueError(f"{where}: texts must be strings, got an array of {values.dtype}.")
    if values.ndim != 1:
        raise ValueError(f"{where}: texts must have the shape (rows,), got {values.shape}.")
    texts = np.full(len(values), None, dtype=object)
    for row in np.flatnonzero(present):
        if not isinstance(values[row], str):
            raise RowError(
                where,
                row,
                f": expected a string, got {values[row]!r:.60}. Convert the "
                "column to strings, or give it another kind in the schema.",
            )
        texts[row] = str(values[row])
    return Extracted(spec, texts, present)


def _vector(rows: Rows, spec: ModalitySpec, column: Column, where: str) -> Extracted:
    values, present = column
    if values.dtype == object:
        values = _stacked(values, present, where, spec.size)
    if values.ndim != 2 or values.dtype.kind not in "iufb" or values.shape[1] == 0:
        raise ValueError(
            f"{where}: a vector needs an array of numbers of the shape (rows, features), got "
            f"{values.dtype} of shape {values.shape}; reshape or convert it."
        )
    if spec.size is not None and spec.size != values.shape[1]:
        raise ValueError(
            f"{where}: the schema has vectors of {spec.size} numbers, the data {values.shape[1]}."
        )
    cells = present[:, None] if present.ndim == 1 else present
    cells = np.broadcast_to(cells, values.shape)
    refuse_infinite(values, where, cells)
    if values.dtype.kind == "f":
        cells = cells & ~np.isnan(values)
    return Extracted(replace(spec, size=values.shape[1]), values, np.array(cells))


def _stacked(cells: np.ndarray, present: np.ndarray, where: str, size: Raw) -> np.ndarray:
    """Lists of numbers as a matrix of float64 (float32 if all are), NaN where there is none."""
    rows = np.flatnonzero(present)
    found = []
    for row in rows:
        try:
            one = np.asarray(cells[row])
            one = one if one.dtype == np.float32 else one.astype(np.float64)
        except (TypeError, ValueError):
            raise RowError(
                where, row, f": expected a list of numbers, got {shown(cells[row])}."
            ) from None
        wanted = size or (len(found[0]) if found else None)
        if one.ndim != 1 or (wanted is not None and len(one) != wanted):
            raise RowError(
                where,
                row,
                f": expected {wanted or 'a list of'} numbers, got shape "
                f"{one.shape}; all rows of a vector have one length.",
            )
        found.append(one)
    if not found and size is None:
        raise ValueError(f"{where}: no row has a vector; give its size in the schema.")
    width = size or len(found[0])
    dtype = np.float32 if found and all(one.dtype == np.float32 for one in found) else np.float64
    values = np.full((len(cells), width), np.nan, dtype=dtype)
    if found:
        values[rows] = np.stack(found)
    return values
