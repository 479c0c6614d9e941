"""How a block of threads goes through the inner dimension of a product whose slices are copied.

Shared memory holds STAGES slices of A and B. While the threads multiply one of them, the copies of
those behind it are on their way (`async_copy`), and the threads meet once a slice: after each has
waited for its own copies of the slice that comes next, all see all of it; and since none of them
still multiplies the slice before, that one's memory is free for the slice furthest ahead.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from numba import int32

from fastcnn.kernels.cuda.gemm.async_copy import close_group, waiting
from fastcnn.kernels.cuda.gemm.loader import Loader, slice_size
from fastcnn.kernels.cuda.gemm.tile import Sums, Tile
from fastcnn.kernels.cuda.runtime.device import cuda
from fastcnn.kernels.cuda.runtime.kernel import inline
from fastcnn.kernels.cuda.runtime.memory_access import shared_floats

STAGES = 3  # of the largest tile in 48 KiB, what a kernel may have without asking for more


@cache
def pipelined(tile: Tile, sums_of: Sums, of_a: Loader, of_b: Loader) -> Callable:
    """Return the device function that computes a thread's sums; see `mainloop`."""
    load_a, target_a = of_a.load, of_a.share.target
    load_b, target_b = of_b.load, of_b.share.target
    slice_a, stage = of_a.share.layout.size, slice_size(of_a, of_b)
    place, multiply, depth = sums_of.place, sums_of.multiply, tile.depth
    ahead_slices, all_slices = STAGES - 1, STAGES * stage
    wait = waiting(STAGES - 2)

    @inline
    def following(start):
        """Where the slice behind one begins."""
        return int32(start + stage if start + stage < all_slices else 0)

    @inline
    def through_slices(sums, from_a, from_b, first, last):
        shared = shared_floats(all_slices)
        a, near_a, far_a, a_shape = from_a
        b, near_b, far_b, b_shape = from_b
        down, across = place()
        to_a, to_b = target_a(0), target_b(slice_a)
        ahead, free, full = int32(first), int32(0), int32(0)
        for _stage in range(ahead_slices):
            if ahead < last:
                load_a((shared, int32(free + to_a)), a, near_a, far_a, a_shape, last)
                load_b((shared, int32(free + to_b)), b, near_b, far_b, b_shape, last)
            close_group()
            ahead = int32(ahead + depth)
            free = following(free)
        while first < last:
            wait()
            cuda.syncthreads()
            if ahead < last:
                load_a((shared, int32(free + to_a)), a, near_a, far_a, a_shape, last)
                load_b((shared, int32(free + to_b)), b, near_b, far_b, b_shape, last)
            # A group even where nothing is left to copy: what is waited for is counted from behind.
            close_group()
            multiply(shared, full, down, across, sums)
            first = int32(first + depth)
            ahead = int32(ahead + depth)
            free, full = following(free), following(full)

    return through_slices
