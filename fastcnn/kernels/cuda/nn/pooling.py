"""Max and average pooling, forward and backward.

A window is cut at the image's edge: padding is never the largest, and counts in a mean only as far
as `counted_top` and the other three say, as zeros. The way back gathers: a thread has a pixel and
visits the windows that cover it, so nothing is added by two threads.
"""

from typing import Any

import numpy as np

from fastcnn.kernels.cuda.nn.activation import rectified
from fastcnn.kernels.cuda.runtime.device import cuda
from fastcnn.kernels.cuda.runtime.indexing import own_element, per_image, position, quotient
from fastcnn.kernels.cuda.runtime.kernel import Floats, Int, inline, kernel
from fastcnn.kernels.cuda.runtime.memory_access import read, write

ZERO, ONE = np.float32(0), np.float32(1)

_outputs = per_image("out_height", "out_width", "channels")
_pixels = per_image("height", "width", "channels")


def _tiles_or_pixels(count: int, values: dict[str, Any]) -> tuple[Any, int]:
    return (_outputs if values["two_by_two"] and values["covers"] else _pixels)(count, values)


@inline
def inside(out, window, stride, before, size):
    """Return the first and the end of a window's rows, or columns, inside the image."""
    first = out * stride - before
    return max(first, 0), min(first + window, size)


@inline
def _counted(out, window, stride, before, size, counted_before, counted_after):
    """Return how many of a window's rows, or columns, a mean is of."""
    first = out * stride - before
    return min(first + window, size + counted_after) - max(first, -counted_before)


@inline
def covering(at, window, stride, before, outputs):
    """Return the first and the end of the windows that cover a row, or a column."""
    first = quotient(max(at + before - window, -1) + stride, stride)
    return first, min(quotient(at + before, stride) + 1, outputs)


@inline
def _larger(value, number, best, place):
    """Return the larger value and its place; a NaN counts as larger than all."""
    if value > best or value != value:
        return value, number
    return best, place


@kernel(_outputs)
def max_pool(
    count: Int, x: Floats, y: Floats, index: Floats, height: Int, width: Int, channels: Int,
    out_height: Int, out_width: Int, window_h: Int, window_w: Int, stride_h: Int, stride_w: Int,
    top: Int, left: Int, relu: Int, covers: Int, two_by_two: Int,
):  # fmt: skip
    """y[OH, OW, C] = the largest of each window; index = its place in the window, where asked."""
    outputs = out_height * out_width * channels
    e, n, out_row, out_column, c = own_element(out_height, out_width, channels, count)
    row, last_row = inside(out_row, window_h, stride_h, top, height)
    column, last_column = inside(out_column, window_w, stride_w, left, width)
    first = (row * width + column) * channels + c
    line = width * channels
    while n < count:
        at = n * height * line + first
        best, place = read(x, at, 0), 0
        if two_by_two:
            second, third = read(x, at, channels), read(x, at, line)
            fourth = read(x, at, line + channels)
            best, place = _larger(second, 1, best, place)
            best, place = _larger(third, 2, best, place)
            best, place = _larger(fourth, 3, best, place)
        else:
            number = 0
            for _ in range(row, last_row):
                to = at
                for _ in range(column, last_column):
                    best, place = _larger(read(x, to, 0), number, best, place)
                    to += channels
                    number += 1
                at += line
        if index.size > 0:
            index[n * outputs + e] = np.float32(place)
        y[n * outputs + e] = rectified(best, relu)
        n += cuda.gridDim.y


