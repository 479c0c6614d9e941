"""A clock that only convolutions move on: tests of timings that do not depend on the machine."""

from __future__ import annotations

import signal
from collections import Counter

from fastcnn.autotune import benchmark
from fastcnn.graph.problem import Problem
from fastcnn.strategies import STRATEGIES

NAMES = ("direct", "winograd", "winograd-2x2")
PROBLEM = Problem(12, 12, 8, 8, (3, 3))  # which all of them can do


class CallTimer:
    """A clock that only convolutions move on, and a Convolution that takes what it is told to."""

    def __init__(self) -> None:
        self.now = 0.0
        self.turns: list[str] = []  # whose turn it was, in order
        self.calls: Counter = Counter()
        self.seconds = dict.fromkeys(NAMES, 1e-3)
        self.workspace: dict[str, int] = {}  # bytes
        self.beyond_memory: set[str] = set()
        self.disturbance = 0.0
        self.on_call = lambda name: None

    def interrupt(self) -> None:
        """Press Ctrl-C, once."""
        self.on_call = lambda name: None
        signal.raise_signal(signal.SIGINT)

    def perf_counter(self) -> float:
        return self.now

    def convolution(self, name, direction, problem, first, second, device, precision):
        if name in self.beyond_memory:
            raise MemoryError
        self.turns.append(name)
        return Fake(self, name)


class Fake:
    def __init__(self, watch: CallTimer, name: str) -> None:
        self.watch, self.name = watch, name
        self.workspace = watch.workspace.get(name, 0)

    def timed(self) -> float:
        self.watch.calls[self.name] += 1
        seconds = self.watch.seconds[self.name]
        self.watch.now += seconds
        self.watch.on_call(self.name)
        return seconds


def installed(monkeypatch) -> CallTimer:
    """A stopwatch in place of clock, convolutions and other programs; NAMES alone can be chosen."""
    for name in set(STRATEGIES) - set(NAMES):
        monkeypatch.delitem(STRATEGIES, name)
    timer = CallTimer()
    monkeypatch.setattr(benchmark, "time", timer)
    monkeypatch.setattr(benchmark, "Convolution", timer.convolution)
    share = property(lambda self: timer.disturbance)
    monkeypatch.setattr(benchmark, "CpuContention", type("Disturbance", (), {"share": share}))
    return timer
