"""The norm of each window, forward and backward, one image at a time.

    y = (the sum of |x|^norm)^(1 / norm)        dx = the sum of dy * sign(x) * (|x| / y)^(norm - 1)

over the window's part inside the image. The powers are of numbers divided by the largest of the
window, so that none of them is too large or too small for float32.
"""

from __future__ import annotations

import math

import numpy as np

from fastcnn.kernels.cpu.nn.activation import as_float
from fastcnn.kernels.cpu.nn.local_normalization import power
from fastcnn.kernels.cpu.nn.pooling import GEOMETRY, window_of
from fastcnn.kernels.cpu.runtime.function import kernel_function
from fastcnn.kernels.cpu.runtime.kernel import kernel, record
from fastcnn.kernels.cpu.simd.pointers import floats, record_at
from fastcnn.kernels.shared.norm import norm_functions

LP_POOL = record("x", "y", *GEOMETRY, "norm")
LP_POOL_DX = record("x", "y", "dy", "dx", *GEOMETRY, "norm")

f32 = np.float32
ZERO, ONE, TWO = f32(0), f32(1), f32(2)
raised, slope = norm_functions(kernel_function, power)


@kernel_function
def _norm(x, c, op, window, norm):
    """Return the norm of a channel's numbers under a window of an image."""
    row, last_row, column, last_column = window
    largest = ZERO
    for i in range(row, last_row):
        for j in range(column, last_column):
            value = abs(x[(i * op.width + j) * op.channels + c])
            largest = value if value > largest or value != value else largest
    if largest == ZERO or not largest < f32(np.inf):
        return largest
    total = ZERO
    for i in range(row, last_row):
        for j in range(column, last_column):
            value = abs(x[(i * op.width + j) * op.channels + c])
            total += raised(value / largest, norm)
    root = f32(math.sqrt(total)) if norm == TWO else power(total, ONE / norm)
    return largest * root


@kernel(LP_POOL)
def lp_pool(pointer):
    """y[OH, OW, C] = the norm of each window's part inside the image."""
    op = record_at(pointer)
    norm = as_float(op.norm)
    x = floats(op.x, op.height * op.width * op.channels)
    for out_row in range(op.out_height):
        for out_column in range(op.out_width):
            window = window_of(op, out_row, out_column)
            y = floats(op.y + 4 * (out_row * op.out_width + out_column) * op.channels, op.channels)
            for c in range(op.channels):
                y[c] = _norm(x, c, op, window, norm)


@kernel(LP_POOL_DX)
def lp_pool_dx(pointer):
    """dx[H, W, C] = dy's share of each number in each window that has it; 0 where the norm is."""
    op = record_at(pointer)
    norm = as_float(op.norm)
    size = op.height * op.width * op.channels
    x, dx = floats(op.x, size), floats(op.dx, size)
    dx[:] = 0
    for out_row in range(op.out_height):
        for out_column in range(op.out_width):
            row, last_row, column, last_column = window_of(op, out_row, out_column)
            at = 4 * (out_row * op.out_width + out_column) * op.channels
            y, dy = floats(op.y + at, op.channels), floats(op.dy + at, op.channels)
            for i in range(row, last_row):
                for j in range(column, last_column):
                    first = (i * op.width + j) * op.channels
                    for c in range(op.channels):
                        dx[first + c] += dy[c] * slope(x[first + c], y[c], norm)
