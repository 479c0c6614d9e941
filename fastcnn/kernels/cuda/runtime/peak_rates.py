"""The card's own limits: multiply-adds that stay in registers, and a copy far beyond its caches."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import float32, int32, int64

from fastcnn.kernels.cuda.runtime.device import SIMULATED, cuda
from fastcnn.kernels.cuda.runtime.kernel import THREADS, Float, Floats, Int, elements, kernel
from fastcnn.kernels.cuda.runtime.memory_access import read_vector, write_vector

CHAINS = 8  # independent sums of a thread, so that no multiply-add waits for another
STEPS = 16  # of each of them between two looks at the loop's counter
ROUNDS = 512
# Of a multiprocessor: many times what it holds at once, so that the last ones to end cost little;
# some milliseconds in all.
BLOCKS = 64
COPIED = 1 << 30  # bytes of each of the two arrays of a copy
SHARE = 8  # of the card's memory that one of them takes at most
VECTOR = 4  # floats
AT_ONCE = 4  # vectors that a thread has on their way


@kernel(lambda count, values: (values["threads"] // THREADS, THREADS))
def multiply_adds(count: Int, y: Floats, threads: Int, rounds: Int, factor: Float):
    """y[i] = CHAINS sums of CHAINS * STEPS * rounds products in all, y float32[threads]."""
    i = int32(cuda.grid(1))
    a, b, c, d = float32(i), float32(i + 1), float32(i + 2), float32(i + 3)
    e, f, g, h = float32(i + 4), float32(i + 5), float32(i + 6), float32(i + 7)
    for _ in range(rounds):
        for _ in range(STEPS):
            a = a * factor + factor
            b = b * factor + factor
            c = c * factor + factor
            d = d * factor + factor
            e = e * factor + factor
            f = f * factor + factor
            g = g * factor + factor
            h = h * factor + factor
    y[i] = a + b + c + d + e + f + g + h


@kernel(elements("pieces"))
def copy(count: Int, x: Floats, y: Floats, pieces: Int):
    """y = x, of AT_ONCE vectors for each of the pieces, both 16-byte aligned."""
    stride = int64(pieces) * VECTOR
    for i in range(cuda.grid(1), pieces, cuda.gridsize(1)):
        at = int64(i) * VECTOR
        first = read_vector(x, at, 0)
        second = read_vector(x, at + stride, 0)
        third = read_vector(x, at + 2 * stride, 0)
        fourth = read_vector(x, at + 3 * stride, 0)
        write_vector(y, at, 0, first)
        write_vector(y, at + stride, 0, second)
        write_vector(y, at + 2 * stride, 0, third)
        write_vector(y, at + 3 * stride, 0, fourth)


class Timed:
    """A kernel's launch with the arrays that it needs; `timed` runs it once by events."""

    def __init__(self, kernel: Any, values: dict[str, Any], arrays: list[Any]):
        self._launch = kernel.compiled
        self._blocks, self._threads = kernel.launch(1, values)
        self._arguments = [np.int32(1), *arrays, *values.values()]
        self._events = cuda.event(), cuda.event()

    def enqueue(self) -> None:
        """Put a launch on the default stream, which all others wait for."""
        self._launch[self._blocks, self._threads](*self._arguments)

    def timed(self) -> float:
        """Launch once; return the seconds that it took."""
        start, end = self._events
        start.record()
        self.enqueue()
        end.record()
        end.synchronize()
        return 1e-3 * float(start.elapsed_time(end))


class Fma(Timed):
    """Multiply-adds of all threads that the card can hold."""

    def __init__(self) -> None:
        threads = THREADS if SIMULATED else multiprocessors() * BLOCKS * THREADS
        rounds = 1 if SIMULATED else ROUNDS
        values = {
            "threads": np.int32(threads),
            "rounds": np.int32(rounds),
            "factor": np.float32(0.5),
        }
        self.flops = 2 * CHAINS * STEPS * threads * rounds
        super().__init__(multiply_adds, values, [cuda.device_array(threads, np.float32)])


class Copy(Timed):
    """A copy of an array into another; `bytes` counts what is read and what is written."""

    def __init__(self, size: int = COPIED) -> None:
        _, total = cuda.current_context().get_memory_info()
        size = 1 << 12 if SIMULATED else int(min(size, total // SHARE))
        each = VECTOR * AT_ONCE
        floats = size // (4 * THREADS * each) * THREADS * each or THREADS
        self.bytes = 2 * 4 * floats
        x, y = (cuda.device_array(floats, np.float32) for _ in range(2))
        # Zeros are not what is copied in earnest.
        multiply_adds.compiled[floats // THREADS, THREADS](
            *(np.int32(1), x, np.int32(floats), np.int32(1), np.float32(0.5))
        )
        super().__init__(copy, {"pieces": np.int32(floats // each)}, [x, y])


def multiprocessors() -> int:
    """Return how many multiprocessors the card has."""
    return int(cuda.get_current_device().MULTIPROCESSOR_COUNT)
