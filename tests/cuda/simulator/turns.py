"""The simulator's threads take turns: each runs alone until it ends or waits at a barrier.

Numba starts all threads of a block at once and asks them over and over whether they wait, which
takes most of the time. Here a thread hands over to the next one. Who comes when differs from
barrier to barrier, but not from run to run, so that a barrier that is missing is noticed.
"""

from __future__ import annotations

import _thread
import functools
import random
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
from numba import cuda
from numba.cuda import types
from numba.cuda.simulator import api, kernel, kernelapi
from numba.cuda.simulator.cudadrv.devicearray import FakeCUDAArray
from numba.cuda.simulator.kernelapi import Dim3


class Turn:
    """What a thread of a block runs, and what the simulated module of CUDA asks of the thread."""

    host: Host | None = None  # which runs it, once it has begun

    def __init__(self, block: Turns, block_index: Dim3, thread_index: Dim3):
        self._block = block
        self.blockIdx = block_index
        self.threadIdx = thread_index

    def run(self) -> None:
        Turns.turn = self
        try:
            self._block.call()
        except Exception as error:
            self._block.fail(self, error)

    def syncthreads(self) -> None:
        self._block.wait(self)
        Turns.turn = self


class Host:
    """A thread of the system that runs turns, and waits where one of them does."""

    resting: ClassVar[list[Host]] = []  # they wait for a block

    def __init__(self) -> None:
        self._may_run = _thread.allocate_lock()
        self._may_run.acquire()

    @classmethod
    def begin(cls, block: Turns) -> None:
        """Have the next turns of a block run by a host that rests, or by a new one."""
        if not cls.resting:
            host = cls()
            _thread.start_new_thread(host._serve, ())
            cls.resting.append(host)
        host = cls.resting.pop()
        host._block = block
        host.wake()

    def wake(self) -> None:
        self._may_run.release()

    def wait(self) -> None:
        self._may_run.acquire()

    def _serve(self) -> None:
        while True:
            self.wait()
            go_on = self._block.run_turns(self)
            self.resting.append(self)
            go_on()


class Turns(kernel.BlockManager):
    """Runs the threads of a block, one at a time: in a kernel without a barrier without a change of
    the system's threads, which takes longer than most of them."""

    turn: Turn  # the one that runs

    def __init__(self, *arguments: Any):
        super().__init__(*arguments)
        self._order = random.Random(0)
        self._waiting: list[Turn] = []  # at a barrier
        self._has_barriers: bool | None = None  # known when a turn waits or ends
        self._error: Exception | None = None
        self._ended = _thread.allocate_lock()
        self._ended.acquire()

    def run(self, grid_point: tuple[int, ...], *arguments: Any) -> None:
        self.call = functools.partial(self._f, *arguments)
        block_index = Dim3(*grid_point)
        self._round = [Turn(self, block_index, point) for point in points(self._block_dim)]
        self._order.shuffle(self._round)
        Host.begin(self)
        self._ended.acquire()
        if self._error is not None:
            raise self._error

    def run_turns(self, host: Host) -> Callable[[], None]:
        """Run turns from their beginning to their end until one follows that waits in another host,
        or none; return what lets that host go on, or the launch."""
        while (turn := self._next()) is not None:
            if turn.host is not None:
                return turn.host.wake
            turn.host = host
            if self._error is None:
                turn.run()
                self._has_barriers = bool(self._has_barriers)
        return self._ended.release

    def wait(self, turn: Turn) -> None:
        """Let all other threads run to the barrier, or to their ends."""
        if self._has_barriers is False:
            raise RuntimeError(
                "a thread waits at a barrier that another one of its block does not reach"
            )
        self._has_barriers = True
        self._waiting.append(turn)
        following = self._next()
        if following is not turn:
            if following.host is None:
                self._round.append(following)
                Host.begin(self)
            else:
                following.host.wake()
            turn.host.wait()
        if self._error is not None:
            raise RuntimeError("another thread of the block failed")

    def fail(self, turn: Turn, error: Exception) -> None:
        """Keep the first error, which ends all threads."""
        if self._error is None:
            place = f"tid={list(turn.threadIdx)} ctaid={list(turn.blockIdx)}"
            self._error = type(error)(f"{place}: {error}").with_traceback(error.__traceback__)

    def _next(self) -> Turn | None:
        """Take the turn that comes next, of those that wait when all others have run."""
        if not self._round:
            self._round, self._waiting = self._waiting, []
            self._order.shuffle(self._round)
        return self._round.pop() if self._round else None


@functools.cache
def points(shape: tuple[int, ...]) -> list[Dim3]:
    """The indices of a block's threads."""
    return [Dim3(*point) for point in np.ndindex(*shape)]


class Call(kernel.FakeCUDAKernel):
    """A call of a kernel or of a device function, which most often changes no module's names."""

    def __call__(self, *arguments: Any) -> Any:
        swapped = getattr(kernel._kernel_context, "swapped", ())
        if id(self.fn.__globals__) in swapped:
            return self.fn(*arguments)
        return super().__call__(*arguments)


def shared_array(self: Any, shape: Any, dtype: Any, alignment: Any = None) -> np.ndarray:
    """The array of shared memory that a line of code makes, as Numba's own, which reads the source
    of the whole stack to find that line."""
    if alignment is not None or shape == 0:
        raise RuntimeError("neither alignment nor dynamic memory is simulated")
    frame = sys._getframe(1)
    line = frame.f_code.co_filename, frame.f_lineno
    if line not in self._allocations:
        if isinstance(dtype, types.Type):
            dtype = kernelapi.numpy_support.as_dtype(dtype)
        self._allocations[line] = np.empty(shape, dtype)
    return self._allocations[line]


def number(self: types.Number, *arguments: Any) -> Any:
    """The number of NumPy's type that `numba.float32(x)` stands for in a kernel, made without the
    imports and questions that a type asks each time."""
    if len(arguments) != 1 or not isinstance(arguments[0], (int, float, np.generic)):
        return types.Type.__call__(self, *arguments)
    return self.cast_python_value(arguments[0])


def numpy_array(array: FakeCUDAArray) -> np.ndarray:
    """What a kernel indexes: NumPy's array by itself, not in two wrappers that let an array of
    records be one, which no kernel here has."""
    return array._ary


@contextmanager
def swapped_module(function: Callable, simulated: Any) -> Iterator[None]:
    """Put the simulated module of CUDA in place of the real one, where a function looks for names.

    Numba counts the calls of device functions, under a lock, to put it back when none is left.
    Here that is done at the end of a launch, which is that of the outermost function.
    """
    outermost = not hasattr(simulated, "swapped")
    if outermost:
        simulated.swapped = {}
    names = function.__globals__
    if id(names) not in simulated.swapped:
        real = {name: value for name, value in names.items() if value is cuda}
        simulated.swapped[id(names)] = names, real
        names.update(dict.fromkeys(real, simulated))
    try:
        yield
    finally:
        if outermost:
            for names, real in simulated.swapped.values():
                names.update(real)


def take_turns() -> None:
    """Have the simulator run threads so, and spend less on each of them."""
    kernel.BlockManager = Turns
    kernel.swapped_cuda_module = swapped_module
    kernel.FakeWithinKernelCUDAArray = numpy_array
    api.FakeCUDAKernel = Call
    types.Number.__call__ = number
    kernelapi.FakeCUDAShared.array = shared_array
    kernelapi.threading = SimpleNamespace(current_thread=lambda: Turns.turn)
