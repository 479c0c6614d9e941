"""Busy programs beside the race, as on a machine that is shared."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

# It ends with the race, also where that is killed: then the pipe of its stdin ends.
SPIN = """
import sys, threading
threading.Thread(target=lambda: (sys.stdin.read(), __import__("os")._exit(0))).start()
while True:
    pass
"""


@contextmanager
def busy(count: int) -> Iterator[None]:
    """Let so many programs of one thread compute without end meanwhile."""
    programs = [
        subprocess.Popen([sys.executable, "-c", SPIN], stdin=subprocess.PIPE) for _ in range(count)
    ]
    try:
        yield
    finally:
        for program in programs:
            program.kill()
            program.communicate()
