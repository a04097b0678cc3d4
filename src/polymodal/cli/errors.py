"""What ends a command: two kinds of failure, an exit code each, one sentence."""

from __future__ import annotations

from collections.abc import Iterable

from polymodal.spelling import did_you_mean

OK, FAILED, WRONG = 0, 1, 2


class CommandError(Exception):
    """The command was wrong: exit code 2."""


class WorkError(Exception):
    """The command was right and the work failed: exit code 1."""


def check_known(got: str, known: Iterable[str], what: str, owner: str = "") -> str:
    """The name itself, if it is known; ``owner`` says what should have had it.

    Raises:
        CommandError: If it is not, with the nearest name.
    """
    names = list(known)
    if got in names:
        return got
    lead = f"{owner} has no" if owner else "No"
    raise CommandError(
        f"{lead} {what} {got!r}.{did_you_mean(got, names)} Known: {', '.join(names)}."
    )


def one_line(text: str) -> str:
    """The text with its line breaks and runs of blanks as single blanks."""
    return " ".join(text.split())
