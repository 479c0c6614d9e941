"""Strategies timed against each other on one convolution."""

from __future__ import annotations

import functools
import statistics
import time
from collections.abc import Callable
from typing import Protocol

import numpy as np

from fastcnn import strategies
from fastcnn.autotune.cpu_contention import CpuContention
from fastcnn.functional import Convolution
from fastcnn.graph.problem import Problem

MOST_WORKSPACE = 2 << 30  # bytes above which a strategy is not worth its memory,
SHARE = 8  # on a GPU the part of its memory
FAR, CLOSE = 3.0, 1.5  # times the best: what is slower leaves after the first round, and later
LONG = 0.02  # seconds of a call that another program's turn on the processor cannot explain
CLEAR = 1.1  # times the winner's time, from which nobody behind it can be as fast
SETTLED = 3  # rounds after which only close ones go on, and all may end
MOST_ROUNDS = 25
MOST_CALLS = 20  # in one round of one strategy,
PACE = 0.02  # within so many seconds
CLEARED = 512 << 20  # bytes: more than any GPU's caches, and the time of some launches

Pair = tuple[np.ndarray, np.ndarray]


class StrategyBenchmark:
    """One direction of a problem, computed by every strategy of a device that can, in turn.

    After `run`, `times` has each one's milliseconds, `left_out` the reason why one was not timed,
    and `disturbance` the share of the processors that other programs took; a GPU's own clock does
    not count what they do.
    """

    def __init__(
        self,
        direction: str,
        problem: Problem,
        images: int,
        device: str = "cpu",
        precision: str = "float32",
    ):
        self.direction, self.problem = direction, problem
        self.device, self.precision = device, precision
        automatic = [
            strategy for strategy in strategies.table(device).values() if strategy.automatic
        ]
        able = [strategy for strategy in automatic if strategy.declines(direction, problem) is None]
        # The likely winner first: the others are measured against it from the start.
        able.sort(key=lambda strategy: strategy.cost(direction, problem, images, precision))
        self.contenders = [strategy.name for strategy in able]
        self.left_out: dict[str, str] = {}
        self.disturbance = 0.0
        self.images = images
        self._seconds: dict[str, list[float]] = {name: [] for name in self.contenders}

    @property
    def times(self) -> dict[str, float]:
        """Milliseconds of a batch by strategy: the median of the rounds, each its fastest call.

        A call that shares the processor takes a multiple of itself; a place in memory that a
        strategy happens to like lasts for a round.
        """
        times = {name: seconds for name, seconds in self._seconds.items() if seconds}
        return {name: 1e3 * statistics.median(seconds) for name, seconds in times.items()}

    @property
    def certain(self) -> dict[str, float]:
        """The times that other programs cannot have put in this order: from the fastest on, of each
        that was faster than all behind it in every round that both took part in, and clearly so in
        all of them together. Turns of a round follow each other, so that both met the same others.
        """
        order = sorted(self.times, key=self.times.__getitem__)
        for place, name in enumerate(order):
            if not all(self._wins(name, other) for other in order[place + 1 :]):
                return {first: self.times[first] for first in order[:place]}
        return self.times

    def _wins(self, name: str, other: str) -> bool:
        rounds = list(zip(self._seconds[name], self._seconds[other], strict=False))
        clear = self.times[other] >= CLEAR * self.times[name]
        return clear and all(own < others for own, others in rounds)

    def run(self, seconds: float, stopped: Callable[[], bool]) -> bool:
        """Take turns for about so many seconds; False where it was stopped before."""
        operands = arrays(self.direction, self.problem, self.images)
        maker = Maker(self.direction, self.problem, operands, self.device, self.precision)
        for number in range(1, MOST_ROUNDS + 1):
            for name in list(self.contenders):
                if stopped():
                    return False
                self._turn(name, maker)
            self._thin_out(number >= SETTLED)
            if number == 1:
                # Until here code was compiled: that does not count.
                others, deadline = CpuContention(), time.perf_counter() + seconds
            late = number >= SETTLED and time.perf_counter() >= deadline
            if late or len(self.contenders) < 2:
                break
        self.disturbance = others.share if self.device == "cpu" else 0.0
        return True

    def _turn(self, name: str, maker: Maker) -> None:
        """Time some calls of a strategy."""
        try:
            convolution = maker.make(name)
            reason = too_large(convolution.workspace, self.device)
            if reason:
                self._leave_out(name, reason)
                return
            seconds = timed(convolution, self.device, MOST_CALLS, PACE)
        except MemoryError:
            self._leave_out(name, "there is not enough memory")
            return
        self._seconds[name].append(min(seconds))

    def _leave_out(self, name: str, reason: str) -> None:
        self.contenders.remove(name)
        self.left_out[name] = reason

    def _thin_out(self, settled: bool) -> None:
        """Drop who cannot win any more."""
        fastest = {name: min(self._seconds[name]) for name in self.contenders}
        best = min(fastest.values(), default=0.0)
        limit = CLOSE * best if settled else max(FAR * best, LONG)
        self.contenders = [name for name, seconds in fastest.items() if seconds <= limit]


