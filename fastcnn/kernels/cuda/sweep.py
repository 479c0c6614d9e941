"""How a block of threads goes through the inner dimension of a product, slice by slice.

While the threads multiply one slice, in shared memory, they have the next one's numbers on the way
from global memory into registers; then they put them into the other of two copies. So they meet
once a slice.
"""

from __future__ import annotations

from collections.abc import Callable

from numba import float32, int32, int64

from fastcnn.kernels.cuda.access import write
from fastcnn.kernels.cuda.device import cuda
from fastcnn.kernels.cuda.kernel import inline
from fastcnn.kernels.cuda.register_sums import register_sums
from fastcnn.kernels.cuda.tensor_cores import rounded
from fastcnn.kernels.cuda.tensor_sums import tensor_sums
from fastcnn.kernels.cuda.tile import TF32, Loader, Sums, Tile


def sums_of_tile(tile: Tile) -> Sums:
    """Return how the threads of a tile multiply."""
    return tensor_sums(tile) if tile.precision == TF32 else register_sums(tile)


def make_sweep(tile: Tile, sums_of: Sums, of_a: Loader, of_b: Loader) -> Callable:
    """Return the device function that computes a thread's sums.

    sweep(shared, sums, a, a_shape, row, b, b_shape, column, first, last) goes from `first` to
    `last` of the inner dimension, with the tile's first row and column.
    """
    depth, a_slice, one_slice = tile.depth, tile.slice_a, tile.slice
    near_a_size, far_a_size, each_a = of_a.near, of_a.far, of_a.each
    near_b_size, far_b_size, each_b = of_b.near, of_b.far, of_b.each
    begin_a, load_a, begin_b, load_b = of_a.begin, of_a.load, of_b.begin, of_b.load
    put_a, put_b = _putter(tile, tile.row_a, of_a), _putter(tile, tile.row_b, of_b)
    place, multiply, size = sums_of.place, sums_of.multiply, tile.sums

    @inline
    def sweep(shared, sums, a, a_shape, row, b, b_shape, column, first, last):
        next_a = cuda.local.array(each_a, float32)
        next_b = cuda.local.array(each_b, float32)
        near_a = cuda.local.array(near_a_size, int32)
        near_b = cuda.local.array(near_b_size, int32)
        far_a = cuda.local.array(far_a_size, int64)
        far_b = cuda.local.array(far_b_size, int64)
        for i in range(size):
            sums[i] = float32(0)
        begin_a(near_a, far_a, a, a_shape, row, first)
        begin_b(near_b, far_b, b, b_shape, column, first)
        down, across = place()
        half = int32(0)
        load_a(next_a, a, near_a, far_a, a_shape, last)
        load_b(next_b, b, near_b, far_b, b_shape, last)
        put_a(shared, half, next_a)
        put_b(shared, half + a_slice, next_b)
        while first < last:
            first += depth
            cuda.syncthreads()
            load_a(next_a, a, near_a, far_a, a_shape, last)
            load_b(next_b, b, near_b, far_b, b_shape, last)
            multiply(shared, half, down, across, sums)
            half = int32(one_slice - half)
            put_a(shared, half, next_a)
            put_b(shared, half + a_slice, next_b)

    return sweep


def _putter(tile: Tile, row: int, loader: Loader) -> Callable:
    """Return the device function that puts a slice's numbers into shared memory."""
    lanes, depth, each, along = tile.lanes, tile.depth, loader.each, loader.along
    on_tensor_cores = tile.precision == TF32

    @inline
    def put(shared, start, values):
        thread = int32(cuda.threadIdx.x)
        if along:
            to = int32(start + thread // lanes * row + thread % lanes)
        else:
            to = int32(start + thread % depth * row + thread // depth)
        for i in range(each):
            value = rounded(values[i]) if on_tensor_cores else values[i]
            write(shared, to, i * lanes, value)

    return put
