"""Strategies and a peer on problems: checked, then timed in turn, beside the machine's ceilings."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Sequence
from importlib import metadata
from typing import Any

from fastcnn import machine
from fastcnn.interrupt import Interrupt
from fastcnn.kernels.cpu import simd
from fastcnn.lab.bout import Bout, Task
from fastcnn.lab.ceilings import Sampler
from fastcnn.lab.peer import Peer
from fastcnn.lab.results import NamedProblem, Report
from fastcnn.threads import num_threads

Show = Callable[[int, str], None]  # tasks done, what runs now

REPEAT = 5


def measure(
    tasks: Sequence[Task],
    repeat: int = REPEAT,
    peer: Peer | None = None,
    show: Show = lambda done, now: None,
) -> Report:
    """Check and time every strategy of every task, in `repeat` rounds, and the peer beside them.

    Ctrl-C ends it; the report then has what was measured until there.
    """
    start = time.perf_counter()
    sampler = Sampler()
    bouts: list[Bout] = []
    before: NamedProblem | None = None
    with Interrupt() as interrupt:
        for number, task in enumerate(tasks):
            if task.problem != before:
                show(number, "ceilings")
                sampler.sample()
                before = task.problem
            if interrupt.requested:
                break
            bout = Bout(task, peer)
            bouts.append(bout)
            bout.run(repeat, lambda: interrupt.requested, _shown(show, number, task))
        interrupted = interrupt.requested
    ceilings = sampler.ceilings
    return Report(
        machine=described(peer),
        ceilings=ceilings,
        results=[result for bout in bouts for result in bout.results(ceilings)],
        choices=[bout.choice for bout in bouts if bout.choice is not None],
        peer=peer.name if peer else None,
        repeat=repeat,
        seconds=time.perf_counter() - start,
        disturbance=_mean([bout.disturbance for bout in bouts]),
        interrupted=interrupted,
    )


def _shown(show: Show, number: int, task: Task) -> Callable[[str], None]:
    title = f"{task.problem.title} {task.direction}"
    return lambda what: show(number, f"{title}: {what}")


def _mean(shares: list[tuple[float, float]]) -> float:
    """Return the mean of shares of stretches of time, given with their seconds."""
    total = sum(seconds for _, seconds in shares)
    return sum(share * seconds for share, seconds in shares) / total if total else 0.0


def described(peer: Peer | None = None) -> dict[str, Any]:
    """Return what a report says of the machine, as plain data."""
    import fastcnn

    versions = {"fastcnn": fastcnn.__version__, "python": platform.python_version()}
    versions |= {package: metadata.version(package) for package in ("numpy", "numba")}
    if peer is not None:
        versions[peer.name] = peer.versions[peer.name]
    return {
        "processor": machine.processor(),
        "system": platform.platform(),
        "cores": os.cpu_count(),
        "threads": num_threads(),
        "vector_bits": 32 * simd.LANES,
        "versions": versions,
    }
