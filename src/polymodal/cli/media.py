"""Pictures and sounds of a table: bytes in Parquet, files beside a CSV."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from itertools import chain
from itertools import count as count_from
from pathlib import Path
from typing import Any

import numpy as np

from polymodal.cli.outputs import count, say
from polymodal.data.series import numeric_cell
from polymodal.data.sounds import wav_bytes

AsBytes = Callable[[Any, Path], bytes]
"""A picture's or sound's bytes, and the folder that its name is relative to."""

_SUFFIXES = {
    b"\xff\xd8": ".jpg", b"RIFF": ".wav", b"fLaC": ".flac", b"OggS": ".ogg", b"ID3": ".mp3"
}  # fmt: skip


def sound_bytes(value: Any, base: Path, rate: int) -> bytes:  # noqa: ANN401
    """A sound as the bytes of its file: a file's own, or a WAV.

    Arguments:
        value: Samples, bytes, a mapping, or the name of a file.
        base: The folder that the name is relative to.
        rate: That of samples that say none.
    """
    bits = 16
    if isinstance(value, Mapping):
        rate, bits = int(value.get("sampling_rate") or rate), 32  # a quiet sound is none in 16
        value = next(v for k in ("bytes", "array", "path") if (v := value.get(k)) is not None)
    if isinstance(value, bytes | bytearray):
        return bytes(value)
    if isinstance(value, str | Path):
        return (base / value).read_bytes()
    return wav_bytes(numeric_cell(value, "a cell", "a sound"), rate, bits)


def held(value: Any, base: Path, as_bytes: AsBytes) -> Any:  # noqa: ANN401
    """A cell of a Parquet file: bytes, or the mapping that it was.

    A mapping that has a file's name alone gets the file's bytes, as the name would lead nowhere.
    """
    if not isinstance(value, Mapping):
        return as_bytes(value, base)
    rate = value.get("sampling_rate")
    if isinstance(rate, float) and rate.is_integer():  # as pandas reads it beside an empty cell
        value = {**value, "sampling_rate": int(rate)}
    if value.get("array") is not None:
        return {**value, "array": columnar(value["array"])}
    return value if value.get("bytes") is not None else {**value, "bytes": as_bytes(value, base)}


def columnar(samples: Any) -> Any:  # noqa: ANN401
    """Samples as Parquet takes them: of several channels a list of arrays."""
    return list(samples) if isinstance(samples, np.ndarray) and samples.ndim > 1 else samples


def file_name(name: str) -> str:
    """The name of a modality or column as that of a file."""
    return "".join(c if c.isalnum() or c in "-_" else "_" for c in name)


def files_beside(
    values: Sequence[Any],
    column: str,
    path: Path,
    base: Path,
    as_bytes: AsBytes,
    taken: Collection[str] = (),
) -> tuple[list[str | None], list[Path]]:
    """The names that a CSV has for pictures or sounds, and the files that were written for it.

    Arguments:
        values: Pictures or sounds, None where there is none; names of files stay.
        column: The column's name, by which the folder is called.
        path: The CSV.
        base: The folder that names of files are relative to.
        as_bytes: What makes bytes of those that are no names.
        taken: Names of folders that other columns have, as ``str.casefold`` gives them.
    """
    made = {i for i, one in enumerate(values) if not isinstance(one, str | Path | None)}
    folder = _own_folder(path, f"{path.stem}_{file_name(column)}", made, taken)
    names, files = [], []
    for row, value in enumerate(values):
        if row not in made:
            names.append(None if value is None else _seen_from(path.parent, base, value))
            continue
        data = as_bytes(value, base)
        file = folder / f"{row:06d}{_suffix(data)}"
        folder.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
        names.append(f"{folder.name}/{file.name}")
        files.append(file)
    _say_what_is_left(folder, path, names)
    return names, files


def _own_folder(path: Path, name: str, rows: Collection[int], taken: Collection[str]) -> Path:
    """The first of ``name``, ``name_2``... in which no file is replaced but the CSV's own.

    Arguments:
        path: The CSV, still as it was before, if it was.
        name: What the folder should be called.
        rows: The rows that get a file.
        taken: Names that are not free.
    """
    text = path.read_text("utf-8", errors="replace") if path.is_file() else ""
    named, stems = set(re.split(r'[,"\r\n]', text)), {f"{row:06d}" for row in rows}

    def is_free(folder: Path) -> bool:
        if folder.name.casefold() in taken or (folder.exists() and not folder.is_dir()):
            return False
        held = folder.iterdir() if folder.is_dir() else ()
        return all(one.stem not in stems or f"{folder.name}/{one.name}" in named for one in held)

    wanted = path.parent / name
    others = (path.parent / f"{name}_{n}" for n in count_from(2))
    folder = next(one for one in chain([wanted], others) if is_free(one))
    if folder != wanted and wanted.name.casefold() not in taken:
        say(
            f"{wanted} holds files that {path.name} does not name, which stay; new ones go into "
            f"{folder.name}."
        )
    return folder


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
    return next((suffix for head, suffix in _SUFFIXES.items() if data.startswith(head)), ".png")


def _seen_from(folder: Path, base: Path, name: str | Path) -> str:
    """The name of a file, relative to ``base``, as a table in ``folder`` has to give it."""
    if Path(name).is_absolute() or folder.resolve() == base.resolve():
        return str(name)
    try:
        return os.path.relpath(base.resolve() / name, folder.resolve())
    except ValueError:  # on another drive
        return str(base.resolve() / name)
