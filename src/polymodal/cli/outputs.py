"""What a command writes: one JSON document, lines for people, tables and pictures."""

from __future__ import annotations

import contextlib
import json
import math
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from polymodal.files import check_replaceable


def say(text: str = "") -> None:
    """Tell a person about progress, on standard error."""
    print(text, file=sys.stderr, flush=True)


def print_result(result: Mapping[str, Any], text: str, json_wanted: bool) -> None:
    """Print the result once: as JSON, or as the lines for people."""
    print(as_json(result) if json_wanted else text)


def as_json(result: Mapping[str, Any]) -> str:
    """The result as one JSON document, which holds no NaN."""
    return json.dumps(plain(result), ensure_ascii=False, allow_nan=False)


def plain(value: Any) -> Any:  # noqa: ANN401 (what JSON knows)
    """The value in what JSON knows; NaN and inf become null, arrays lists, paths text."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, str | int | bool):
        return value
    if hasattr(value, "tolist"):  # numpy and torch
        return plain(value.tolist())
    return str(value)


@contextlib.contextmanager
def written(path: Path) -> Iterator[Path]:
    """A file beside ``path`` to write to; it takes the name of ``path`` once it is whole.

    Raises:
        FileError: If ``path`` is a device, a pipe or a socket.
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


def write_text(text: str, path: Path) -> Path:
    """Write a text file."""
    with written(path) as part:
        part.write_text(text, encoding="utf-8")
    return path


def count(n: int, word: str) -> str:
    """``3 rows``, ``1 row``, ``12,000 rows``."""
    return f"{n:,} {word}{'' if n == 1 else 's'}"


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
