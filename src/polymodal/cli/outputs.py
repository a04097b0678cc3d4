"""What a command writes: one JSON document, lines for people, tables and pictures."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping
from typing import Any


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


def count(n: int, word: str) -> str:
    """``3 rows``, ``1 row``, ``12,000 rows``."""
    return f"{n:,} {word}{'' if n == 1 else 's'}"
