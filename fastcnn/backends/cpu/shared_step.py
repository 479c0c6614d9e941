"""What a rank does between the phases of a schedule."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Step:
    """What a rank does before the phase of an index; what `begins` something, after what ends."""

    phase: int
    begins: bool
    run: Callable[[], None]


def in_between(
    begin: int, phase: int, start: Callable[[], None], complete: Callable[[], None]
) -> list[Step]:
    """Return the steps of an exchange that is under way from one phase to another one."""
    if begin < phase:
        return [Step(begin, True, start), Step(phase, False, complete)]

    def run() -> None:
        start()
        complete()

    return [Step(phase, True, run)]
