"""Files that are replaced whole: who reads sees the old one or the new one, never a part."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path


class FileError(ValueError):
    """A file that cannot be used; says which file, what is wrong and what to do."""


def check_replaceable(path: Path, error: type[FileError] = FileError) -> None:
    """Refuse to write where a device, a pipe or a socket is, or a link to one.

    What is written atomically takes the place of what was there, and they are not ours to remove.

    Raises:
        FileError: If there is such a thing.
    """
    if path.exists() and not path.is_file():
        raise error(f"{path}: this is not a regular file and is not replaced; name another.")


@contextlib.contextmanager
def replaced(path: Path) -> Iterator[Path]:
    """A file beside ``path`` to write to; it takes the name of ``path`` once it is whole.

    Raises:
        FileError: If ``path`` is a folder, a device, a pipe or a socket.
    """
    check_replaceable(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(suffix=path.suffix, prefix=f".{path.stem}-", dir=path.parent)
    os.close(handle)
    part = Path(name)
    try:
        yield part
        part.chmod(0o666 & ~_umask())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def write_whole(path: Path, text: str) -> Path:
    """Write a text file.

    Raises:
        FileError: If ``path`` is a folder, a device, a pipe or a socket.
    """
    with replaced(path) as part:
        part.write_text(text, encoding="utf-8")
    return path


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
