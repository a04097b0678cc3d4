"""Results as one table in a file: pictures become PNG, vectors lists of numbers."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from polymodal.cli.known import KnownCells, without_point
from polymodal.cli.outputs import count, say
from polymodal.data.png import png_bytes
from polymodal.data.series import numeric_cell
from polymodal.data.sounds import wav_bytes
from polymodal.data.written import parsed
from polymodal.replacing import replaced
from polymodal.typing import is_whole

if TYPE_CHECKING:
    import pandas as pd

    from polymodal.data.schema import ModalitySpec, Schema


_SUFFIXES = {
    b"\xff\xd8": ".jpg", b"RIFF": ".wav", b"fLaC": ".flac", b"OggS": ".ogg", b"ID3": ".mp3"
}  # fmt: skip


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
) -> list[Path]:
    """Write a table as Parquet or CSV, by the suffix of its name.

    In Parquet pictures are PNG bytes; a CSV names PNG files that are put into a folder beside it.
    A picture that came as the name of a file stays that file: its bytes in Parquet, its name, as
    seen from the new file, in a CSV. Sounds likewise, as WAV. Series and spectrograms are lists
    of lists. Files that the folder had before and the table does not name stay, and are told of
    on standard error.

    Arguments:
        frame: The table.
        path: Where to write it.
        pictures: Columns that hold pictures, where their cells may be names of files.
        base: The folder that those names are relative to.
        schema: What the columns are, where it is known.
        known: Cells that a CSV is to have exactly as they stood in another.

    Returns:
        The picture and sound files that were written.
    """
    frame, files, base = frame.copy(deep=False), [], base or Path()
    parquet = path.suffix.lower() == ".parquet"
    specs, whole = _specs(schema), _whole_columns(schema)
    for column in frame.columns:
        sample = next((v for v in frame[column] if v is not None and not _is_nan(v)), None)
        spec = specs.get(str(column))
        if spec is not None and spec.kind == "audio" and spec.rate:
            sound, sounds = partial(_wav, rate=spec.rate), _each(frame[column], parsed)
            if parquet:
                frame[column] = _each(sounds, partial(sound, base=base))
            else:
                found = _files(sounds, str(column), path, base, sound)
                frame[column], files = found[0], files + found[1]
        elif spec is not None and spec.kind in ("series", "audio"):
            lists = _each(frame[column], _nested)
            frame[column] = lists if parquet else _each(lists, json.dumps)
        elif column in pictures or is_picture(sample):
            if parquet:
                frame[column] = _each(frame[column], lambda v: png_bytes(v, base))
            else:
                found = _files(frame[column], str(column), path, base, png_bytes)
                frame[column], files = found[0], files + found[1]
        elif isinstance(sample, list | tuple | np.ndarray) and _hold_words(frame[column]):
            sets = _each(frame[column], lambda v: [str(tag) for tag in v])
            frame[column] = sets if parquet else _each(sets, str)
        elif isinstance(sample, np.ndarray | list | tuple):
            numbers = _each(frame[column], _nested)
            frame[column] = numbers if parquet else _each(numbers, json.dumps)
        elif parquet:
            frame[column] = _of_one_type(frame[column])
        elif str(column) in whole:
            frame[column] = without_point(frame[column])
    if known is not None and not parquet:
        frame = known.put_into(frame)
    with replaced(path) as part:
        if parquet:
            frame.to_parquet(part, index=False)
        else:
            frame.to_csv(part, index=False)
    return files


def _whole_columns(schema: Schema | None) -> set[str]:
    """Columns whose values are whole numbers: counts, and levels that are such."""
    columns = [] if schema is None else [c for s in schema.modalities.values() for c in s.columns]
    return {
        column.name
        for column in columns
        if column.kind == "count"
        or (column.levels and all(is_whole(one, -(2**63)) for one in column.levels))
    }


def _of_one_type(cells: Any) -> Any:  # noqa: ANN401 (a column)
    """Strings, where a column has numbers too: Parquet takes one type only."""
    if cells.dtype != object or not any(isinstance(one, str) for one in cells):
        return cells
    if not all(isinstance(one, str | int | float | np.number | None) for one in cells):
        return cells
    return _each(without_point(cells), str)


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


def _specs(schema: Schema | None) -> dict[str, ModalitySpec]:
    """Modalities by the names that their column may have in a result."""
    found = {} if schema is None else dict(schema.modalities)
    return {str(spec.column): spec for spec in found.values() if spec.column} | found


def _wav(value: Any, base: Path, rate: int) -> bytes:  # noqa: ANN401
    """A sound as the bytes of its file (a file's own, or a WAV)."""
    if isinstance(value, Mapping):
        rate = int(value.get("sampling_rate") or rate)
        value = next(v for k in ("bytes", "array", "path") if (v := value.get(k)) is not None)
    if isinstance(value, bytes | bytearray):
        return bytes(value)
    if isinstance(value, str | Path):
        return (base / value).read_bytes()
    return wav_bytes(np.asarray(value), rate)


def _files(
    values: Iterable[Any],
    column: str,
    path: Path,
    base: Path,
    as_bytes: Callable[[Any, Path], bytes],
) -> tuple[list[str | None], list[Path]]:
    name = "".join(c if c.isalnum() or c in "-_" else "_" for c in column)
    folder = path.parent / f"{path.stem}_{name}"
    names, files = [], []
    for row, value in enumerate(values):
        if value is None or _is_nan(value):
            names.append(None)
            continue
        if isinstance(value, str | Path):
            names.append(_seen_from(path.parent, base, value))
            continue
        data = as_bytes(value, base)
        file = folder / f"{row:06d}{_suffix(data)}"
        folder.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
        names.append(f"{folder.name}/{file.name}")
        files.append(file)
    _say_what_is_left(folder, path, names)
    return names, files


def _say_what_is_left(folder: Path, path: Path, names: Iterable[str | None]) -> None:
    """Name files of an earlier table in a folder; they stay, as whose they are is not known."""
    if not folder.is_dir():
        return
    kept = {(path.parent / name).resolve() for name in names if name is not None}
    left = sorted(one for one in folder.iterdir() if one.is_file() and one.resolve() not in kept)
    if left:
        say(
            f"{folder} also holds {count(len(left), 'file')} from before that {path.name} does "
            f"not name, such as {left[0].name}; remove them if nothing else does."
        )


def _suffix(data: bytes) -> str:
    """What a picture's or sound's file is called by its first bytes."""
    known = {
        b"\xff\xd8": ".jpg",
        b"RIFF": ".wav",
        b"fLaC": ".flac",
        b"OggS": ".ogg",
        b"ID3": ".mp3",
    }
    return next((suffix for head, suffix in known.items() if data.startswith(head)), ".png")


def _seen_from(folder: Path, base: Path, name: str | Path) -> str:
    """The name of a file, relative to ``base``, as a table in ``folder`` has to give it."""
    if Path(name).is_absolute() or folder.resolve() == base.resolve():
        return str(name)
    try:
        return os.path.relpath(base.resolve() / name, folder.resolve())
    except ValueError:  # on another drive
        return str(base.resolve() / name)


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
