"""Strategies and a peer on problems: checked, then timed in turn, beside the machine's ceilings."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Sequence
from importlib import metadata
from typing import Any

from fastcnn.kernels.cpu.simd import vector_unit
from fastcnn.lab.measure import gpu_ceilings
from fastcnn.lab.measure.ceilings import Sampler
from fastcnn.lab.measure.peer import Peer
from fastcnn.lab.measure.problem_run import ProblemRun, Task
from fastcnn.lab.results import NamedProblem, Report
from fastcnn.utils import system
from fastcnn.utils.interrupt import Interrupt
from fastcnn.utils.threads import num_threads

Show = Callable[[int, str], None]  # tasks done, what runs now

REPEAT = 5


def measure(
    tasks: Sequence[Task],
    repeat: int = REPEAT,
    peer: Peer | None = None,
    show: Show = lambda done, now: None,
    device: str = "cpu",
    precision: str = "float32",
    past: Callable[[], bool] = lambda: False,
) -> Report:
    """Check and time every strategy of every task, in `repeat` rounds, and the peer beside them.

    Ctrl-C ends it, and so does a time that is `past`; the report then has what was measured until
    there.
    """
    start = time.perf_counter()
    sampler = Sampler() if device == "cpu" else gpu_ceilings.CardSampler()
    runs: list[ProblemRun] = []
    before: NamedProblem | None = None
    with Interrupt() as interrupt:

        def stopped() -> bool:
            return interrupt.requested or past()

        for number, task in enumerate(tasks):
            if task.problem != before:
                show(number, "ceilings")
                sampler.sample()
                before = task.problem
            if stopped():
                break
            run = ProblemRun(task, peer, device, precision)
            runs.append(run)
            run.run(repeat, stopped, _shown(show, number, task))
        interrupted = stopped()
    ceilings = sampler.ceilings
    return Report(
        machine=described(peer, device, precision),
        ceilings=ceilings,
        results=[result for run in runs for result in run.results(ceilings)],
        choices=[run.choice for run in runs if run.choice is not None],
        peer=peer.name if peer else None,
        repeat=repeat,
        seconds=time.perf_counter() - start,
        disturbance=_mean([run.disturbance for run in runs]),
        interrupted=interrupted,
    )


def _shown(show: Show, number: int, task: Task) -> Callable[[str], None]:
    title = f"{task.problem.title} {task.direction}"
    return lambda what: show(number, f"{title}: {what}")


def _mean(shares: list[tuple[float, float]]) -> float:
    """Return the mean of shares of stretches of time, given with their seconds."""
    total = sum(seconds for _, seconds in shares)
    return sum(share * seconds for share, seconds in shares) / total if total else 0.0


def described(
    peer: Peer | None = None, device: str = "cpu", precision: str = "float32"
) -> dict[str, Any]:
    """Return what a report says of the machine, as plain data; of a GPU's, see `gpu_ceilings`."""
    import fastcnn

    versions = {"fastcnn": fastcnn.__version__, "python": platform.python_version()}
    versions |= {package: metadata.version(package) for package in ("numpy", "numba")}
    if peer is not None:
        versions |= {name: version for name, version in peer.versions.items() if name != "python"}
    facts = {
        "processor": system.processor(),
        "system": platform.platform(),
        "cores": os.cpu_count(),
        "threads": num_threads(),
        "vector_bits": 32 * vector_unit.LANES,
        "versions": versions,
        "device": device,
        "precision": precision,
    }
    return facts if device == "cpu" else {**facts, "threads": 1, "card": gpu_ceilings.described()}
