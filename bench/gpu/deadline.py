"""The time that a run may take, and whether another piece of work still fits."""

from __future__ import annotations

import time


class Clock:
    """Begins with its making; `limit` seconds in all, shared out from `share_out` on."""

    def __init__(self, limit: float):
        self._begun = time.perf_counter()
        self._limit = limit
        self._used = 0.0  # before it was shared out

    @property
    def seconds(self) -> float:
        """How long it has been."""
        return time.perf_counter() - self._begun

    def share_out(self) -> None:
        """Let shares be of the time that is left from now on."""
        self._used = self.seconds

    def past(self, share: float) -> bool:
        """Whether a share of the time has passed."""
        return self.seconds >= self._used + share * (self._limit - self._used)
