"""What a command reads is not what it writes: that is refused before anything is computed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from polymodal.cli.errors import CommandError

_INPUTS = {
    "model": "MODEL",
    "data": "DATA",
    "schema": "--schema",
    "train": "--train",
    "test": "--test",
    "validation": "--validation",
    "config": "--config",
    "inception": "--inception",
}
"""Parameters that name a file to read, as the help calls them."""
_WITH_PICTURES = ("impute", "translate")
"""Verbs that write pictures and sounds of rows into folders beside a CSV."""


def check_inputs_stay(verb: str, said: Mapping[str, Any]) -> None:
    """Refuse a command that would write over one of the files that it reads.

    Arguments:
        verb: The command.
        said: Its parameters by name, defaults included.

    Raises:
        CommandError: If it would.
    """
    option = "write" if said.get("write") is not None else "out"
    out = said.get(option)
    if out is None:
        return
    for file in _written(verb, Path(out)):
        for name, called in _INPUTS.items():
            read = said.get(name)
            if read is None or (name == "config" and file != out):
                continue  # a fit may be repeated from the OUT.yaml that it writes again
            if not str(read).startswith("bundled:") and _is_same(file, Path(read)):
                implied = "" if file == out else f": {file}, which goes with it,"
                raise CommandError(
                    f"--{option} {out}{implied} is the {called} of this command and would be "
                    "replaced; name another."
                )
    if verb in _WITH_PICTURES:
        _check_pictures_stay(Path(out), str(said["data"]))


def check_unedited(option: str, file: Path, text: str) -> None:
    """Refuse to write over a file that people edit, unless it holds the same.

    Raises:
        CommandError: If the file is there and holds something else.
    """
    if file.exists() and file.read_text("utf-8", errors="replace") != text:
        raise CommandError(
            f"{option} {file} holds something else than what would be written and may have been "
            "edited; name another file, or remove it first."
        )


def _written(verb: str, out: Path) -> list[Path]:
    """The files whose names follow from that of ``--out``."""
    if verb == "fit":
        return [out, Path(f"{out}.yaml")]
    if verb == "compare":
        return [out / "comparison.txt", out / "comparison.html", out / "settings.json"]
    folder = {"generate": "rows.csv", "traverse": "walk.csv"}.get(verb)
    return [out, out / folder] if folder else [out]


def _is_same(one: Path, other: Path) -> bool:
    """Whether both are one file, through links of either kind."""
    try:
        return one.resolve() == other.resolve() or one.samefile(other)
    except (OSError, RuntimeError):  # one of them is not there, or links go in a circle
        return False


def _check_pictures_stay(out: Path, data: str) -> None:
    """Refuse a CSV into whose folders of pictures and sounds those of the data would fall."""
    if out.suffix.lower() != ".csv" or data.startswith("bundled:") or not out.parent.is_dir():
        return
    folders = [one for one in out.parent.glob("*") if one.name.startswith(f"{out.stem}_")]
    held = {one.resolve(): one for one in folders if one.is_dir()}
    if not held:
        return
    for name in _words(Path(data)):
        folder = held.get((Path(data).parent / name).parent.resolve())
        if folder is not None and (Path(data).parent / name).is_file():
            raise CommandError(
                f"--out {out}: its files would go into {folder}, where files are that {data} "
                f"names, such as {name}; name another."
            )


def _words(data: Path) -> Iterator[str]:
    """Cells of a table that may name a file in a folder; none where it cannot be read."""
    from polymodal.data.table_file import read_table_file

    try:
        frame = read_table_file(data).frame
    except (ValueError, OSError):  # which the command itself says better
        return
    for column in frame.columns:
        cells = (cell for cell in frame[column] if isinstance(cell, str))
        yield from (cell for cell in cells if len(cell) < 4096 and ("/" in cell or "\\" in cell))
