"""Strategies timed against each other on one convolution."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import numpy as np

from fastcnn.convolutions import Convolution
from fastcnn.disturbance import Disturbance
from fastcnn.problem import Problem
from fastcnn.strategies import STRATEGIES

MOST_WORKSPACE = 2 << 30  # bytes above which a strategy is not worth its memory
FAR, CLOSE = 3.0, 1.5  # times the best: what is slower leaves after the first round, and later
LONG = 0.02  # seconds of a call that another program's turn on the processor cannot explain
SETTLED = 3  # rounds after which only close ones go on, and all may end
MOST_ROUNDS = 25
MOST_CALLS = 20  # in one round of one strategy,
PACE = 0.02  # within so many seconds


class Contest:
    """One direction of a problem, computed by every strategy that can, in turn.

    After `run`, `times` has each one's milliseconds, `left_out` the reason why one was not timed,
    and `disturbance` the share of the processors that other programs took.
    """

    def __init__(self, direction: str, problem: Problem, images: int):
        self.direction, self.problem = direction, problem
        able = [one for one in STRATEGIES.values() if one.declines(direction, problem) is None]
        # The likely winner first: the others are measured against it from the start.
        able.sort(key=lambda one: one.cycles(direction, problem, images))
        self.contenders = [one.name for one in able]
        self.left_out: dict[str, str] = {}
        self.disturbance = 0.0
        self._images = images
        self._seconds: dict[str, list[float]] = {name: [] for name in self.contenders}

    @property
    def times(self) -> dict[str, float]:
        """Milliseconds of a batch by strategy: the median of the rounds, each its fastest call.

        A call that shares the processor takes a multiple of itself; a place in memory that a
        strategy happens to like lasts for a round.
        """
        found = {name: seconds for name, seconds in self._seconds.items() if seconds}
        return {name: 1e3 * statistics.median(seconds) for name, seconds in found.items()}

    def run(self, seconds: float, stopped: Callable[[], bool]) -> bool:
        """Take turns for about so many seconds; False where it was stopped before."""
        given = arrays(self.direction, self.problem, self._images)
        for number in range(1, MOST_ROUNDS + 1):
            for name in list(self.contenders):
                if stopped():
                    return False
                self._turn(name, given)
            self._thin_out(number >= SETTLED)
            if number == 1:
                # Until here code was compiled: that does not count.
                others, deadline = Disturbance(), time.perf_counter() + seconds
            late = number >= SETTLED and time.perf_counter() >= deadline
            if late or len(self.contenders) < 2:
                break
        self.disturbance = others.share
        return True

    def _turn(self, name: str, given: tuple[np.ndarray, np.ndarray]) -> None:
        """Time some calls of a strategy. Only one at a time has its workspace."""
        try:
            convolution = Convolution(name, self.direction, self.problem, *given)
            if convolution.workspace > MOST_WORKSPACE:
                need = convolution.workspace / (1 << 30)
                self._leave_out(name, f"it needs {need:.1f} GiB of workspace")
                return
            convolution()
        except MemoryError:
            self._leave_out(name, "there is not enough memory")
            return
        taken = []
        end = time.perf_counter() + PACE
        for _ in range(MOST_CALLS):
            start = time.perf_counter()
            convolution()
            stop = time.perf_counter()
            taken.append(stop - start)
            if stop >= end:
                break
        self._seconds[name].append(min(taken))

    def _leave_out(self, name: str, reason: str) -> None:
        self.contenders.remove(name)
        self.left_out[name] = reason

    def _thin_out(self, settled: bool) -> None:
        """Drop who cannot win any more."""
        fastest = {name: min(self._seconds[name]) for name in self.contenders}
        best = min(fastest.values(), default=0.0)
        limit = CLOSE * best if settled else max(FAR * best, LONG)
        self.contenders = [name for name, seconds in fastest.items() if seconds <= limit]


def arrays(direction: str, problem: Problem, images: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the two arrays of a `Convolution`, full of normally distributed numbers."""
    image = (images, problem.height, problem.width, problem.channels)
    output = (images, problem.out_height, problem.out_width, problem.filters)
    kernel = (*problem.kernel, problem.channels_per_group, problem.filters)
    first = output if direction == "dx" else image
    second = output if direction == "dw" else kernel
    numbers = np.random.default_rng(0).standard_normal(4093, np.float32)
    # Drawing hundreds of millions would take longer than the contest.
    return np.resize(numbers, first), np.resize(numbers, second)
