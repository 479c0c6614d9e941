"""The kernels of Winograd convolution: transforms of tiles, of kernels and of their gradients.

A thread transforms one tile of one channel, all of it in registers; neighbouring threads have
neighbouring channels. Every basis element e = (i, j) of a tile lies beside the next, V[tile][e][C]:
a tile's elements are one piece of memory, and those of an image one array of its own.

Each kernel exists for m = 2 and m = 4, and is found by it: `winograd_inputs[4]`.
"""

from __future__ import annotations

from collections.abc import Callable
from math import ceil
from typing import Any

import numpy as np
from numba import float32, int32, uint64

from fastcnn.kernels.cuda.conv.winograd_transform import one_sided
from fastcnn.kernels.cuda.runtime.device import cuda
from fastcnn.kernels.cuda.runtime.indexing import MOST_ROWS, quotient
from fastcnn.kernels.cuda.runtime.kernel import Floats, Int, Kernel, Launch, inline, once, register
from fastcnn.kernels.shared.winograd import FORMS, TAPS, matrices

THREADS = 128  # with some 70 registers each, seven blocks fit on a multiprocessor
LOWEST = np.float32(-np.inf)
ZERO, ONE = np.float32(0), np.float32(1)
NOTHING, BELOW = np.int32(0), np.int32(2**31 - 1)


def _each(numbers: str) -> Launch:
    """Return a launch with a thread for each tile and channel, images along the second axis."""

    def launch(count: int, values: dict[str, Any]) -> tuple[tuple[int, int, int], int]:
        size = values["tiles_h"] * values["tiles_w"] * values[numbers]
        along = min(count, MOST_ROWS)
        return (ceil(size / THREADS), along, ceil(count / along)), THREADS

    return launch


@inline
def own_tile(columns, tiles_w):
    """Return the image of a thread of `_each`, its tile, the tile's row and column, its channel."""
    image = cuda.blockIdx.y + cuda.gridDim.y * cuda.blockIdx.z
    place = cuda.grid(1)
    tile = quotient(place, columns)
    row = quotient(tile, tiles_w)
    return image, tile, row, int32(tile - row * tiles_w), int32(place - tile * columns)


@inline
def within(position, size):
    """Return the position from 0 to size - 1 that is nearest."""
    return min(max(int32(position), NOTHING), int32(size - 1))


def _named(name: str, body: Callable, launch: Launch) -> Kernel:
    body.__name__ = body.__qualname__ = name
    return register(Kernel(body, launch, fastmath=False))


def _reader(multiply: Callable, size: int) -> Callable:
    """Return the device function read(elements, at, step, column, half): half = matrix @ d of the
    size x size elements d of a tile, which begin `at` and lie `step` apart."""

    @inline
    def read(elements, first, step, column, half):
        for j in range(size):
            at = first
            for i in range(size):
                column[i] = elements[at]
                at += step * uint64(size)
            first += step
            multiply(column, 0, 1, half, j, size)

    return read


def _writer(multiply: Callable, window: int, size: int) -> Callable:
    """Return the device function write(half, line, elements, to, step): size x size elements, half
    @ matrix^T, which begin at `to` and lie `step` apart."""

    @inline
    def write(half, line, elements, to, step):
        for i in range(size):
            multiply(half, i * window, 1, line, 0, 1)
            for j in range(size):
                elements[to] = line[j]
                to += step

    return write


def _make_inputs(name: str, matrix: np.ndarray, m: int) -> Kernel:
    """Return the kernel v[tile][e][C] = matrix @ d @ matrix^T, tiles d beginning m pixels apart.

    What a tile has outside the image x [height, width, C] is zero; the first one begins `top` rows
    above it and `left` columns beside it.
    """
    size, window = matrix.shape
    elements, halfway = size * size, size * window
    multiply = one_sided(name, matrix)
    write = _writer(multiply, window, size)

    def transform(
        count: Int, x: Floats, v: Floats, tiles_h: Int, tiles_w: Int, height: Int, width: Int,
        top: Int, left: Int, channels: Int,
    ):  # fmt: skip
        tiles = tiles_h * tiles_w
        image, tile, tile_row, tile_column, c = own_tile(channels, tiles_w)
        if image >= count or tile >= tiles:
            return
        first_row, first_column = int32(m * tile_row - top), int32(m * tile_column - left)
        rows = cuda.local.array(window, int32)
        starts = cuda.local.array(window, uint64)
        column = cuda.local.array(window, float32)
        half = cuda.local.array(halfway, float32)
        line = cuda.local.array(size, float32)
        # Outside the image the nearest pixel is read, and then not taken: no thread branches.
        for i in range(window):
            row = int32(first_row + i)
            rows[i] = row if row >= 0 else BELOW
            starts[i] = uint64((image * height + within(row, height)) * width * channels + c)
        for j in range(window):
            across = int32(first_column + j)
            bottom = height if across >= 0 and across < width else NOTHING
            beside = uint64(within(across, width) * channels)
            for i in range(window):
                value = x[starts[i] + beside]
                column[i] = cuda.selp(rows[i] < bottom, value, ZERO)
            multiply(column, 0, 1, half, j, window)
        to = uint64((image * tiles + tile) * elements * channels + c)
        write(half, line, v, to, uint64(channels))

    return _named(name, transform, _each("channels"))


