"""How a thread brings its part of a slice of A or B from global into shared memory.

A thread moves single numbers, or four that are neighbours in memory and in the slice. A loader says
for each of them where it comes from, or that it is zero; what happens then is the same for all
loaders. In a tile of float32 sums the numbers go into registers first, and are put into shared
memory when the slice before has been multiplied (`mainloop`). In TF32 they are copied without
passing through registers, and arrive slices later (`mainloop_pipelined`).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

from numba import int32

from fastcnn.kernels.cuda.gemm.async_copy import copying
from fastcnn.kernels.cuda.gemm.tile import FLOAT32, Layout, Tile
from fastcnn.kernels.cuda.runtime.device import cuda
from fastcnn.kernels.cuda.runtime.kernel import inline
from fastcnn.kernels.cuda.runtime.memory_access import fetch


class Share(NamedTuple):
    """What a thread moves of a slice of A or B: `each` times `tile.width` numbers.

    seat() returns what it moves first: which row of A or column of B, counted in the tile, and
    which place of the slice's inner dimension. Every further move is `tile.stride` rows or columns
    beyond the last. target(start) returns where in shared memory the first number goes, in a slice
    that begins at `start`. move(to, i, array, address, offset, valid) moves the i-th: from so many
    numbers behind an address in the array, 0 if not `valid`; `to` is an array of registers in
    float32, (shared memory, target) in TF32.
    """

    each: int
    seat: Callable
    target: Callable
    move: Callable
    layout: Layout


class Loader(NamedTuple):
    """How a thread finds its share of a slice of A or B.

    begin(near, far, array, shape, start, first) prepares a thread whose tile begins at row
    (of A) or column (of B) `start`, at the number `first` of the inner dimension.
    load(to, array, near, far, shape, last) moves a slice, zeros from `last` on, and goes one slice
    further. `near` and `far` are what a thread remembers from slice to slice, int32 and int64;
    `shape` is the loader's tuple of sizes and strides.
    """

    begin: Callable
    load: Callable
    near: int
    far: int
    share: Share


@cache
def share(tile: Tile, span: int, along: bool) -> Share:
    """Return a thread's share of `span` rows or columns; threads side by side go `along` them, or
    across: in the order of memory."""
    layout, each = tile.layout(span, along), span // tile.stride
    lanes, width, groups = tile.lanes, tile.width, tile.depth // tile.width
    row_step, inner_step = layout.row, layout.inner

    @inline
    def seat():
        thread = int32(cuda.threadIdx.x)
        if along:
            return int32(thread % lanes * width), int32(thread // lanes)
        return int32(thread // groups), int32(thread % groups * width)

    @inline
    def target(start):
        line, inner = seat()
        return int32(start + line * row_step + inner * inner_step)

    move = _holding() if tile.precision == FLOAT32 else _sending(width, tile.stride * row_step)
    return Share(each, seat, target, move, layout)


@cache
def _holding() -> Callable:
    @inline
    def hold(to, i, array, address, offset, valid):
        to[i] = fetch(array, address, offset, valid)

    return hold


@cache
def _sending(width: int, step: int) -> Callable:
    copy = copying(width)

    @inline
    def send(to, i, array, address, offset, valid):
        shared, first = to
        copy(shared, first, i * step, array, address, offset, valid)

    return send


def slice_size(of_a: Loader, of_b: Loader) -> int:
    """Return the floats of a slice of A and of B."""
    return of_a.share.layout.size + of_b.share.layout.size
