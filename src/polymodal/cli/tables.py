"""Results as one table in a file: pictures become PNG, vectors lists of numbers."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from polymodal.cli.holes import shown_as_holes
from polymodal.cli.known import KnownCells, without_point
from polymodal.cli.media import AsBytes, columnar, files_beside, held, sound_bytes
from polymodal.cli.outputs import count, say
from polymodal.data.kinds import COUNTED
from polymodal.data.png import png_bytes
from polymodal.data.series import numeric_cell, whole_if_all
from polymodal.data.written import parsed
from polymodal.replacing import replaced
from polymodal.typing import is_whole

if TYPE_CHECKING:
    import pandas as pd

    from polymodal.data.schema import Schema
    from polymodal.data.specs import ModalitySpec


_LISTS = ("vector", "embedding", "tags")
"""Kinds whose cells may be lists, which are lists in Parquet."""


def frame_of(result: object) -> pd.DataFrame:
    """A frame of what a task returned: a frame already, or a dictionary of modalities' values.

    A table's columns stand side by side; any other modality is one column of its name.
    """
    import pandas as pd

    if isinstance(result, pd.DataFrame):
        return result.copy(deep=False)
    if not isinstance(result, Mapping):
        raise TypeError(f"expected a frame or a dictionary, got {type(result).__name__}.")
    columns: dict[str, Any] = {}
    for name, values in result.items():
        if isinstance(values, pd.DataFrame):
            fresh: dict[str, Any] = {str(column): list(values[column]) for column in values}
        elif isinstance(values, np.ndarray) and values.ndim > 1:
            fresh = {name: list(values)}
        else:
            fresh = {name: list(values)}
        for column, cells in fresh.items():
            # Two modalities may have a column of one name.
            columns[column if column not in columns else f"{name}.{column}"] = cells
    return pd.DataFrame(columns)


def write_frame(
    frame: pd.DataFrame,
    path: Path,
    pictures: Collection[str] = (),
    base: Path | None = None,
    schema: Schema | None = None,
    known: KnownCells | None = None,
    samples: Collection[str] = (),
) -> list[Path]:
    """Write a table as Parquet or CSV, by the suffix of its name.

    In Parquet pictures are PNG bytes; a CSV names PNG files that are put into a folder beside it.
    A picture that came as the name of a file stays that file: its bytes in Parquet, its name, as
    seen from the new file, in a CSV. Sounds likewise, as WAV. Mappings stay such in Parquet.
    Series and spectrograms are lists of lists. Files that a folder had before and neither the
    table nor the one that it replaces names stay, and are told of on standard error.

    Arguments:
        frame: The table.
        path: Where to write it.
        pictures: Columns that hold pictures, where their cells may be names of files.
        base: The folder that those names are relative to.
        schema: What the columns are, where it is known.
        known: Cells that a CSV is to have exactly as they stood in another.
        samples: Columns of sounds that are lists of samples, and stay such.

    Returns:
        The picture and sound files that were written.
    """
    frame, base = frame.copy(deep=False), base or Path()
    files: list[Path] = []
    parquet = path.suffix.lower() == ".parquet"
    if parquet and known is not None:
        frame = known.keep_names(frame, schema)
    specs, whole = _specs(schema), _whole_columns(schema)
    for column in frame.columns:
        sample = next((v for v in frame[column] if v is not None and not _is_nan(v)), None)
        spec = specs.get(str(column))
        if parquet and spec is not None and spec.kind in _LISTS:
            frame[column] = _lists_of_text(frame[column])
        as_bytes = _as_bytes(spec, sample, column in pictures, str(column) in samples)
        if as_bytes is not None and parquet:
            change = partial(held, base=base, as_bytes=as_bytes)
            frame[column] = _each(_each(frame[column], parsed), change)
        elif as_bytes is not None:
            cells = _each(frame[column], parsed)
            taken = {one.parent.name.casefold() for one in files}
            frame[column], made = files_beside(cells, str(column), path, base, as_bytes, taken)
            files += made
        elif spec is not None and spec.kind == "audio" and spec.rate and parquet:
            frame[column] = _each(frame[column], lambda v: columnar(parsed(v)))
        elif spec is not None and spec.kind in ("series", "audio"):
            lists = _each(frame[column], _counts if spec.likelihood in COUNTED else _nested)
            frame[column] = lists if parquet else _each(lists, json.dumps)
        elif isinstance(sample, list | tuple | np.ndarray) and _hold_words(frame[column]):
            sets = _each(frame[column], lambda v: [str(tag) for tag in v])
            frame[column] = sets if parquet else _each(sets, str)
        elif isinstance(sample, np.ndarray | list | tuple):
            numbers = _each(frame[column], _nested)
            frame[column] = numbers if parquet else _each(numbers, json.dumps)
        elif parquet:
            frame[column] = _of_one_type(frame[column], str(column) in whole)
        elif str(column) in whole:
            frame[column] = without_point(frame[column])
    if not parquet:
        _say_what_is_lost(frame, path)
        frame = frame if known is None else known.put_into(frame)
    with replaced(path) as part:
        if parquet:
            frame.to_parquet(part, index=False)
        else:
            frame.to_csv(part, index=False)
    return files


def _say_what_is_lost(frame: pd.DataFrame, path: Path) -> None:
    """Name the columns of a CSV that have a value which a reader takes for a hole."""
    for column in frame.select_dtypes(exclude="number"):
        lost = shown_as_holes(frame[column])
        if lost.any():
            such = frame[column].to_numpy(dtype=object)[lost][0]
            say(
                f"{path.name}, column {str(column)!r}: {count(int(lost.sum()), 'cell')} "
                f"{'has' if lost.sum() == 1 else 'have'} a value that a CSV shows as a hole, such "
                f"as {such!r}; Parquet keeps them apart."
            )


def _as_bytes(
    spec: ModalitySpec | None, sample: object, picture: bool, samples: bool
) -> AsBytes | None:
    """What makes bytes of a column's pictures or sounds; None of a column that has none."""
    if spec is not None and spec.kind == "audio":
        return partial(sound_bytes, rate=spec.rate) if spec.rate and not samples else None
    if spec is not None and spec.kind == "series":
        return None
    return png_bytes if picture or is_picture(sample) else None