def _make_outputs(name: str, matrix: np.ndarray, m: int) -> Kernel:
    """Return the kernel y [OH, OW, F] = matrix @ products @ matrix^T (+ offset, then ReLU)."""
    size = matrix.shape[1]
    elements, halfway = size * size, m * size
    multiply = one_sided(name, matrix)
    read = _reader(multiply, size)

    def transform(
        count: Int, products: Floats, y: Floats, offset: Floats, tiles_h: Int, tiles_w: Int,
        out_height: Int, out_width: Int, filters: Int, rectified: Int,
    ):  # fmt: skip
        tiles = tiles_h * tiles_w
        image, tile, tile_row, tile_column, f = own_tile(filters, tiles_w)
        if image >= count or tile >= tiles:
            return
        row, column = m * tile_row, m * tile_column
        high, wide = int32(out_height - row), int32(out_width - column)
        values = cuda.local.array(size, float32)
        half = cuda.local.array(halfway, float32)
        line = cuda.local.array(m, float32)
        start = offset[f] if offset.size > 0 else ZERO
        floor = ZERO if rectified else LOWEST
        first, step = uint64((image * tiles + tile) * elements * filters + f), uint64(filters)
        read(products, first, step, values, half)
        above = uint64(((image * out_height + row) * out_width + column) * filters + f)
        for i in range(m):
            multiply(half, i * size, 1, line, 0, 1)
            to = above
            inside = wide if i < high else NOTHING
            for j in range(m):
                value = line[j] + start
                if j < inside:
                    y[to] = floor if value < floor else value
                to += step
            above += step * uint64(out_width)

    return _named(name, transform, _each("filters"))


def _make_kernel(name: str, matrix: np.ndarray) -> Kernel:
    """Return the kernel u[e][C, F] = matrix @ (kernel * scale) @ matrix^T of kernel [3, 3, C, F].

    With `flipped` both axes of the kernel run backwards.
    """
    size = len(matrix)
    halfway = size * TAPS
    multiply = one_sided(name, matrix)
    write = _writer(multiply, TAPS, size)

    def transform(
        count: Int,
        kernel: Floats,
        u: Floats,
        scale: Floats,
        inner: Int,
        outputs: Int,
        flipped: Int,
    ):
        column = cuda.local.array(TAPS, float32)
        half = cuda.local.array(halfway, float32)
        line = cuda.local.array(size, float32)
        tap = inner * outputs
        for place in range(cuda.grid(1), tap, cuda.gridsize(1)):
            factor = scale[place % outputs] if scale.size > 0 else ONE
            for j in range(TAPS):
                for i in range(TAPS):
                    number = TAPS * i + j
                    at = TAPS * TAPS - 1 - number if flipped else number
                    column[i] = kernel[uint64(at * tap + place)] * factor
                multiply(column, 0, 1, half, j, TAPS)
            write(half, line, u, uint64(place), uint64(tap))

    return _named(name, transform, once("inner", "outputs"))


def _make_gradient(name: str, matrix: np.ndarray) -> Kernel:
    """Return the kernel gradient [3, 3, C, F] = matrix @ d @ matrix^T of d[e][C, F]."""
    size = matrix.shape[1]
    halfway = TAPS * size
    multiply = one_sided(name, matrix)
    read, write = _reader(multiply, size), _writer(multiply, size, TAPS)

    def transform(count: Int, d: Floats, gradient: Floats, channels: Int, filters: Int):
        column = cuda.local.array(size, float32)
        half = cuda.local.array(halfway, float32)
        line = cuda.local.array(TAPS, float32)
        tap = channels * filters
        step = uint64(tap)
        for place in range(cuda.grid(1), tap, cuda.gridsize(1)):
            read(d, uint64(place), step, column, half)
            write(half, line, gradient, uint64(place), step)

    return _named(name, transform, once("channels", "filters"))


_MATRICES = {m: matrices(m) for m, side in FORMS if side == TAPS}
winograd_inputs = {
    m: _make_inputs(f"winograd_inputs_{m}x{m}", b_t, m) for m, (_, _, b_t) in _MATRICES.items()
}
winograd_outputs = {
    m: _make_outputs(f"winograd_outputs_{m}x{m}", a_t, m) for m, (a_t, _, _) in _MATRICES.items()
}
winograd_kernel = {
    m: _make_kernel(f"winograd_kernel_{m}x{m}", g) for m, (_, g, _) in _MATRICES.items()
}
# For the gradient of the kernel, outputs and kernel change places.
winograd_transposed_outputs = {
    m: _make_inputs(f"winograd_transposed_outputs_{m}x{m}", a_t.T, m)
    for m, (a_t, _, _) in _MATRICES.items()
}
winograd_gradient = {
    m: _make_gradient(f"winograd_gradient_{m}x{m}", g.T) for m, (_, g, _) in _MATRICES.items()
}
