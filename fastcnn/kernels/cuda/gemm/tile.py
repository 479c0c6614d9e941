"""A tile: the piece of a matrix product that one block of threads computes, C = A @ B.

A tile of `rows` x `columns` sums goes over the inner dimension in slices of `depth`. Slices of A
and of B lie in shared memory, several of them: while the threads multiply one slice, the next are
on their way from global memory, so that the threads meet once a slice. In float32 they are on their
way into registers (`mainloop`), in TF32 straight into shared memory (`mainloop_pipelined`). Each
thread holds `down` x `across` sums in registers (`mma_float32`, `mma_tf32`).

Where A and B come from is up to loaders, functions given when a tile is made: rows of a matrix,
the transposed matrix, the pixels under a convolution's window (`conv_loader`).

References:
    V. Volkov and J. Demmel, Benchmarking GPUs to Tune Dense Linear Algebra, SC 2008.
    R. Nath, S. Tomov and J. Dongarra, An Improved MAGMA GEMM for Fermi GPUs, 2010.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from math import ceil
from typing import Any, NamedTuple

from numba import float32, int32, int64

from fastcnn.kernels.cuda.runtime.device import SIMULATED, cuda
from fastcnn.kernels.cuda.runtime.indexing import quotient
from fastcnn.kernels.cuda.runtime.kernel import Kernel, Launch, inline, kernel
from fastcnn.kernels.cuda.runtime.memory_access import is_aligned, read

WARP = 32
FLOAT32, TF32 = "float32", "tf32"
# Floats between the rows of a slice: threads that write a column meet in few banks, and so do those
# that read what the tensor cores want of a warp, 8 numbers of 4 rows.
PADS = {FLOAT32: 4, TF32: 8}
VECTOR = 4  # floats of 16 bytes


class Layout(NamedTuple):
    """Where a slice of A or B lies in shared memory, in floats."""

    row: int  # from a row of A, or a column of B, to the next
    inner: int  # from a number of the inner dimension to the next
    size: int  # of the slice


class Tile(NamedTuple):
    """The sizes of a tile; `down` x `across` are each thread's sums.

    `width` floats are moved to shared memory at a time: 1, or in TF32 also 4, for matrices whose
    rows all begin at multiples of 16 bytes and are whole vectors of that size.
    """

    rows: int
    columns: int
    depth: int
    down: int
    across: int
    precision: str = FLOAT32
    width: int = 1

    @property
    def name(self) -> str:
        size = f"{self.rows}x{self.columns}"
        if self.precision == FLOAT32:
            return size
        return f"{self.precision}_{size}{'_vectorized' if self.width == VECTOR else ''}"

    @property
    def threads(self) -> int:
        return self.rows * self.columns // (self.down * self.across)

    @property
    def sums(self) -> int:
        """The sums of a thread."""
        return self.down * self.across

    @property
    def lanes(self) -> int:
        """The threads that move numbers of one place of the inner dimension, where each has one."""
        return self.threads // self.depth

    @property
    def stride(self) -> int:
        """Rows or columns that all threads together move at a time."""
        return self.lanes * self.width

    def layout(self, span: int, along: bool) -> Layout:
        """Return how a slice of `span` rows or columns lies that is moved along them, or across.

        Vectors along the inner dimension stay together in TF32. In float32 a thread always reads
        neighbouring rows or columns.
        """
        if along or self.precision == FLOAT32:
            pitch = span + PADS[self.precision]
            return Layout(1, pitch, self.depth * pitch)
        pitch = self.depth + VECTOR
        return Layout(pitch, 1, span * pitch)

    def blocks(self, rows: int, columns: int) -> int:
        """Return how many tiles cover a matrix."""
        return ceil(rows / self.rows) * ceil(columns / self.columns)


class Sums(NamedTuple):
    """How a thread multiplies and where its sums lie.

    place() returns the row and the column of a thread's first sum. multiply(shared, start, row,
    column, sums) adds the products of the slices that begin at `start`, B's behind A's.
    storing(row_at) returns the device function that stores them, store(sums, c, scale, bias, shape,
    limits) with limits (row, column, rows, columns, first, start, vectorized, relu), made by
    `limits_of`: the tile begins at (row, column), what lies beyond (rows, columns) is left out; row
    r goes to start + row_at(shape, r); scale and bias begin at `first`; `vectorized` allows
    vectors.
    """

    place: Callable
    multiply: Callable
    storing: Callable[[Callable], Callable]


def tile_kernel(launch: Launch, tile: Tile) -> Callable[[Callable], Kernel]:
    """Return a decorator like `kernel`, for at least 384 threads on a multiprocessor, and for GPUs
    that have the instructions."""
    registers = 128 if tile.threads > WARP * 4 else 168
    capability = (8, 0) if tile.precision == TF32 else (7, 5)
    return kernel(launch, most_registers=registers, least_capability=capability)


@cache
def unrolled(step: Callable, times: int) -> Callable:
    """Return a device function that does step(given, k) for `times` k, a power of 2, without a
    loop: Numba's loops of many instructions stay loops, whose arrays are not in registers.

    Its caller begins at int64(0): the literal 0 has a type of its own, for which all of this would
    be compiled once more.
    """
    if times == 1:
        return step
    if SIMULATED:  # where a call of a device function takes long

        def loop(operands: Any, k: int) -> None:
            for i in range(times):
                step(operands, k + i)

        return loop
    half, middle = unrolled(step, times // 2), times // 2

    @inline
    def both(operands, k):
        half(operands, k)
        half(operands, k + middle)

    return both


@inline
def finish(value, scale, bias, column, relu):
    """Return a sum with its column's scale and bias, rectified where asked."""
    if scale.size > 0:
        value *= read(scale, column, 0)
    if bias.size > 0:
        value += read(bias, column, 0)
    if relu and value < float32(0):
        value = float32(0)
    return value


@inline
def limits_of(c, place, group, k_slice, relu):
    """Return where a tile of one of C's groups is stored, and whether by vectors; see `Sums`.

    `place` is (row, column, rows, columns) of the tile and of the group, `group` its number and the
    floats from one group and from one row of C to the next, `k_slice` its number and the floats
    from one to the next.
    """
    row, column, rows, columns = place
    number, c_group, c_row = group
    start = int64(k_slice[0]) * k_slice[1] + int64(number) * c_group
    vectorized = is_aligned(c) and (k_slice[1] | c_group | c_row) % 4 == 0
    return row, column, rows, columns, number * columns, start, vectorized, relu


@cache
def make_place(tile: Tile) -> Callable:
    """Return a device function that says which tile a block computes.

    place(columns, k_slices) returns the tile's first row and column, which of the products side by
    side it belongs to, and which K slice of that.
    """
    rows, wide = tile.rows, tile.columns

    @inline
    def place(columns, k_slices):
        tiles_across = (columns + wide - 1) // wide
        down = quotient(cuda.blockIdx.x, tiles_across)
        column = int32((cuda.blockIdx.x - down * tiles_across) * wide)
        product = quotient(cuda.blockIdx.z, k_slices)
        return int32(down * rows), column, product, int32(cuda.blockIdx.z - product * k_slices)

    return place


@inline
def part_of(inner, part, parts, depth):
    """Return where a part of the inner dimension begins and ends: whole slices."""
    each = (inner + depth * parts - 1) // (depth * parts) * depth
    return int32(min(inner, part * each)), int32(min(inner, (part + 1) * each))


@inline
def row_at(shape, row):
    """Return where a row of C lies; `shape` is its stride."""
    return int64(row) * shape
