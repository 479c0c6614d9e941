"""Calls of a model in the middle of a computation of the same thread.

A signal handler, or an object's finalizer, may come between any two lines of Python, and so within
a call of a model: after its images were given and before its results were read. There no model can
compute: the same one would take what the other call was given, and another one could wait for ever,
since runs go one at a time.
"""

from __future__ import annotations

import threading
from contextlib import AbstractContextManager
from typing import Any


class _Thread(threading.local):
    """What each thread has: a lock that it alone takes, and holds while it computes.

    A lock is taken and released by a `with` in one step each, between which no signal comes.
    """

    def __init__(self) -> None:
        self.lock: Any = threading.RLock()


_thread = _Thread()


def refuse() -> None:
    """Raise RuntimeError where this thread computes already; before any lock is waited for."""
    if _thread.lock._is_owned():
        raise RuntimeError(
            "A model was called while this thread was in the middle of a model's computation: by a "
            "signal handler, or by the finalizer of an object. Only note there what is to be done, "
            "as in a variable, and do it after the call that it came into, or in a callback."
        )


def refused() -> AbstractContextManager[object]:
    """Return a context in which other calls of this thread are refused."""
    lock: AbstractContextManager[object] = _thread.lock
    return lock