class Maker:
    """Makes the convolutions of a benchmark.

    On the CPU each is there for its turn alone, so that only one at a time has its workspace. On a
    GPU they are kept as long as there is memory: to copy the arrays takes longer than a turn.
    """

    def __init__(
        self, direction: str, problem: Problem, operands: Pair, device: str, precision: str
    ):
        self._direction, self._problem, self._operands = direction, problem, operands
        self._device, self._precision = device, precision
        self._convolutions: dict[str, Convolution] = {}

    def make(self, name: str) -> Convolution:
        """Return the convolution by a strategy. MemoryError where there is not enough."""
        if name in self._convolutions:
            return self._convolutions[name]
        try:
            convolution = self._convolution(name)
        except MemoryError:
            if not self._convolutions:
                raise
            self._convolutions.clear()
            convolution = self._convolution(name)
        if self._device != "cpu":
            self._convolutions[name] = convolution
        return convolution

    def _convolution(self, name: str) -> Convolution:
        try:
            return Convolution(
                *(name, self._direction, self._problem, *self._operands),
                device=self._device,
                precision=self._precision,
            )
        except Exception as error:
            # The driver's own error, of a class that differs from one package to the next.
            if "OUT_OF_MEMORY" in str(error):
                raise MemoryError from error
            raise


def too_large(workspace: int, device: str) -> str | None:
    """Return why so many bytes of workspace are too many, or None."""
    if workspace <= (MOST_WORKSPACE if device == "cpu" else _memory() / SHARE):
        return None
    return f"it needs {workspace / (1 << 30):.1f} GiB of workspace"


class Timed(Protocol):
    """A call that measures itself."""

    def timed(self) -> float:
        """Make the call; return the seconds that it took."""


def timed(call: Timed, device: str, most: int, pace: float) -> list[float]:
    """Return seconds of some `timed` calls, after a first one in which code is compiled.

    On a GPU a large copy goes before each: while it runs the host puts the call's launches on the
    stream, so that its own time does not count, and after it no cache holds the call's arrays.
    """
    clear = _clearing() if device == "cuda" else None
    seconds_of(call)
    seconds: list[float] = []
    end = time.perf_counter() + pace
    while len(seconds) < most and (not seconds or time.perf_counter() < end):
        if clear is not None:
            clear()
        seconds.append(seconds_of(call))
    return seconds


def seconds_of(call: Timed) -> float:
    """Return the seconds of one `timed` call; of the simulator's, whose clock stands still, those
    that passed."""
    start = time.perf_counter()
    seconds: float = call.timed()
    return seconds if seconds > 0 else time.perf_counter() - start


@functools.cache
def _clearing() -> Callable[[], None]:
    from fastcnn.kernels.cuda.runtime.peak_rates import Copy

    return Copy(CLEARED).enqueue


def _memory() -> float:
    """Return the bytes of the GPU's memory; infinite in the simulator."""
    from fastcnn.kernels.cuda.runtime.device import cuda

    total: float = cuda.current_context().get_memory_info()[1]
    return total


def arrays(direction: str, problem: Problem, images: int) -> Pair:
    """Return the two arrays of a `Convolution`, full of normally distributed numbers."""
    image = (images, problem.height, problem.width, problem.channels)
    output = (images, problem.out_height, problem.out_width, problem.filters)
    kernel = (*problem.kernel, problem.channels_per_group, problem.filters)
    first = output if direction == "dx" else image
    second = output if direction == "dw" else kernel
    numbers = np.random.default_rng(0).standard_normal(4093, np.float32)
    # Drawing hundreds of millions would take longer than the benchmark.
    return np.resize(numbers, first), np.resize(numbers, second)
