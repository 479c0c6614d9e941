"""Sums and maxima over a block's threads, in shared memory, in an order that never changes."""

from __future__ import annotations

from fastcnn.kernels.cuda.runtime.device import cuda
from fastcnn.kernels.cuda.runtime.kernel import inline


@inline
def sum_rows(values, thread, width):
    """values[:width] = the sum of values, shared memory, over its rows of `width`.

    Both are powers of two; values has at most twice as many elements as the block has threads.
    Pairs far apart are added first: a tree, whose error grows with the logarithm of the rows. Every
    thread of the block calls this, after it has written its own elements.
    """
    half = values.size // 2
    while half >= width:
        cuda.syncthreads()
        if thread < half:
            values[thread] += values[thread + half]
        half //= 2
    cuda.syncthreads()


@inline
def block_sum(shared, thread, own):
    """Return the sum of what all threads of a block have of their own.

    `shared` has an element for each thread; their number is a power of two.
    """
    shared[thread] = own
    sum_rows(shared, thread, 1)
    total = shared[0]
    cuda.syncthreads()
    return total


@inline
def largest(values, thread):
    """values[0] = the largest of values, as many as the block has threads, a power of two."""
    half = values.size // 2
    while half > 0:
        cuda.syncthreads()
        if thread < half and values[thread + half] > values[thread]:
            values[thread] = values[thread + half]
        half //= 2
    cuda.syncthreads()
