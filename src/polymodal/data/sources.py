"""From files, frames and arrays to data.

What happens with input that is out of the ordinary (each line is tested):

==================================  ===============================================================
input                               outcome
==================================  ===============================================================
no rows, or no columns              ``ValueError``
a single row                        works; kinds are guessed from one value
a row with nothing                  kept, absent everywhere
a column or modality nobody has     a frame's column is left out with a note; an array stays,
                                    absent in every row
names such as ``type`` or ``a.b``   work; names are data, never attributes
two columns of one name             ``ValueError`` that names it (in the file's header too)
a column without a name             ``ValueError`` that says which; the first is an index
an infinite number                  ``ValueError`` that names row and column; NaN is a missing cell
a number too large for networks     the same, when a codec encodes it (or missing, as below)
half a character (lone surrogate)   ``?`` in a text; in a category a character like others
arrays of different lengths         ``ValueError`` that names them
``present`` of the wrong shape      ``ValueError`` that names the modality
no such file                        ``FileNotFoundError``
a folder, or an empty path          ``ValueError`` that says so
a file that is not UTF-8            ``ValueError`` that says what to do
a line with more or fewer values    ``ValueError`` that names the line; blank lines are skipped,
than the first has names            and an empty value more at the end of all lines is no fault
a suffix that is not known          ``ValueError`` that lists the known ones
a damaged file                      ``ValueError`` that names it
a picture that does not open        ``ValueError`` that names file, column and row
a column the schema has, not the    ``ValueError`` with the nearest name; when a fitted codec reads
data                                new data, such cells are absent
a column the data have, not the     ignored
schema
a category not seen in training     ``ValueError`` that names row and column, or missing
                                    (``encode(unseen="missing")``)
==================================  ===============================================================

Rows are counted from 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from polymodal.data.dataset import MultimodalData
from polymodal.data.images import array_layout, describe_images, holds_images
from polymodal.data.infer import LeftOutError, infer_column, infer_schema
from polymodal.data.kinds import KEYS
from polymodal.data.names import Raw, checked_name, nearest, objects, plain
from polymodal.data.rows import ArrayRows, FrameRows
from polymodal.data.schema import KINDS, ColumnSpec, ModalitySpec, Schema
from polymodal.data.sounds import holds_sounds
from polymodal.data.table_file import read_table_file
from polymodal.data.tags import are_sets_of_strings, guess_separator
from polymodal.spelling import did_you_mean
from polymodal.typing import COLUMN_KINDS

if TYPE_CHECKING:
    from pandas import DataFrame

FEW_LABELS = 100
"""An array of whole numbers with so many different ones at most is a label: a category."""


def read(
    source: str | Path | DataFrame,
    schema: Schema | str | Path | None = None,
    *,
    absent_ok: bool = False,
) -> MultimodalData:
    """Read a table: CSV, Parquet or a pandas frame.

    Arguments:
        source: A path ending in .csv, .csv.gz, .tsv, .parquet or .pq, or a frame. Paths of
            pictures in it are relative to the file's folder (for a frame: to the working folder).
        schema: What the columns are, or the YAML file that says so; inferred if None.
        absent_ok: Whether columns and modalities of the schema may be lacking; they are absent.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the table can not be read or does not fit the schema.
    """
    if isinstance(source, str | Path):
        if not str(source):
            raise ValueError("read takes the path of a file, got an empty one.")
        path = Path(source)
        frame, written = read_table_file(path)
        rows = FrameRows(frame, path.name, path.parent, written)
    else:
        import pandas as pd

        if isinstance(source, MultimodalData):
            raise TypeError("read takes a path or a frame; these are data already.")
        if not isinstance(source, pd.DataFrame):
            raise TypeError(
                f"read takes a path or a pandas frame, got {type(source).__name__}; for arrays "
                "use from_arrays."
            )
        if isinstance(source.columns, pd.MultiIndex):
            raise ValueError("frame: columns of several levels are not read; join their names.")
        rows = FrameRows(source)
    if not rows.known():
        raise ValueError(f"{rows.origin}: there are no columns.")
    if len(rows) == 0:
        raise ValueError(
            f"{rows.origin}: there are no rows below the columns' names; give at least one."
        )
    if isinstance(schema, str | Path):
        schema = Schema.load(schema)
    if schema is not None and not isinstance(schema, Schema):
        raise TypeError(
            "read: schema must be a Schema or the path of a YAML file, got "
            f"{type(schema).__name__}."
        )
    if schema is None:
        schema = infer_schema(rows.frame, rows.base, rows.origin)
    _refuse_shared_columns(schema, rows.origin)
    return MultimodalData.build(rows, schema, absent_ok=absent_ok)


def _refuse_shared_columns(schema: Schema, origin: str) -> None:
    """Raise a ValueError if two modalities read one column: each would tell the other."""
    reader: dict[str, str] = {}
    for name, spec in schema.modalities.items():
        for column in spec.sources:
            if reader.setdefault(column, name) != name:
                raise ValueError(
                    f"{origin}: by the schema column {column!r} is read by the modalities "
                    f"{reader[column]!r} and {name!r}; leave it in one of them."
                )


def from_arrays(
    arrays: Mapping[str, Any],
    present: Mapping[str, Any] | None = None,
    kinds: Mapping[str, str | ModalitySpec] | None = None,
) -> MultimodalData:
    """Data from arrays, one modality each.

    Arguments:
        arrays: Modality -> N rows of it: pictures (N, H, W), (N, C, H, W) or (N, H, W, C) in
            uint8 or in floats in [0, 1], or a list of PIL images; vectors (N, P); texts, a list
            of strings; tags, a list of lists of strings; scalars (N,), a table of one column; a
            frame, a table. NaN is a missing cell, None a missing picture, text or other object;
            what a masked array of numpy masks is missing.
        present: Modality -> what is there: bool (N,), or (N, P) for vectors and frames.
        kinds: Modality -> ``image``, ``vector``, ``embedding``, ``text``, ``series``, ``audio``,
            ``tags``, ``table`` (a frame), or a scalar's
            ``number``, ``positive``, ``count``, ``ordinal``, ``category``; or a
            :class:`ModalitySpec`, which says more than the kind. Inferred where it is
            not given: by shape and dtype; whole numbers with at most 100 different ones are a
            category.

    Raises:
        TypeError: If ``arrays``, ``present`` or ``kinds`` is no dictionary.
        ValueError: If lengths, shapes, masks or kinds do not fit.

    Example:
        >>> data = from_arrays(
        ...     {"digit": np.zeros((4, 8, 8), np.uint8), "label": np.array([0, 1, 1, 0])},
        ...     present={"digit": np.array([True, True, False, True])},
        ... )
        >>> data
        MultimodalData(4 rows; digit: image, label: table)
        >>> data.present("digit").sum(), len(data[:2])
        (np.int64(3), 2)
    """
    import pandas as pd

    _refuse_other_than_mappings(arrays, present, kinds)
    if not arrays:
        raise ValueError("arrays: at least one modality is needed, got none.")
    kinds = dict(kinds or {})
    for where, names in (("kinds", kinds), ("present", present or {})):
        for name in names:
            if name not in arrays:
                raise ValueError(f"{where}: no array {name!r}.{nearest(name, list(arrays))}")
    held: dict[str, Any] = {}
    for name, array in arrays.items():
        checked_name(name, "an array's name", "arrays")
        kind = kinds.get(name)
        if isinstance(kind, ModalitySpec):
            kind = kind.kind
        listed = _levels_of(array, name, kind)
        if listed is not None:
            kinds[name] = listed
        held[name] = array if isinstance(array, pd.DataFrame) else _as_array(array, name, kind)
    lengths = {name: len(array) for name, array in held.items()}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"arrays: all must have the same number of rows, got {lengths}.")
    if not next(iter(lengths.values())):
        raise ValueError("arrays: there are no rows.")
    given = {name: _checked_mask(mask, name, held[name]) for name, mask in (present or {}).items()}
    for name, array in held.items():
        if isinstance(array, np.ma.MaskedArray):
            held[name], given = array.data, _with_mask(array, name, given)
    rows = ArrayRows(held, given)
    schema = Schema({name: _spec(name, rows, kinds.get(name)) for name in held})
    return MultimodalData.build(rows, schema)


def _refuse_other_than_mappings(arrays: Raw, present: Raw, kinds: Raw) -> None:
    if not isinstance(arrays, Mapping):
        hint = " For a frame or a file use read." if hasattr(arrays, "columns") else ""
        raise TypeError(
            "from_arrays takes a dictionary of arrays, such as {'x': array}, got "
            f"{type(arrays).__name__}.{hint}"
        )
    for name, said in (("present", present), ("kinds", kinds)):
        if said is not None and not isinstance(said, Mapping):
            raise TypeError(
                f"from_arrays: {name} must be a dictionary from the arrays' names, got "
                f"{type(said).__name__}."
            )


def _as_array(values: Raw, name: str, kind: str | None = None) -> np.ndarray:
    from PIL.Image import Image

    if isinstance(values, Image | str | bytes | Mapping):
        raise TypeError(
            f"arrays, {name!r}: expected an array or a list with a value a row, "
            f"got {type(values).__name__}."
        )
    if hasattr(values, "detach"):  # a tensor of torch, perhaps on an accelerator
        values = values.detach().cpu().numpy()
    if isinstance(values, list | tuple):
        if any(isinstance(one, np.ma.MaskedArray) for one in values):
            raise ValueError(
                f"arrays, {name!r}: a list of masked arrays is not read; make one masked array of "
                "them with np.ma.stack."
            )
        strange = any(one is None or isinstance(one, str | Image | bytes) for one in values)
        if strange or are_sets_of_strings([one for one in values if one is not None]):
            return objects(values)
    try:
        array = np.asanyarray(values)
    except ValueError:
        if kind in KEYS:
            return objects(values)
        raise ValueError(
            f"arrays, {name!r}: the rows differ in shape; all rows of an array have one shape."
        ) from None
    listed = isinstance(values, list | tuple)
    if kind == "tags" and listed and (array.dtype.kind not in "iufb" or not array.size):
        return objects(values)
    if array.ndim == 0:
        raise ValueError(f"arrays, {name!r}: expected a value a row, got a single {values!r:.40}.")
    return array.astype(object) if array.dtype.kind in "UT" else array


def _levels_of(values: Raw, name: str, kind: str | None) -> ModalitySpec | None:
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


def _with_mask(
    array: np.ma.MaskedArray, name: str, given: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """What is given as present, less what an array of numpy masks."""
    mask = np.ma.getmaskarray(array)
    if not mask.any():
        return dict(given)
    there = ~mask if mask.ndim == 1 else ~mask.reshape(len(mask), -1)
    said = given.get(name)
    if said is not None:
        there = there & (said[:, None] if said.ndim < there.ndim else said)
    return {**given, name: there}


def _checked_mask(mask: Raw, name: str, array: Raw) -> np.ndarray:
    mask = mask.detach().cpu().numpy() if hasattr(mask, "detach") else np.asarray(mask)
    shapes = {(len(array),)}
    if array.ndim == 2:
        shapes.add(tuple(array.shape))
    if mask.dtype != bool or mask.shape not in shapes:
        wanted = " or ".join(map(str, sorted(shapes, key=len)))
        raise ValueError(
            f"present, {name!r}: expected truth values of the shape {wanted}, got {mask.dtype} of "
            f"shape {mask.shape}."
        )
    return mask.copy()


def _spec(name: str, rows: ArrayRows, kind: str | ModalitySpec | None) -> ModalitySpec:
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
