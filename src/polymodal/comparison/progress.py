"""How far a comparison has come: all fits together, and how much time is left."""

from __future__ import annotations

import sys
import time
from typing import TextIO

_SECONDS_BETWEEN_LINES = 20.0
_SECONDS_BETWEEN_REDRAWS = 0.2
_TRAINING = 0.9  # the share of a fit that is training; the rest is the examination


class Board:
    """Tells people: on a terminal one line that is rewritten, elsewhere a line now and then.

    Arguments:
        n_fits: Fits in all.
        stream: Where to; standard error when None.
        show: False tells nothing.
    """

    def __init__(self, n_fits: int, stream: TextIO | None = None, show: bool = True) -> None:
        self._stream = stream if stream is not None else sys.stderr
        self._show, self._live = show, show and self._stream.isatty()
        self._n_fits, self._number, self._skipped = n_fits, 0, 0
        self._what, self._begun, self._told = "", time.monotonic(), 0.0

    def skip(self, what: str, why: str) -> None:
        """A fit need not be made."""
        self._number, self._skipped = self._number + 1, self._skipped + 1
        self._line(f"{self._place()} {what}: {why}")

    def begin(self, what: str) -> None:
        """A fit begins."""
        self._number, self._what = self._number + 1, what
        self._told = time.monotonic()
        if not self._live:
            self._line(f"{self._place()} {what}: fitting{self._left(0.0)}")

    def share(self, done: float, said: str) -> None:
        """A share of the fit's training is done."""
        now = time.monotonic()
        wait = _SECONDS_BETWEEN_REDRAWS if self._live else _SECONDS_BETWEEN_LINES
        if self._show and now - self._told >= wait:
            self._told = now
            self._now(f"{said or 'fitting'}{self._left(_TRAINING * done)}")

    def examine(self) -> None:
        """Training is over, the examination begins."""
        if self._live:
            self._now(f"asking it for hidden values{self._left(_TRAINING)}")

    def end(self, said: str) -> None:
        """The fit is done."""
        self._line(f"{self._place()} {self._what}: {said}{self._left(1.0)}")

    def tell(self, text: str) -> None:
        """Say something else."""
        self._line(text)

    def close(self) -> None:
        """Leave the line that is rewritten."""
        if self._live:
            print("\r\x1b[K", end="", file=self._stream, flush=True)

    def _place(self) -> str:
        return f"[{self._number}/{self._n_fits}]"

    def _left(self, share: float) -> str:
        """Time left at the pace so far; nothing is said before there is a pace."""
        done = self._number - 1 - self._skipped + share
        rest = self._n_fits - self._number + 1 - share
        if done < 0.05 or rest <= 0:
            return ""
        return f", at most {duration((time.monotonic() - self._begun) / done * rest)} left"

    def _now(self, text: str) -> None:
        line = f"{self._place()} {self._what}: {text}"
        if self._live:
            print(f"\r\x1b[K{line}", end="", file=self._stream, flush=True)
        else:
            self._line(line)

    def _line(self, text: str) -> None:
        if self._show:
            lead = "\r\x1b[K" if self._live else ""
            print(f"{lead}{text}", file=self._stream, flush=True)


def duration(seconds: float) -> str:
    """``0.4 s``, ``12 s``, ``3 min``, ``2.5 h``."""
    if seconds < 0.95:
        return f"{seconds:.1f} s"
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
