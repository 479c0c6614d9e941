"""How much of the machine other programs took while the competitors ran."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from pathlib import Path


class CpuContention:
    """Processor time that went to others; nothing is known of it outside Linux."""

    def __init__(self) -> None:
        self.others = 0.0
        self.available = 0.0

    def start(self, processes: Iterable[int]) -> None:
        """Begins a stretch in which these processes, and this one, are the only ones expected."""
        self._processes = [*processes, os.getpid()]
        self._begun = self._now()

    def stop(self) -> None:
        """Ends the stretch."""
        busy, own, clock = (
            after - before for after, before in zip(self._now(), self._begun, strict=True)
        )
        self.others += max(0.0, busy - own)
        self.available += clock * (os.cpu_count() or 1)

    @property
    def share(self) -> float | None:
        """The share of all processor time that others took."""
        return self.others / self.available if self.others else None

    def _now(self) -> tuple[float, float, float]:
        """Seconds that the machine was busy, seconds of the processes, and the clock."""
        try:
            ticks = os.sysconf("SC_CLK_TCK")
            fields = Path("/proc/stat").read_text(encoding="ascii").split("\n", 1)[0].split()
            user, nice, system, _, _, interrupts, soft, stolen = map(int, fields[1:9])
            busy = (user + nice + system + interrupts + soft + stolen) / ticks
            own = sum(_ticks(process) for process in self._processes) / ticks
        except (OSError, ValueError, AttributeError):
            return 0.0, 0.0, time.monotonic()
        return busy, own, time.monotonic()


def _ticks(process: int) -> int:
    """User and system time of a process, from behind its name in parentheses."""
    text = Path(f"/proc/{process}/stat").read_text(encoding="ascii", errors="replace")
    fields = text.rsplit(")", 1)[1].split()
    return int(fields[11]) + int(fields[12])
