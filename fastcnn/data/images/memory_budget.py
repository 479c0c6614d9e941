"""The memory of all threads that decode pictures at the same time, shared among them."""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from fastcnn.utils import system


class Budget:
    """An amount of which threads take parts, and wait where not enough is left.

    Who wants more than there is gets it while nobody else has any.

    Args:
        limit: The amount.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._reserved = 0
        self._changed = threading.Condition()

    @contextmanager
    def reserved(self, amount: int) -> Iterator[None]:
        """Take a part of the amount, given back at the end.

        Args:
            amount: How much.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._fits(amount))
            self._reserved += amount
        try:
            yield
        finally:
            with self._changed:
                self._reserved -= amount
                self._changed.notify_all()

    def _fits(self, amount: int) -> bool:
        return not self._reserved or self._reserved + amount <= self.limit


@functools.cache
def decoding() -> Budget:
    """Return the bytes that pictures may take together while they are decoded.

    A quarter of the memory that is free when the first one is.
    """
    return Budget(int(system.SHARE * system.available_memory()))


if hasattr(os, "register_at_fork"):
    # The threads that hold parts of it are not in the child, and would never give them back.
    os.register_at_fork(after_in_child=decoding.cache_clear)
