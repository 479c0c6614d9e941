"""Locks and what else lives on in the child of a fork, as multiprocessing makes it on Linux.

The child has a copy of all memory, but of the parent's threads only the one that forked. A lock
that another thread held at that moment is never released there.
"""

from __future__ import annotations

# Forks take the locks that were registered last first. Whoever holds one of ours may log something,
# and a fork that has logging's lock must not wait for ours: logging registers before us.
import logging  # noqa: F401
import os
import threading
from collections.abc import Callable
from typing import Any, TypeVar
from weakref import WeakSet

Lock = TypeVar("Lock")

_of_objects: WeakSet[Any] = WeakSet()


def shared_lock() -> threading.Lock:
    """Return a lock, for the whole program's life, that no other thread holds when the process
    forks: the child can take it, and finds nothing changed halfway.

    Locks that are taken within others must be made before them.
    """
    lock = threading.Lock()
    hold_while_forking(lock.acquire, lock.release)
    return lock


def hold_while_forking(acquire: Callable[[], object], release: Callable[[], object]) -> None:
    """Have every fork take a lock before and release it after, in the parent and in the child."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(before=acquire, after_in_parent=release, after_in_child=release)


def freed_in_child(lock: Lock) -> Lock:
    """Return a lock of an object, having made sure that in a child no other thread holds it.

    What it guards must be such that the next who takes it may find it changed halfway.
    """
    _of_objects.add(lock)
    return lock


def _free_locks() -> None:
    for lock in list(_of_objects):
        # The thread that forked goes on in the child, perhaps within a with-block.
        if not (hasattr(lock, "_is_owned") and lock._is_owned()):
            lock._at_fork_reinit()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_free_locks)
