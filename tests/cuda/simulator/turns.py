"""The simulator's threads take turns: each runs alone until it ends or waits at a barrier.

Numba starts all threads of a block at once and asks them over and over whether they wait, which
takes most of the time. Here a thread hands over to the next one. Who comes when differs from
barrier to barrier, but not from run to run, so that a barrier that is missing is noticed.
"""

from __future__ import annotations

import random
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import numpy as np
from numba import cuda
from numba.cuda import types
from numba.cuda.simulator import api, kernel, kernelapi
from numba.cuda.simulator.cudadrv.devicearray import FakeCUDAArray


class Turn(kernel.BlockThread):
    """A thread that says when it stops running, at a barrier or at its end."""

    def run(self) -> None:
        super().run()
        self.syncthreads_blocked = False
        self._manager.stopped.release()

    def run_through(self) -> None:
        """Run in the caller's own thread, where another of the block has met no barrier."""
        self.syncthreads = _refuse
        super().run()

    def syncthreads(self) -> None:
        self.syncthreads_blocked = True
        self._manager.stopped.release()
        self.syncthreads_event.wait()
        self.syncthreads_event.clear()
        if self.abort:
            raise RuntimeError("another thread of the block failed")


def _refuse() -> None:
    raise RuntimeError("a thread waits at a barrier that another one of its block does not reach")


class Turns(kernel.BlockManager):
    """Runs the threads of a block, one at a time; those of a kernel without a barrier without a
    change of threads, which takes longer than most of them."""

    turn: Turn  # the one that runs

    def __init__(self, *arguments: Any):
        super().__init__(*arguments)
        self.stopped = threading.Semaphore(0)
        self._order = random.Random(0)

    def run(self, grid_point: tuple[int, ...], *arguments: Any) -> None:
        threads = [
            Turn(lambda: self._f(*arguments), self, grid_point, point, self._debug)
            for point in np.ndindex(*self._block_dim)
        ]
        self._order.shuffle(threads)
        first, *others = threads
        self._go_on(Turn.start, first, threads)
        if first.syncthreads_blocked:
            for thread in others:
                self._go_on(Turn.start, thread, threads)
            self._from_barrier_to_barrier(threads)
        else:
            for thread in others:
                Turns.turn = thread
                thread.run_through()
                _raise_of(thread)

    def _from_barrier_to_barrier(self, threads: list[Turn]) -> None:
        while running := [thread for thread in threads if thread.syncthreads_blocked]:
            self._order.shuffle(running)
            for thread in running:
                self._go_on(_resume, thread, threads)

    def _go_on(self, start: Callable[[Turn], None], thread: Turn, threads: list[Turn]) -> None:
        """Let a thread run to its next barrier, or to its end."""
        Turns.turn = thread
        start(thread)
        self.stopped.acquire()
        if thread.exception:
            self._abort(threads)
            _raise_of(thread)

    def _abort(self, threads: list[Turn]) -> None:
        """End those that wait at a barrier."""
        for thread in threads:
            if thread.syncthreads_blocked:
                thread.abort = True
                Turns.turn = thread
                _resume(thread)
                thread.join()


def _resume(thread: Turn) -> None:
    thread.syncthreads_blocked = False
    thread.syncthreads_event.set()


def _raise_of(thread: Turn) -> None:
    if thread.exception:
        raise thread.exception[0].with_traceback(thread.exception[1])


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
    kernelapi.FakeCUDAShared.array = shared_array
    kernelapi.threading = SimpleNamespace(current_thread=lambda: Turns.turn)
