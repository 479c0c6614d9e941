"""A tile's sums in float32: each thread's fused multiply-adds, in registers.

Each thread holds `down` x `across` sums in pieces of 4 x 4. The threads of a warp, 4 by 8 of them,
lay out the pieces so that they read vectors of 16 bytes from shared memory, each of them by several
threads.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from numba import float32, int32, int64

from fastcnn.kernels.cuda.gemm.tile import WARP, Layout, Sums, Tile, finish, unrolled
from fastcnn.kernels.cuda.runtime.device import cuda
from fastcnn.kernels.cuda.runtime.kernel import inline
from fastcnn.kernels.cuda.runtime.memory_access import read_vector, write, write_vector

LANES_DOWN, LANES_ACROSS = 4, 8
PIECE = 4
BETWEEN_DOWN, BETWEEN_ACROSS = LANES_DOWN * PIECE, LANES_ACROSS * PIECE


@cache
def register_sums(tile: Tile, of_a: Layout, of_b: Layout) -> Sums:
    """Return the functions of sums in registers, by fused multiply-adds; the layouts are those of
    slices in which rows or columns lie side by side."""
    down, across = tile.down, tile.across
    (_, row_a, slice_a), (_, row_b, _) = of_a, of_b
    warps_down = tile.rows // (LANES_DOWN * down)
    pieces_down, pieces_across = down // PIECE, across // PIECE

    @inline
    def place():
        thread = int32(cuda.threadIdx.x)
        warp, lane = thread // WARP, thread % WARP
        # Threads in pairs read the same numbers of B, pairs of pairs the same ones of A.
        lane_down, lane_across = lane // 16 * 2 + lane % 2, lane % 16 // 2
        return (
            int32(warp % warps_down * LANES_DOWN * down + lane_down * PIECE),
            int32(warp // warps_down * LANES_ACROSS * across + lane_across * PIECE),
        )

    @inline
    def step(operands, k):
        shared, a, b, sums = operands
        from_a = cuda.local.array(down, float32)
        from_b = cuda.local.array(across, float32)
        for p in range(pieces_down):
            vector = read_vector(shared, a, k * row_a + p * BETWEEN_DOWN)
            for i in range(PIECE):
                from_a[p * PIECE + i] = vector[i]
        for p in range(pieces_across):
            vector = read_vector(shared, b, k * row_b + p * BETWEEN_ACROSS)
            for j in range(PIECE):
                from_b[p * PIECE + j] = vector[j]
        for i in range(down):
            for j in range(across):
                sums[i * across + j] += from_a[i] * from_b[j]

    steps = unrolled(step, tile.depth)

    @inline
    def multiply(shared, start, row, column, sums):
        steps((shared, int32(start + row), int32(start + slice_a + column), sums), int64(0))

    @cache
    def storing(row_at: Callable) -> Callable:
        @inline
        def store_row(operands, i):
            (
                (sums, c, scale, bias, shape),
                (row, column, rows, columns, first, start, vectorized, relu),
            ) = operands
            r = int32(row + i // PIECE * BETWEEN_DOWN + i % PIECE)
            if r < rows:
                far = start + row_at(shape, r)
                for p in range(pieces_across):
                    o, k = int32(column + p * BETWEEN_ACROSS), i * across + p * PIECE
                    if vectorized and o + PIECE <= columns:
                        values = (
                            finish(sums[k], scale, bias, first + o, relu),
                            finish(sums[k + 1], scale, bias, first + o + 1, relu),
                            finish(sums[k + 2], scale, bias, first + o + 2, relu),
                            finish(sums[k + 3], scale, bias, first + o + 3, relu),
                        )
                        write_vector(c, far, o, values)
                    else:
                        for j in range(PIECE):
                            if o + j < columns:
                                value = finish(sums[k + j], scale, bias, first + o + j, relu)
                                write(c, far + o, j, value)

        store_rows = unrolled(store_row, down)

        @inline
        def store(sums, c, scale, bias, shape, limits):
            down, across = place()
            row, column = int32(limits[0] + down), int32(limits[1] + across)
            store_rows(((sums, c, scale, bias, shape), (row, column, *limits[2:])), int64(0))

        return store

    return Sums(place, multiply, storing)
