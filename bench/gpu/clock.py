"""The time that a run may take, and whether another piece of work still fits."""

from __future__ import annotations

import time


class Clock:
    """Begins with its making; `limit` seconds in all."""

    def __init__(self, limit: float):
        self._begun = time.perf_counter()
        self._limit = limit

    @property
    def seconds(self) -> float:
        """How long it has been."""
        return time.perf_counter() - self._begun

    def past(self, share: float) -> bool:
        """Whether a share of the limit has passed."""
        return self.seconds >= share * self._limit
