"""Rows with a block of threads each: code written for one thread a row, shared by a team.

`fastcnn.kernels.shared.row` says which functions such code is written with. A thread has every
ROW_THREADS-th element; what the threads find goes through shared memory, in trees whose order never
changes.
"""

from __future__ import annotations

from collections.abc import Callable
from types import FunctionType
from typing import Any

import numpy as np

from fastcnn.kernels.cuda.runtime.device import SIMULATED, cuda
from fastcnn.kernels.cuda.runtime.kernel import MOST_BLOCKS, inline
from fastcnn.kernels.cuda.runtime.reduction import largest, sum_rows

f32 = np.float32

ROW_THREADS = 128 if not SIMULATED else 8  # a power of two


@inline
def every(size):
    return range(cuda.threadIdx.x, size, ROW_THREADS)


@inline
def mine(place):
    return place % ROW_THREADS == cuda.threadIdx.x


def _together(combine: Callable) -> Callable:
    """Return a device function that puts together what the threads of a block found.

    A new one for each function that calls it: linked twice, its shared memory were defined twice.
    """

    @inline
    def together(own):
        shared = cuda.shared.array(ROW_THREADS, f32)
        thread = cuda.threadIdx.x
        shared[thread] = own
        combine(shared, thread)
        result = shared[0]
        cuda.syncthreads()
        return result

    return together


@inline
def _add(values, thread):
    sum_rows(values, thread, 1)


def _first() -> Callable:
    last = _together(largest)

    @inline
    def first(own):
        return int(-last(f32(-own)))

    return first


def teamed(function: Callable) -> Callable:
    """Return a device function with the code of one that is written for a thread a row, for a
    block; the functions of its module that it calls are treated likewise.

    All threads of the block must call it.
    """
    names: dict[str, Any] = {**function.__globals__, "every": every, "mine": mine}
    names |= {"summed": _together(_add), "largest": _together(largest), "first": _first()}
    for name in function.__code__.co_names:
        called = names.get(name)
        if isinstance(called, FunctionType) and called.__module__ == function.__module__:
            names[name] = teamed(called)
    return inline(FunctionType(function.__code__, names, function.__name__))


def a_block_a_row(rows: int) -> tuple[int, int]:
    """Return the launch shape for rows that blocks take in turn, from blockIdx.x on."""
    return max(1, min(MOST_BLOCKS, rows)), ROW_THREADS
