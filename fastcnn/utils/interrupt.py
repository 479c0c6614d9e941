"""Ctrl-C as a wish to be asked about, not an exception in the middle of a step."""

from __future__ import annotations

import contextlib
import signal
import threading
from types import FrameType
from typing import ClassVar, Self

from fastcnn.utils import messages

NOTE = "Ctrl-C: what is running is finished first. Press it again to stop at once."


class Interrupt:
    """While the with-block runs, the first Ctrl-C only makes `requested` true, and says so on
    stderr; the second raises.

    Takes effect in the main thread and where Python's own handler is in place: a handler that
    somebody else installed is left alone.
    """

    USUAL: ClassVar[dict[signal.Signals, object]] = {signal.SIGINT: signal.default_int_handler}
    """The signals that are taken, and the handlers that they replace."""

    def __init__(self) -> None:
        self._wished = False
        self._replaced: list[signal.Signals] = []

    @property
    def requested(self) -> bool:
        """Whether what is running is to end."""
        return self._wished

    def agree(self) -> None:
        """Settle `requested` with others, where it is theirs too; call it at the same steps."""

    def on_any(self, flag: bool) -> bool:
        """Say whether a flag is set, here or where others agree."""
        return flag

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number, usual in self.USUAL.items():
                if signal.getsignal(number) is usual:
                    signal.signal(number, self._handle)
                    self._replaced.append(number)
        return self

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self._wished:
            raise KeyboardInterrupt
        self._wished = True
        # The signal may have come in the middle of another writing to stderr, which forbids it.
        with contextlib.suppress(RuntimeError):
            messages.say(f"\n{NOTE}")

    def __exit__(self, *error: object) -> None:
        for number in self._replaced:
            signal.signal(number, self.USUAL[number])  # type: ignore[arg-type]
        self._replaced = []
