"""A limit for what must not hang: seconds of this process's own time, so that a busy machine
changes nothing; 40 times what the slowest of the fuzzed files takes."""

from __future__ import annotations

import signal
import time
from contextlib import contextmanager

SECONDS = 5.0


class Hung(BaseException):
    """No Exception: nothing that is tested may swallow it."""


@contextmanager
def within(seconds=SECONDS):
    """Ends what runs longer, where the system can (not on Windows), and fails in any case."""
    start = time.process_time()
    timed = hasattr(signal, "setitimer")
    if timed:
        before = signal.signal(signal.SIGPROF, _end)
        signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        if timed:
            signal.setitimer(signal.ITIMER_PROF, 0)
            signal.signal(signal.SIGPROF, before)
    assert time.process_time() - start < seconds


def _end(*_):
    raise Hung("it ran for too long")
