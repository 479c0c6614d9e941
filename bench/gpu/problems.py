"""The convolutions of published networks beside cuDNN, with the card's ceilings in the same run."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import replace

from fastcnn.lab.measure import runner
from fastcnn.lab.measure.peer import Peer, PeerError
from fastcnn.lab.measure.problem_run import Task
from fastcnn.lab.problems import sets
from fastcnn.lab.results import Ceilings, NamedProblem, Report
from fastcnn.strategies import AUTO, DIRECTIONS, table
from gpu import cases
from gpu.scale import Scale


def reports(scale: Scale, python: str | None, past: Callable[[], bool]) -> Iterable[Report]:
    """Yield the report of a precision, longer by a problem each time, until the time is past."""
    by_precision: dict[str, Report] = {}
    with ExitStack() as stack:
        peers = {
            precision: stack.enter_context(_Peer(python, precision, scale.tiny))
            for precision in scale.timed
        }
        for name in scale.sets:
            for precision, peer in peers.items():
                for problem in sets.named(name, scale.batch):
                    if past():
                        return
                    print(f"{problem.title}, {precision} ...", file=sys.stderr)
                    report = _measured(scale, problem, precision, peer, past)
                    by_precision[precision] = _joined(by_precision.get(precision), report)
                    yield by_precision[precision]


def _measured(
    scale: Scale, problem: NamedProblem, precision: str, peer: Peer | None, past: Callable[[], bool]
) -> Report:
    names = [strategy for strategy in table("cuda") if not (scale.tiny and strategy in cases.SLOW)]
    asked = tuple(names) if scale.tiny else (*names, AUTO)
    tasks = [Task(problem, direction, asked) for direction in DIRECTIONS]
    return runner.measure(tasks, scale.repeat, peer, _quietly, "cuda", precision, past)


def _quietly(done: int, now: str) -> None:
    """Show nothing."""


def _joined(first: Report | None, second: Report) -> Report:
    """Return the report of both, with the best of the ceilings."""
    if first is None:
        return second
    best = Ceilings(
        None,
        max(first.ceilings.fma_gflops, second.ceilings.fma_gflops),
        max(first.ceilings.copy_gbytes, second.ceilings.copy_gbytes),
    )
    return replace(
        first,
        ceilings=best,
        results=[*first.results, *second.results],
        choices=[*first.choices, *second.choices],
        seconds=first.seconds + second.seconds,
        interrupted=second.interrupted,
    )


class _Peer:
    """cuDNN by way of PyTorch, or None with a line on stderr where it cannot be had."""

    def __init__(self, python: str | None, precision: str, simulated: bool):
        device = "cpu" if simulated else "cuda"
        self._running: Peer | None = None
        try:
            name = python or os.environ.get("FASTCNN_PEER_PYTHON")
            self._running = Peer("torch", name, device, precision)
        except PeerError as error:
            print(f"cuDNN is not compared with: {error}", file=sys.stderr)

    def __enter__(self) -> Peer | None:
        return self._running

    def __exit__(self, *error: object) -> None:
        if self._running is not None:
            self._running.close()
