"""The norm of each window, forward and backward.

The mathematics stands in the CPU's file. On the way back a thread has a pixel and visits the
windows that cover it, so nothing is added by two threads.
"""

import math

import numpy as np

from fastcnn.kernels.cuda.nn.local_normalization import power
from fastcnn.kernels.cuda.nn.pooling import covering, inside
from fastcnn.kernels.cuda.runtime.device import cuda
from fastcnn.kernels.cuda.runtime.indexing import own_element, per_image
from fastcnn.kernels.cuda.runtime.kernel import Float, Floats, Int, inline, kernel
from fastcnn.kernels.cuda.runtime.memory_access import read
from fastcnn.kernels.shared.norm import norm_functions

f32 = np.float32
ZERO, ONE, TWO = f32(0), f32(1), f32(2)
INFINITY = f32(np.inf)
raised, slope = norm_functions(inline, power)


@kernel(per_image("out_height", "out_width", "channels"))
def lp_pool(
    count: Int, x: Floats, y: Floats, height: Int, width: Int, channels: Int, out_height: Int,
    out_width: Int, window_h: Int, window_w: Int, stride_h: Int, stride_w: Int, top: Int, left: Int,
    relu: Int, covers: Int, two_by_two: Int, norm: Float,
):  # fmt: skip
    """y[OH, OW, C] = the norm of each window's part inside the image."""
    e, n, out_row, out_column, c = own_element(out_height, out_width, channels, count)
    row, last_row = inside(out_row, window_h, stride_h, top, height)
    column, last_column = inside(out_column, window_w, stride_w, left, width)
    while n < count:
        image = n * height * width * channels
        largest = ZERO
        for i in range(row, last_row):
            for j in range(column, last_column):
                value = abs(read(x, image, (i * width + j) * channels + c))
                largest = value if value > largest or value != value else largest
        result = largest
        if largest != ZERO and largest < INFINITY:
            total = ZERO
            for i in range(row, last_row):
                for j in range(column, last_column):
                    value = abs(read(x, image, (i * width + j) * channels + c))
                    total += raised(value / largest, norm)
            root = f32(math.sqrt(total)) if norm == TWO else power(total, ONE / norm)
            result = largest * root
        y[n * out_height * out_width * channels + e] = result
        n += cuda.gridDim.y


@kernel(per_image("height", "width", "channels"))
def lp_pool_dx(
    count: Int, x: Floats, y: Floats, dy: Floats, dx: Floats, height: Int, width: Int,
    channels: Int, out_height: Int, out_width: Int, window_h: Int, window_w: Int, stride_h: Int,
    stride_w: Int, top: Int, left: Int, relu: Int, covers: Int, two_by_two: Int, norm: Float,
):  # fmt: skip
    """dx[H, W, C] = dy's share of each number in each window that has it; 0 where the norm is."""
    size = height * width * channels
    e, n, row, column, c = own_element(height, width, channels, count)
    first_row, end_row = covering(row, window_h, stride_h, top, out_height)
    first_column, end_column = covering(column, window_w, stride_w, left, out_width)
    while n < count:
        value, total = read(x, n * size, e), ZERO
        for out_row in range(first_row, end_row):
            at = ((n * out_height + out_row) * out_width + first_column) * channels + c
            for _ in range(first_column, end_column):
                total += read(dy, at, 0) * slope(value, read(y, at, 0), norm)
                at += channels
        dx[n * size + e] = total
        n += cuda.gridDim.y
