"""Functions of a test in threads of their own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Any


def run_together(function: Callable[..., None], arguments: Iterable[tuple[Any, ...]]) -> None:
    """Call a function with each of the arguments, all at once; return when all calls have ended."""
    threads = [threading.Thread(target=function, args=each) for each in arguments]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
