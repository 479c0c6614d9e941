"""What other programs took of the processors while something was timed."""

from __future__ import annotations

import os
import time
from pathlib import Path

from fastcnn.utils.threads import num_threads

SYSTEM_TIMES = Path("/proc/stat")


class CpuContention:
    """Begins with its making."""

    def __init__(self) -> None:
        self._begun = self._now()

    @property
    def share(self) -> float:
        """The part that others took, from 0 to 1, of the processors that our threads could have
        had until now; 0 where the system does not tell."""
        busy, own, clock = (
            after - before for after, before in zip(self._now(), self._begun, strict=True)
        )
        threads = num_threads()
        # What others do on processors that we leave idle does not disturb.
        idle = max(0, (os.cpu_count() or 1) - threads) * clock
        return min(1.0, max(0.0, busy - own - idle) / max(threads * clock, 1e-9))

    def _now(self) -> tuple[float, float, float]:
        """Seconds that all processors were busy, those of this process, and the clock."""
        return _busy_seconds(), time.process_time(), time.perf_counter()


def _busy_seconds() -> float:
    try:
        fields = SYSTEM_TIMES.read_text(encoding="ascii").split("\n", 1)[0].split()
        user, nice, system, _, _, interrupts, soft, stolen = map(int, fields[1:9])
        return (user + nice + system + interrupts + soft + stolen) / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, AttributeError):
        return 0.0
