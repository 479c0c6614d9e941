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
from typing import Any

import numpy as np
from numba import cuda
from numba.cuda import types
from numba.cuda.simulator import kernel, kernelapi


class Turn(kernel.BlockThread):
    """A thread that says when it stops running, at a barrier or at its end."""

    def run(self) -> None:
        super().run()
        self.syncthreads_blocked = False
        self._manager.stopped.release()

    def syncthreads(self) -> None:
        self.syncthreads_blocked = True
        self._manager.stopped.release()
        self.syncthreads_event.wait()
        self.syncthreads_event.clear()
        if self.abort:
            raise RuntimeError("another thread of the block failed")


class Turns(kernel.BlockManager):
    """Runs the threads of a block, one at a time."""

    def __init__(self, *arguments: Any):
        super().__init__(*arguments)
        self.stopped = threading.Semaphore(0)
        self._order = random.Random(0)

    def run(self, grid_point: tuple[int, ...], *arguments: Any) -> None:
        running = [
            Turn(lambda: self._f(*arguments), self, grid_point, point, self._debug)
            for point in np.ndindex(*self._block_dim)
        ]
        go_on = Turn.start
        while running:
            self._order.shuffle(running)
            for thread in running:
                go_on(thread)
                self.stopped.acquire()
                if thread.exception:
                    self._abort(running)
                    raise thread.exception[0].with_traceback(thread.exception[1])
            running = [thread for thread in running if thread.syncthreads_blocked]
            go_on = _resume

    def _abort(self, threads: list[Turn]) -> None:
        """End those that wait at a barrier."""
        for thread in threads:
            if thread.syncthreads_blocked:
                thread.abort = True
                _resume(thread)
                thread.join()


def _resume(thread: Turn) -> None:
    thread.syncthreads_blocked = False
    thread.syncthreads_event.set()


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
    kernelapi.FakeCUDAShared.array = shared_array
