"""Locks for objects that live on in the child of a fork, as multiprocessing makes it."""

from __future__ import annotations

import os
import threading


def lock() -> threading.Lock:
    """A lock, for the whole program's life, that no other thread holds when the process forks: the
    child can take it, and finds nothing changed halfway."""
    made = threading.Lock()
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(
            before=made.acquire, after_in_parent=made.release, after_in_child=made.release
        )
    return made
