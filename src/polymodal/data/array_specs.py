"""What one array is: by the kind that was asked for, or by its looks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from polymodal.data.array_rows import ArrayRows
from polymodal.data.frame_rows import FrameRows
from polymodal.data.images import array_layout, describe_images, holds_images
from polymodal.data.infer import LeftOutError, infer_column
from polymodal.data.kinds import KEYS
from polymodal.data.names import Raw, plain
from polymodal.data.sounds import holds_sounds
from polymodal.data.specs import KINDS, ColumnSpec, ModalitySpec
from polymodal.data.tags import are_sets_of_strings, guess_separator
from polymodal.spelling import did_you_mean
from polymodal.typing import COLUMN_KINDS

FEW_LABELS = 100
"""An array of whole numbers with so many different ones at most is a label: a category."""


def levels_of(values: Raw, name: str, kind: str | None) -> ModalitySpec | None:
    """What pandas' categories are: a category, or by their order ordinal; None for others."""
    import pandas as pd

    dtype = getattr(values, "dtype", None)
    if not isinstance(dtype, pd.CategoricalDtype) or kind not in (None, "category", "ordinal"):
        return None
    try:
        spec = infer_column(pd.Series(values), name, leave_out=False)
    except LeftOutError as reason:
        raise ValueError(f"arrays, {name!r}: {reason}.") from None
    if not isinstance(spec, ColumnSpec):
        return None
    return ModalitySpec("table", (replace(spec, kind=kind or spec.kind),))  # type: ignore[arg-type]


def array_spec(name: str, rows: ArrayRows, kind: str | ModalitySpec | None) -> ModalitySpec:
    """The specification of one array, of the kind that was asked for or by its looks."""
    if isinstance(kind, ModalitySpec):
        return kind
    array = rows.arrays[name]
    where = f"arrays, {name!r}"
    known = (*KINDS, "table")
    if kind is not None and kind not in known:
        raise ValueError(
            f"kinds, {name!r}: expected one of {', '.join(known)}, got {kind!r}."
            f"{did_you_mean(kind, known)}"
        )
    if hasattr(array, "iloc"):
        if kind not in (None, "table"):
            raise ValueError(f"{where}: a frame is a table, it can not be of kind {kind!r}.")
        return _frame_spec(name, rows, where)
    if kind == "table":
        raise ValueError(f"{where}: a table must be a pandas frame, got an array.")
    kind = kind or _kind_by_looks(array, rows, name, where)
    if kind == "text":
        return ModalitySpec("text", column=name)
    if kind in KEYS:
        return ModalitySpec(kind, column=name)  # type: ignore[arg-type]
    if kind in ("vector", "embedding"):
        size = (array.shape[1] or None) if array.ndim == 2 else None
        return ModalitySpec(kind, column=name, size=size)  # type: ignore[arg-type]
    if kind == "image":
        if array.dtype == object:
            column = rows.column(name)
            sample = [] if column is None else array[column.present][:50].tolist()
            mode, size = describe_images(sample, None)
        else:
            _, mode, size = array_layout(array.shape, where)
        return ModalitySpec("image", column=name, mode=mode, size=size)
    if array.ndim != 1:
        raise ValueError(
            f"{where}: a {kind} needs a value a row, the shape (rows,), got {array.shape}; use "
            "kind 'vector' or 'image', or a frame."
        )
    return ModalitySpec("table", (_scalar_spec(name, rows, kind),))


def _frame_spec(name: str, rows: ArrayRows, where: str) -> ModalitySpec:
    frame = rows.arrays[name]
    # doubled names are refused as in a frame that is read
    labels = FrameRows(frame, where).known()
    if not labels:
        raise ValueError(f"{where}: the frame has no columns.")
    columns = []
    for label in labels:
        series = rows.series(name, label)
        try:
            spec = infer_column(series, label, leave_out=False)  # type: ignore[arg-type]
        except LeftOutError as reason:
            if str(reason) != "no row has a value":
                raise ValueError(
                    f"{where}, column {label!r}: {reason}; drop the column."
                ) from None
            spec = ColumnSpec(label)
        if isinstance(spec, ModalitySpec):
            raise ValueError(
                f"{where}, column {label!r}: a table has no column of kind {spec.kind}; hand it "
                "over as an array of its own."
            )
        columns.append(spec)
    return ModalitySpec("table", tuple(columns))


def _kind_by_looks(array: np.ndarray, rows: ArrayRows, name: str, where: str) -> str:
    if array.dtype != object:
        if array.ndim in (3, 4):
            return "image"
        if array.ndim == 2:
            return "vector"
        if array.ndim == 1:
            return "scalar"
        raise ValueError(f"{where}: arrays of {array.ndim} axes are not known; give its kind.")
    column = rows.column(name)
    known = [] if column is None else array[column.present].tolist()
    if holds_images(known[:5], None) in ("pil", "array", "bytes", "path"):
        return "image"
    if holds_sounds(known[:5], None) in ("path", "bytes", "mapping"):
        return "audio"
    if known and are_sets_of_strings(known):
        return "tags"
    if known and all(isinstance(one, str) for one in known):
        if guess_separator(known) is not None:
            return "tags"
        words = np.mean([len(one.split()) for one in known])
        different = len(set(known))
        return "text" if words >= 3 and different > min(20, len(known) / 2) else "category"
    return "scalar"


def _scalar_spec(name: str, rows: ArrayRows, kind: str) -> ColumnSpec:
    series = rows.series(name, name)
    if series is None:
        raise ValueError(f"arrays, {name!r}: expected a value a row.")
    known = series.dropna()
    if kind in COLUMN_KINDS and kind not in ("ordinal", "category"):
        return ColumnSpec(name, kind)  # type: ignore[arg-type]
    whole = rows.arrays[name].dtype.kind in "iu"
    if kind == "scalar" and not (whole and 0 < known.nunique() <= FEW_LABELS):
        try:
            spec = infer_column(series, name, leave_out=False)
        except LeftOutError as reason:
            if str(reason) == "no row has a value":
                return ColumnSpec(name)
            raise ValueError(f"arrays, {name!r}: {reason}.") from None
        if isinstance(spec, ColumnSpec):
            return spec
        raise ValueError(f"arrays, {name!r}: give its kind; it looks like a {spec.kind}.")
    levels = set(map(plain, known.unique()))
    if whole:
        levels = {int(one) for one in levels}  # float64 where rows are masked
    ordered = tuple(sorted(levels, key=lambda one: (isinstance(one, str), one)))
    return ColumnSpec(name, "ordinal" if kind == "ordinal" else "category", ordered or None)
