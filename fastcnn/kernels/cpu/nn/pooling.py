"""Max and average pooling, forward and backward, one image at a time.

A window is cut at the image's edge: padding is never the largest, and counts in a mean only as far
as `counted_top` and the other three say, as zeros.
"""

from __future__ import annotations

from fastcnn.kernels.cpu.runtime.function import kernel_function
from fastcnn.kernels.cpu.runtime.kernel import kernel, record
from fastcnn.kernels.cpu.simd.pointers import floats, record_at
from fastcnn.kernels.cpu.simd.vector import (
    add,
    larger,
    load,
    multiply,
    splat,
    store,
    where_equal,
    where_larger,
)
from fastcnn.kernels.cpu.simd.vector_unit import LANES

GEOMETRY = (
    *("height", "width", "channels", "out_height", "out_width"),
    *(
        "window_h",
        "window_w",
        "stride_h",
        "stride_w",
        "top",
        "left",
        "relu",
        "covers",
        "two_by_two",
    ),
)
MAX_POOL = record("x", "y", "index", *GEOMETRY)
MAX_POOL_DX = record("dy", "index", "y", "dx", *GEOMETRY)
COUNTED = ("counted_top", "counted_bottom", "counted_left", "counted_right")
AVERAGE_POOL = record("x", "y", *GEOMETRY, *COUNTED)
AVERAGE_POOL_DX = record("dy", "dx", *GEOMETRY, *COUNTED)


@kernel_function
def window_of(op, out_row, out_column):
    """Return the window's part inside the image: first and end of rows, then of columns."""
    row = out_row * op.stride_h - op.top
    column = out_column * op.stride_w - op.left
    last_row = min(row + op.window_h, op.height)
    last_column = min(column + op.window_w, op.width)
    return max(row, 0), last_row, max(column, 0), last_column


@kernel_function
def _counted(op, out_row, out_column):
    """Return how many pixels a mean is of: those in the window, of the image and what counts around
    it.
    """
    row = out_row * op.stride_h - op.top
    column = out_column * op.stride_w - op.left
    rows = min(row + op.window_h, op.height + op.counted_bottom) - max(row, -op.counted_top)
    columns = min(column + op.window_w, op.width + op.counted_right) - max(column, -op.counted_left)
    return rows * columns


@kernel_function
def _max_two_by_two(op):
    """Max pooling by windows of 2x2 inside the image, unrolled."""
    zero, one, two, three = splat(0.0), splat(1.0), splat(2.0), splat(3.0)
    pixel, line = 4 * op.channels, 4 * op.width * op.channels
    for c in range(0, op.channels, LANES):
        lanes = min(LANES, op.channels - c)
        to = 4 * c
        for out_row in range(op.out_height):
            at = op.x + out_row * op.stride_h * line + 4 * c
            for _ in range(op.out_width):
                best, value = load(at, lanes), load(at + pixel, lanes)
                place = where_larger(value, best, one, zero)
                best = where_larger(value, best, value, best)
                value = load(at + line, lanes)
                place = where_larger(value, best, two, place)
                best = where_larger(value, best, value, best)
                value = load(at + line + pixel, lanes)
                place = where_larger(value, best, three, place)
                best = where_larger(value, best, value, best)
                if op.index:
                    store(place, op.index + to, lanes)
                if op.relu:
                    best = where_larger(best, zero, best, zero)
                store(best, op.y + to, lanes)
                at += op.stride_w * pixel
                to += pixel


@kernel_function
def _two_by_two_from_max(op):
    """Its gradient, for windows that tile the image."""
    zero, one, two, three = splat(0.0), splat(1.0), splat(2.0), splat(3.0)
    pixel, line = 4 * op.channels, 4 * op.width * op.channels
    for c in range(0, op.channels, LANES):
        lanes = min(LANES, op.channels - c)
        start = 4 * c
        for out_row in range(op.out_height):
            at = op.dx + 2 * out_row * line + 4 * c
            for _ in range(op.out_width):
                dy = load(op.dy + start, lanes)
                if op.relu:
                    dy = where_larger(load(op.y + start, lanes), zero, dy, zero)
                place = load(op.index + start, lanes)
                store(where_equal(place, zero, dy, zero), at, lanes)
                store(where_equal(place, one, dy, zero), at + pixel, lanes)
                store(where_equal(place, two, dy, zero), at + line, lanes)
                store(where_equal(place, three, dy, zero), at + line + pixel, lanes)
                at += 2 * pixel
                start += pixel


