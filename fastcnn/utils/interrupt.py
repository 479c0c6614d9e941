"""Ctrl-C as a wish to be asked about, not an exception in the middle of a step."""

from __future__ import annotations

import contextlib
import signal
import threading
from types import FrameType

from fastcnn.utils import messages

NOTE = "Ctrl-C: what is running is finished first. Press it again to stop at once."


class Interrupt:
    """While the with-block runs, the first Ctrl-C only sets `requested`, and says so on stderr; the
    second raises.

    Takes effect in the main thread and where Python's own handler is in place: a handler that
    somebody else installed is left alone.
    """

    def __init__(self) -> None:
        self.requested = False
        self._installed = False

    def __enter__(self) -> Interrupt:
        in_main = threading.current_thread() is threading.main_thread()
        if in_main and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, self._handle)
            self._installed = True
        return self

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True
        # The signal may have come in the middle of another writing to stderr, which forbids it.
        with contextlib.suppress(RuntimeError):
            messages.say(f"\n{NOTE}")

    def __exit__(self, *error: object) -> None:
        if self._installed:
            signal.signal(signal.SIGINT, signal.default_int_handler)
            self._installed = False