@kernel(_tiles_or_pixels)
def max_pool_dx(
    count: Int, dy: Floats, index: Floats, y: Floats, dx: Floats, height: Int, width: Int,
    channels: Int, out_height: Int, out_width: Int, window_h: Int, window_w: Int, stride_h: Int,
    stride_w: Int, top: Int, left: Int, relu: Int, covers: Int, two_by_two: Int,
):  # fmt: skip
    """dx[H, W, C] = dy where the window's largest came from, summed where windows overlap."""
    e, n = cuda.grid(2)
    size, outputs = height * width * channels, out_height * out_width * channels
    line = width * channels
    if two_by_two and covers:
        # Windows of 2x2 that tile the image: a thread has a window and writes all of it.
        if e >= outputs:
            return
        out_row, out_column, c = position(e, out_width, channels)
        first = (2 * out_row * width + 2 * out_column) * channels + c
        while n < count:
            at = n * outputs + e
            place, value = read(index, at, 0), read(dy, at, 0)
            if relu and read(y, at, 0) <= ZERO:
                value = ZERO
            at = n * size + first
            write(dx, at, 0, value if place == ZERO else ZERO)
            write(dx, at, channels, value if place == ONE else ZERO)
            write(dx, at, line, value if place == np.float32(2) else ZERO)
            write(dx, at, line + channels, value if place == np.float32(3) else ZERO)
            n += cuda.gridDim.y
        return
    if e >= size:
        return
    row, column, c = position(e, width, channels)
    first_row, end_row = covering(row, window_h, stride_h, top, out_height)
    first_column, end_column = covering(column, window_w, stride_w, left, out_width)
    while n < count:
        total = ZERO
        for out_row in range(first_row, end_row):
            above, _ = inside(out_row, window_h, stride_h, top, height)
            at = n * outputs + (out_row * out_width + first_column) * channels + c
            for out_column in range(first_column, end_column):
                before, after = inside(out_column, window_w, stride_w, left, width)
                number = (row - above) * (after - before) + column - before
                if read(index, at, 0) == np.float32(number):
                    value = read(dy, at, 0)
                    total += ZERO if relu and read(y, at, 0) <= ZERO else value
                at += channels
        dx[n * size + e] = total
        n += cuda.gridDim.y


@kernel(_outputs)
def average_pool(
    count: Int, x: Floats, y: Floats, height: Int, width: Int, channels: Int, out_height: Int,
    out_width: Int, window_h: Int, window_w: Int, stride_h: Int, stride_w: Int, top: Int, left: Int,
    relu: Int, covers: Int, two_by_two: Int, counted_top: Int, counted_bottom: Int,
    counted_left: Int, counted_right: Int,
):  # fmt: skip
    """y[OH, OW, C] = the mean of each window's part inside the image."""
    e, n, out_row, out_column, c = own_element(out_height, out_width, channels, count)
    row, last_row = inside(out_row, window_h, stride_h, top, height)
    column, last_column = inside(out_column, window_w, stride_w, left, width)
    rows = _counted(out_row, window_h, stride_h, top, height, counted_top, counted_bottom)
    columns = _counted(out_column, window_w, stride_w, left, width, counted_left, counted_right)
    share = ONE / np.float32(rows * columns)
    first = (row * width + column) * channels + c
    while n < count:
        total = ZERO
        at = n * height * width * channels + first
        for _ in range(row, last_row):
            to = at
            for _ in range(column, last_column):
                total += read(x, to, 0)
                to += channels
            at += width * channels
        y[n * out_height * out_width * channels + e] = total * share
        n += cuda.gridDim.y


@kernel(_pixels)
def average_pool_dx(
    count: Int, dy: Floats, dx: Floats, height: Int, width: Int, channels: Int, out_height: Int,
    out_width: Int, window_h: Int, window_w: Int, stride_h: Int, stride_w: Int, top: Int, left: Int,
    relu: Int, covers: Int, two_by_two: Int, counted_top: Int, counted_bottom: Int,
    counted_left: Int, counted_right: Int,
):  # fmt: skip
    """dx[H, W, C] = dy shared among each window's part inside the image."""
    e, n, row, column, c = own_element(height, width, channels, count)
    first_row, end_row = covering(row, window_h, stride_h, top, out_height)
    first_column, end_column = covering(column, window_w, stride_w, left, out_width)
    while n < count:
        total = ZERO
        for out_row in range(first_row, end_row):
            rows = _counted(out_row, window_h, stride_h, top, height, counted_top, counted_bottom)
            at = ((n * out_height + out_row) * out_width + first_column) * channels + c
            for out_column in range(first_column, end_column):
                columns = _counted(
                    out_column, window_w, stride_w, left, width, counted_left, counted_right
                )
                total += read(dy, at, 0) / np.float32(rows * columns)
                at += channels
        dx[n * height * width * channels + e] = total
        n += cuda.gridDim.y