@kernel_function
def _max_alone(op):
    """Max pooling that need not know where the largest number was: a third of the instructions."""
    zero, pixel = splat(0.0), 4 * op.channels
    for out_row in range(op.out_height):
        for out_column in range(op.out_width):
            row, last_row, column, last_column = window_of(op, out_row, out_column)
            start = op.x + (row * op.width + column) * pixel
            to = op.y + (out_row * op.out_width + out_column) * pixel
            for c in range(0, op.channels, LANES):
                lanes = min(LANES, op.channels - c)
                best = load(start + 4 * c, lanes)
                for i in range(last_row - row):
                    at = start + i * op.width * pixel + 4 * c
                    if last_column - column == 3:
                        best = larger(load(at, lanes), best)
                        second = larger(load(at + pixel, lanes), load(at + 2 * pixel, lanes))
                        best = larger(best, second)
                    else:
                        for _ in range(column, last_column):
                            best = larger(load(at, lanes), best)
                            at += pixel
                if op.relu:
                    best = larger(best, zero)
                store(best, to + 4 * c, lanes)


@kernel(MAX_POOL)
def max_pool(pointer):
    """y[OH, OW, C] = the largest of each window; index = its place in the window, where asked."""
    op = record_at(pointer)
    if op.two_by_two:
        _max_two_by_two(op)
        return
    if not op.index:
        _max_alone(op)
        return
    zero = splat(0.0)
    for out_row in range(op.out_height):
        for out_column in range(op.out_width):
            row, last_row, column, last_column = window_of(op, out_row, out_column)
            to = 4 * (out_row * op.out_width + out_column) * op.channels
            for c in range(0, op.channels, LANES):
                lanes = min(LANES, op.channels - c)
                best = load(op.x + 4 * ((row * op.width + column) * op.channels + c), lanes)
                place = zero
                number = 0
                for i in range(row, last_row):
                    at = op.x + 4 * ((i * op.width + column) * op.channels + c)
                    for _ in range(column, last_column):
                        value = load(at, lanes)
                        place = where_larger(value, best, splat(number), place)
                        best = where_larger(value, best, value, best)
                        at += 4 * op.channels
                        number += 1
                if op.index:
                    store(place, op.index + to + 4 * c, lanes)
                if op.relu:
                    best = where_larger(best, zero, best, zero)
                store(best, op.y + to + 4 * c, lanes)


@kernel(MAX_POOL_DX)
def max_pool_dx(pointer):
    """dx[H, W, C] = dy where the window's largest came from, summed where windows overlap."""
    op = record_at(pointer)
    if op.two_by_two and op.covers:
        _two_by_two_from_max(op)
        return
    zero = splat(0.0)
    if not op.covers:
        floats(op.dx, op.height * op.width * op.channels)[:] = 0
    for out_row in range(op.out_height):
        for out_column in range(op.out_width):
            row, last_row, column, last_column = window_of(op, out_row, out_column)
            start = 4 * (out_row * op.out_width + out_column) * op.channels
            for c in range(0, op.channels, LANES):
                lanes = min(LANES, op.channels - c)
                dy = load(op.dy + start + 4 * c, lanes)
                if op.relu:
                    dy = where_larger(load(op.y + start + 4 * c, lanes), zero, dy, zero)
                place = load(op.index + start + 4 * c, lanes)
                number = 0
                for i in range(row, last_row):
                    at = op.dx + 4 * ((i * op.width + column) * op.channels + c)
                    for _ in range(column, last_column):
                        sums = where_equal(place, splat(number), dy, zero)
                        if not op.covers:
                            sums = add(sums, load(at, lanes))
                        store(sums, at, lanes)
                        at += 4 * op.channels
                        number += 1


@kernel(AVERAGE_POOL)
def average_pool(pointer):
    """y[OH, OW, C] = the mean of each window's part inside the image."""
    op = record_at(pointer)
    for out_row in range(op.out_height):
        for out_column in range(op.out_width):
            row, last_row, column, last_column = window_of(op, out_row, out_column)
            share = splat(1.0 / _counted(op, out_row, out_column))
            to = op.y + 4 * (out_row * op.out_width + out_column) * op.channels
            for c in range(0, op.channels, LANES):
                lanes = min(LANES, op.channels - c)
                total = splat(0.0)
                for i in range(row, last_row):
                    at = op.x + 4 * ((i * op.width + column) * op.channels + c)
                    for _ in range(column, last_column):
                        total = add(total, load(at, lanes))
                        at += 4 * op.channels
                store(multiply(total, share), to + 4 * c, lanes)


@kernel(AVERAGE_POOL_DX)
def average_pool_dx(pointer):
    """dx[H, W, C] = dy shared among each window's part inside the image."""
    op = record_at(pointer)
    floats(op.dx, op.height * op.width * op.channels)[:] = 0
    for out_row in range(op.out_height):
        for out_column in range(op.out_width):
            row, last_row, column, last_column = window_of(op, out_row, out_column)
            share = splat(1.0 / _counted(op, out_row, out_column))
            start = op.dy + 4 * (out_row * op.out_width + out_column) * op.channels
            for c in range(0, op.channels, LANES):
                lanes = min(LANES, op.channels - c)
                dy = multiply(load(start + 4 * c, lanes), share)
                for i in range(row, last_row):
                    at = op.dx + 4 * ((i * op.width + column) * op.channels + c)
                    for _ in range(column, last_column):
                        store(add(dy, load(at, lanes)), at, lanes)
                        at += 4 * op.channels
