"""How a block of threads goes through the inner dimension of a product, slice by slice.

In float32: while the threads multiply one slice, in shared memory, they have the next one's numbers
on the way from global memory into registers; then they put them into the other of two copies. So
they meet once a slice. In TF32 the numbers go straight into shared memory (`mainloop_pipelined`).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

from numba import float32, int32, int64

from fastcnn.kernels.cuda.gemm.loader import Loader, slice_size
from fastcnn.kernels.cuda.gemm.mainloop_pipelined import pipelined
from fastcnn.kernels.cuda.gemm.mma_float32 import register_sums
from fastcnn.kernels.cuda.gemm.mma_tf32 import tensor_sums
from fastcnn.kernels.cuda.gemm.tile import TF32, Sums, Tile
from fastcnn.kernels.cuda.runtime.device import cuda
from fastcnn.kernels.cuda.runtime.kernel import inline
from fastcnn.kernels.cuda.runtime.memory_access import shared_floats, write


class Mainloop(NamedTuple):
    """How a block computes a tile, and how its threads store their sums.

    run(sums, a, a_shape, row, b, b_shape, column, first, last) sums from `first` to `last` of the
    inner dimension, with the tile's first row and column; `storing` is that of `Sums`.
    """

    run: Callable
    storing: Callable[[Callable], Callable]


def make_sweep(tile: Tile, of_a: Loader, of_b: Loader) -> Mainloop:
    """Return the way to compute a tile of the product of what two loaders find."""
    layouts = of_a.share.layout, of_b.share.layout
    if tile.precision == TF32:
        # The sums are the same whichever way numbers move, and so is their code.
        sums_of = tensor_sums(tile._replace(width=1), *layouts)
        through_slices = pipelined(tile, sums_of, of_a, of_b)
    else:
        sums_of = register_sums(tile, *layouts)
        through_slices = _through_registers(tile, sums_of, of_a, of_b)
    return Mainloop(_begun(tile, through_slices, of_a, of_b), sums_of.storing)


@cache
def _begun(tile: Tile, through_slices: Callable, of_a: Loader, of_b: Loader) -> Callable:
    """Return `run` of a `Mainloop`: it sets the sums to 0 and the loaders to where they begin."""
    near_a_size, far_a_size, begin_a = of_a.near, of_a.far, of_a.begin
    near_b_size, far_b_size, begin_b = of_b.near, of_b.far, of_b.begin
    size = tile.sums

    @inline
    def sweep(sums, a, a_shape, row, b, b_shape, column, first, last):
        near_a = cuda.local.array(near_a_size, int32)
        near_b = cuda.local.array(near_b_size, int32)
        far_a = cuda.local.array(far_a_size, int64)
        far_b = cuda.local.array(far_b_size, int64)
        for i in range(size):
            sums[i] = float32(0)
        begin_a(near_a, far_a, a, a_shape, row, first)
        begin_b(near_b, far_b, b, b_shape, column, first)
        through_slices(sums, (a, near_a, far_a, a_shape), (b, near_b, far_b, b_shape), first, last)

    return sweep


@cache
def _through_registers(tile: Tile, sums_of: Sums, of_a: Loader, of_b: Loader) -> Callable:
    """Return the device function that computes a thread's sums: through_slices(sums, from_a,
    from_b, first, last), where `from_a` and `from_b` are what the loaders' load begins from."""
    slice_a, stage = of_a.share.layout.size, slice_size(of_a, of_b)
    each_a, load_a, put_a = of_a.share.each, of_a.load, _putter(tile, of_a)
    each_b, load_b, put_b = of_b.share.each, of_b.load, _putter(tile, of_b)
    place, multiply, depth = sums_of.place, sums_of.multiply, tile.depth
    stages = 2 * stage

    @inline
    def through_slices(sums, from_a, from_b, first, last):
        shared = shared_floats(stages)
        next_a = cuda.local.array(each_a, float32)
        next_b = cuda.local.array(each_b, float32)
        a, near_a, far_a, a_shape = from_a
        b, near_b, far_b, b_shape = from_b
        down, across = place()
        half = int32(0)
        load_a(next_a, a, near_a, far_a, a_shape, last)
        load_b(next_b, b, near_b, far_b, b_shape, last)
        put_a(shared, half, next_a)
        put_b(shared, half + slice_a, next_b)
        while first < last:
            first += depth
            cuda.syncthreads()
            load_a(next_a, a, near_a, far_a, a_shape, last)
            load_b(next_b, b, near_b, far_b, b_shape, last)
            multiply(shared, half, down, across, sums)
            half = int32(stage - half)
            put_a(shared, half, next_a)
            put_b(shared, half + slice_a, next_b)

    return through_slices


@cache
def _putter(tile: Tile, loader: Loader) -> Callable:
    """Return the device function that puts a slice's numbers into shared memory."""
    each, target = loader.share.each, loader.share.target
    step = tile.stride * loader.share.layout.row

    @inline
    def put(shared, start, values):
        to = target(start)
        for i in range(each):
            write(shared, to, i * step, values[i])

    return put
