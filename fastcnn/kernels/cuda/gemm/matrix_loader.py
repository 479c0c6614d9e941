"""Loaders of plain matrices, as they lie and transposed, for the tiles of a product.

A loader's shape is (extent, row): the matrix has `extent` rows or columns along the tile, `row`
floats from one of its rows in memory to the next. `begin` takes `base`, where the matrix begins,
as the third of the shape.
"""

from __future__ import annotations

from functools import cache

from numba import int32, int64

from fastcnn.kernels.cuda.gemm.loader import Loader, share
from fastcnn.kernels.cuda.gemm.tile import Tile
from fastcnn.kernels.cuda.runtime.kernel import inline
from fastcnn.kernels.cuda.runtime.memory_access import FLOAT, advanced, locate


@cache
def along(tile: Tile, span: int) -> Loader:
    """Return a loader of a matrix whose rows in memory lie along the tile: B, or A transposed.

    Shape: (extent, row, base).
    """
    own = share(tile, span, along=True)
    each, seat, move, depth, stride = own.each, own.seat, own.move, tile.depth, tile.stride

    @inline
    def begin(near, far, array, shape, start, first):
        extent, row, base = shape
        line, inner = seat()
        near[0] = first + inner
        near[1] = extent - start - line
        far[0] = locate(array, base + int64(near[0]) * row + start + line)

    @inline
    def load(to, array, near, far, shape, last):
        valid, left = near[0] < last, near[1]
        for i in range(each):
            move(to, i, array, far[0], i * stride, valid and left > int32(i * stride))
        near[0] += depth
        far[0] = advanced(far[0], int32(depth * shape[1]))

    return Loader(begin, load, 2, 1, own)


@cache
def across(tile: Tile, span: int) -> Loader:
    """Return a loader of a matrix whose rows in memory are the inner dimension: A, B transposed.

    Shape: (extent, row, base).
    """
    own = share(tile, span, along=False)
    each, seat, move, depth, stride = own.each, own.seat, own.move, tile.depth, tile.stride

    @inline
    def begin(near, far, array, shape, start, first):
        extent, row, base = shape
        line, inner = seat()
        place = start + line
        near[0] = first + inner
        near[1] = extent - place
        far[0] = locate(array, base + int64(place) * row + near[0])

    @inline
    def load(to, array, near, far, shape, last):
        valid, left, step = near[0] < last, near[1], int32(stride * shape[1])
        for i in range(each):
            move(to, i, array, far[0], int32(i * step), valid and left > int32(i * stride))
        near[0] += depth
        far[0] += depth * FLOAT

    return Loader(begin, load, 2, 1, own)