def _whole_columns(schema: Schema | None) -> set[str]:
    """Columns whose values are whole numbers: counts, and levels that are such."""
    columns = [] if schema is None else [c for s in schema.modalities.values() for c in s.columns]
    return {
        column.name
        for column in columns
        if column.kind == "count"
        or (column.levels and all(is_whole(one, -(2**63)) for one in column.levels))
    }


def _of_one_type(cells: Any, whole: bool) -> Any:  # noqa: ANN401 (a column)
    """Integers of whole numbers without a hole; strings, where a column has numbers too.

    Parquet takes one type only.
    """
    if whole and cells.dtype.kind == "f" and cells.notna().all():
        return whole_if_all(cells.to_numpy())
    if cells.dtype != object or not any(isinstance(one, str) for one in cells):
        return cells
    if not all(isinstance(one, str | int | float | np.number | None) for one in cells):
        return cells
    return _each(without_point(cells), str)


def _lists_of_text(cells: Any) -> Any:  # noqa: ANN401 (a column)
    """A column of lists that a CSV writes as text as lists; any other as it is."""
    lists = _each(cells, parsed)
    return lists if all(isinstance(one, list | None) for one in lists) else cells


def _hold_words(values: Iterable[Any]) -> bool:
    """Whether the lists of a column are sets of tags."""
    sets = (v for v in values if isinstance(v, list | tuple | np.ndarray))
    return any(isinstance(one, str) for v in sets for one in v)


def is_picture(value: object) -> bool:
    """Whether a value is a PIL image, PNG or JPEG bytes, or an array of pixels."""
    if isinstance(value, bytes):
        return value.startswith((b"\x89PNG", b"\xff\xd8"))
    if isinstance(value, np.ndarray):
        return value.ndim >= 2
    return hasattr(value, "save") and hasattr(value, "mode")


def _nested(value: Any) -> list[Any]:  # noqa: ANN401
    return numeric_cell(parsed(value), "a cell", "a list").tolist()


def _counts(value: Any) -> list[Any]:  # noqa: ANN401
    return whole_if_all(np.asarray(_nested(value))).tolist()


def _specs(schema: Schema | None) -> dict[str, ModalitySpec]:
    """Modalities by the names that their column may have in a result."""
    found = {} if schema is None else dict(schema.modalities)
    return {str(spec.column): spec for spec in found.values() if spec.column} | found


def _each(values: Iterable[Any], change: Callable[[Any], Any]) -> list[Any]:
    return [None if v is None or _is_nan(v) else change(v) for v in values]


def _is_nan(value: object) -> bool:
    return isinstance(value, float) and value != value


def stacked(draws: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """All draws below each other; the first column says which."""
    import pandas as pd

    frames = []
    for i, frame in enumerate(draws):
        if "draw" in frame:
            raise ValueError("the data have a column 'draw' already; rename it.")
        frame.insert(0, "draw", i)
        frames.append(frame)
    return pd.concat(frames, ignore_index=True)
