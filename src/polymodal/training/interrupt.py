"""Ctrl-C during a run with a directory: it ends the step, writes a checkpoint and stops."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class StopRequest:
    """Whether somebody asked the run to stop."""

    def __init__(self) -> None:
        self.asked = False


@contextmanager
def stop_requests(listen: bool) -> Iterator[StopRequest]:
    """Inside, a first SIGINT is noted and a second one raises KeyboardInterrupt as ever.

    Arguments:
        listen: False leaves SIGINT alone; so does a thread other than the main one, which may
            not set handlers.
    """
    request = StopRequest()
    if not listen or threading.current_thread() is not threading.main_thread():
        yield request
        return
    before = signal.getsignal(signal.SIGINT)

    def note(_number: int, _frame: FrameType | None) -> None:
        if request.asked:
            raise KeyboardInterrupt
        request.asked = True

    signal.signal(signal.SIGINT, note)
    try:
        yield request
    finally:
        # A handler that was not set from Python cannot be put back from Python.
        signal.signal(signal.SIGINT, signal.default_int_handler if before is None else before)
