"""What callers may ask of a loader, checked before a file is opened."""

from __future__ import annotations

from collections.abc import Sequence
from typing import overload

from polymodal.typing import checked_seed, is_whole

__all__ = ["check_choice", "checked_rows", "checked_seed", "checked_whole"]


def check_choice(where: str, name: str, got: object, known: Sequence[object]) -> None:
    """Refuse what is none of the known choices."""
    if got not in known:
        raise ValueError(f"{where}: {name} must be one of {list(known)}, got {got!r}.")


@overload
def checked_whole(where: str, name: str, got: int) -> int: ...
@overload
def checked_whole(where: str, name: str, got: int | None, *, or_none: bool) -> int | None: ...
def checked_whole(where: str, name: str, got: int | None, *, or_none: bool = False) -> int | None:
    """A number of things, 1 at least; None too if it may be.

    Raises:
        ValueError: If it is something else.
    """
    if got is None and or_none:
        return None
    if not is_whole(got, 1):
        more = ", or None" if or_none else ""
        raise ValueError(
            f"{where}: {name} must be a whole number of at least 1{more}, got {got!r}."
        )
    return int(got)  # pyright: ignore[reportArgumentType]


def checked_rows(where: str, n: int | None) -> int | None:
    """``n`` if it may stand for a number of rows."""
    return checked_whole(where, "n", n, or_none=True)
