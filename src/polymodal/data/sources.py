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
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from polymodal.data.array_rows import ArrayRows
from polymodal.data.array_specs import array_spec, levels_of
from polymodal.data.dataset import MultimodalData
from polymodal.data.frame_rows import FrameRows
from polymodal.data.infer import infer_schema
from polymodal.data.kinds import KEYS
from polymodal.data.names import Raw, checked_name, nearest, objects
from polymodal.data.schema import Schema
from polymodal.data.specs import ModalitySpec
from polymodal.data.table_file import read_table_file
from polymodal.data.tags import are_sets_of_strings

if TYPE_CHECKING:
    from pandas import DataFrame


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
        listed = levels_of(array, name, kind)
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
    schema = Schema({name: array_spec(name, rows, kinds.get(name)) for name in held})
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
