"""A tile's sums on tensor cores: a warp multiplies pieces of 16 x 8 x 8 numbers in TF32.

The two factors are rounded when a thread reads them from shared memory. Each thread holds `down` x
`across` sums, whose rows are 8 apart and whose columns come in pairs 8 apart.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from numba import float32, int32, int64

from fastcnn.kernels.cuda.gemm.mma_instruction import multiply_add, rounded
from fastcnn.kernels.cuda.gemm.tile import WARP, Layout, Sums, Tile, finish, unrolled
from fastcnn.kernels.cuda.runtime.device import cuda
from fastcnn.kernels.cuda.runtime.kernel import inline
from fastcnn.kernels.cuda.runtime.memory_access import read, write

SPAN = 8  # rows from one sum of a thread to the next, columns from pair to pair
INNER = 8  # of the inner dimension in one multiplication
HALF = 4


@cache
def tensor_sums(tile: Tile, of_a: Layout, of_b: Layout) -> Sums:
    """Return the functions of sums on tensor cores; the layouts are those of slices."""
    down, across, depth = tile.down, tile.across, tile.depth
    (row_a, inner_a, slice_a), (column_b, inner_b, _) = of_a, of_b
    warp_rows, warp_columns = SPAN * down, SPAN * across // 2
    warps_down = tile.rows // warp_rows
    pairs, steps = across // 2, depth // INNER

    @inline
    def place():
        thread = int32(cuda.threadIdx.x)
        warp, lane = thread // WARP, thread % WARP
        return (
            int32(warp % warps_down * warp_rows + lane // HALF),
            int32(warp // warps_down * warp_columns + lane % HALF * 2),
        )

    @inline
    def multiply_row(operands, m):
        """The pieces of 16 rows of A with all columns of B."""
        shared, a, from_b, sums, k = operands
        at = k * INNER * inner_a + 2 * m * SPAN * row_a
        from_a = (
            rounded(read(shared, a, at)),
            rounded(read(shared, a, at + SPAN * row_a)),
            rounded(read(shared, a, at + HALF * inner_a)),
            rounded(read(shared, a, at + HALF * inner_a + SPAN * row_a)),
        )
        for n in range(pairs):
            i = 2 * m * across + 2 * n
            totals = multiply_add(
                from_a,
                (from_b[2 * n], from_b[2 * n + 1]),
                (sums[i], sums[i + 1], sums[i + across], sums[i + across + 1]),
            )
            sums[i], sums[i + 1] = totals[0], totals[1]
            sums[i + across], sums[i + across + 1] = totals[2], totals[3]

    multiply_rows = unrolled(multiply_row, down // 2)

    @inline
    def step(operands, k):
        shared, a, b, sums = operands
        from_b = cuda.local.array(across, float32)
        for n in range(pairs):
            at = k * INNER * inner_b + n * SPAN * column_b
            from_b[2 * n] = rounded(read(shared, b, at))
            from_b[2 * n + 1] = rounded(read(shared, b, at + HALF * inner_b))
        multiply_rows((shared, a, from_b, sums, k), int64(0))

    all_steps = unrolled(step, steps)

    @inline
    def multiply(shared, start, row, column, sums):
        lane = int32(cuda.threadIdx.x) % WARP
        group, lane_of_four = lane // HALF, lane % HALF
        # A thread reads other columns of B than those of its sums, and other rows than its own.
        a = int32(start + row * row_a + lane_of_four * inner_a)
        column = int32(column - 2 * lane_of_four + group)
        b = int32(start + slice_a + column * column_b + lane_of_four * inner_b)
        all_steps((shared, a, b, sums), int64(0))

    @cache
    def storing(row_at: Callable) -> Callable:
        @inline
        def store_row(operands, i):
            (sums, c, scale, bias, shape), (row, column, rows, columns, first, start, relu) = (
                operands
            )
            r = int32(row + i * SPAN)
            if r < rows:
                far = start + row_at(shape, r)
                for j in range(across):
                    o = int32(column + j // 2 * SPAN + j % 2)
                    if o < columns:
                        value = finish(sums[i * across + j], scale, bias, first + o, relu)
                        write(c, far, o, value)

        store_rows = unrolled(store_row, down)

        @inline
        def store(sums, c, scale, bias, shape, limits):
            tile_row, tile_column, rows, columns, first, start, _, relu = limits
            down, across = place()
            row, column = int32(tile_row + down), int32(tile_column + across)
            limits = (row, column, rows, columns, first, start, relu)
            store_rows(((sums, c, scale, bias, shape), limits), int64(0))

        return store

    return Sums(place, multiply, storing)
