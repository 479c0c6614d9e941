"""A tile's sums on tensor cores: a warp multiplies pieces of 16 x 8 x 8 numbers in TF32.

The two factors are rounded when they are put into shared memory. Each thread holds `down` x
`across` sums, whose rows are 8 apart and whose columns come in pairs 8 apart.
"""

from __future__ import annotations

from numba import float32, int32

from fastcnn.kernels.cuda.access import read, write
from fastcnn.kernels.cuda.device import cuda
from fastcnn.kernels.cuda.kernel import inline
from fastcnn.kernels.cuda.tensor_cores import multiply_add
from fastcnn.kernels.cuda.tile import WARP, Sums, Tile, finish, unrolled

SPAN = 8  # rows from one sum of a thread to the next, columns from pair to pair
INNER = 8  # of the inner dimension in one multiplication
HALF = 4


def tensor_sums(tile: Tile) -> Sums:
    """Return the functions of sums on tensor cores."""
    down, across, slice_a = tile.down, tile.across, tile.slice_a
    row_a, row_b, depth = tile.row_a, tile.row_b, tile.depth
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
    def multiply_row(given, m):
        """The pieces of 16 rows of A with all columns of B."""
        shared, a, from_b, sums, k = given
        at = k * INNER * row_a + 2 * m * SPAN
        from_a = (
            read(shared, a, at),
            read(shared, a, at + SPAN),
            read(shared, a, at + HALF * row_a),
            read(shared, a, at + HALF * row_a + SPAN),
        )
        for n in range(pairs):
            i = 2 * m * across + 2 * n
            found = multiply_add(
                from_a,
                (from_b[2 * n], from_b[2 * n + 1]),
                (sums[i], sums[i + 1], sums[i + across], sums[i + across + 1]),
            )
            sums[i], sums[i + 1] = found[0], found[1]
            sums[i + across], sums[i + across + 1] = found[2], found[3]

    multiply_rows = unrolled(multiply_row, down // 2)

    @inline
    def step(given, k):
        shared, a, b, sums = given
        from_b = cuda.local.array(across, float32)
        for n in range(pairs):
            at = k * INNER * row_b + n * SPAN
            from_b[2 * n] = read(shared, b, at)
            from_b[2 * n + 1] = read(shared, b, at + HALF * row_b)
        multiply_rows((shared, a, from_b, sums, k), 0)

    all_steps = unrolled(step, steps)

    @inline
    def multiply(shared, half, row, column, sums):
        lane = int32(cuda.threadIdx.x) % WARP
        group, place_of_four = lane // HALF, lane % HALF
        # A thread reads other columns of B than those of its sums, and other rows than its own.
        a = int32(half + row + place_of_four * row_a)
        b = int32(half + slice_a + column - 2 * place_of_four + group + place_of_four * row_b)
        all_steps((shared, a, b, sums), 0)

    def storing(row_at):
        @inline
        def store_row(given, i):
            (sums, c, scale, bias, shape), (row, column, rows, columns, first, start, relu) = given
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
            store_rows(((sums, c, scale, bias, shape), limits), 0)

        return store

    return Sums(place, multiply, storing)
