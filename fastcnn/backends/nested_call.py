"""Calls of a model in the middle of a computation of the same thread.

A signal handler, or an object's finalizer, may come between any two lines of Python, and so within
a call of a model: after its images were given and before its results were read. There no model can
compute: the same one would take what the other call was given, and another one could wait for ever,
since runs go one at a time.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class _Thread(threading.local):
    computing = False


_thread = _Thread()


def refuse() -> None:
    """Raise RuntimeError where this thread computes already; before any lock is waited for."""
    if _thread.computing:
        raise RuntimeError(
            "A model was called while this thread was in the middle of a model's computation: by a "
            "signal handler, or by the finalizer of an object. Only note there what is to be done, "
            "as in a variable, and do it after the call that it came into, or in a callback."
        )


@contextmanager
def refused() -> Iterator[None]:
    """Refuse other calls in this thread meanwhile."""
    before = _thread.computing
    try:
        _thread.computing = True
        yield
    finally:
        _thread.computing = before
