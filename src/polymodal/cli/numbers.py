"""Whole numbers on the command line and in its files: what is none is refused, never rounded."""

from __future__ import annotations

from typing import get_args

from cyclopts import App, ArgumentCollection

from polymodal.cli.errors import CommandError


def check_whole(app: App, commands: tuple[str, ...], arguments: ArgumentCollection) -> None:
    """Refuse fractions where an option of any verb takes a whole number.

    cyclopts rounds them: ``--n 2.9`` would be 3.

    Raises:
        CommandError: If there is one.
    """
    for argument in arguments:
        if int not in (argument.hint, *get_args(argument.hint)):
            continue
        for token in argument.tokens:
            if "." in token.value and not _is_whole(token.value):
                where = "" if token.source == "cli" else f" (in {token.source})"
                raise CommandError(
                    f"{argument.name} must be a whole number, got {token.value}{where}."
                )


def _is_whole(text: str) -> bool:
    """``2.0`` is, ``2.5``, ``nan.`` and ``1.e400`` are not."""
    try:
        return float(text).is_integer()
    except ValueError:
        return False


def check_seed(type_: object, value: int | None) -> None:
    """What cyclopts asks of a seed that was given.

    Raises:
        ValueError: If no generator takes it.
    """
    from polymodal.typing import checked_seed

    if value is not None:
        checked_seed("It", value)
