"""Normalization of each image by itself: of groups of its channels, or of the numbers of a row.

Images are [rows, P, groups, W]; each group of a row has a block of threads. What is computed stands
in the CPU's file.
"""

import math
from typing import Any

import numpy as np

from fastcnn.kernels.cuda.nn.row_reduction import ROW_THREADS, a_block_a_row
from fastcnn.kernels.cuda.runtime.device import cuda
from fastcnn.kernels.cuda.runtime.indexing import quotient
from fastcnn.kernels.cuda.runtime.kernel import Float, Floats, Int, elements, inline, kernel
from fastcnn.kernels.cuda.runtime.memory_access import read, write
from fastcnn.kernels.cuda.runtime.reduction import block_sum

f32 = np.float32
ZERO, ONE = f32(0), f32(1)


def _a_block_a_group(count: int, values: dict[str, Any]) -> tuple[int, int]:
    return a_block_a_row(count * values["rows"] * values["groups"])


@inline
def _start(number, pixels, groups, width):
    """Return the place of the first number of a group, counted through all images and rows, and its
    first channel."""
    row = quotient(number, groups)
    channel = (number - row * groups) * width
    return row * pixels * groups * width + channel, channel


@inline
def _offset(i, groups, width):
    """Return where the i-th number of a group lies behind the first, and in which of its
    channels."""
    pixel = quotient(i, width)
    c = i - pixel * width
    return pixel * groups * width + c, c


@kernel(_a_block_a_group)
def group_norm(
    count: Int, x: Floats, gamma: Floats, beta: Floats, y: Floats, moments: Floats, rows: Int,
    pixels: Int, groups: Int, width: Int, epsilon: Float,
):  # fmt: skip
    """y = gamma * (x - mean) / sqrt(variance + epsilon) + beta; moments [rows, groups, 2] become
    the means and 1 / sqrt(variance + epsilon)."""
    shared = cuda.shared.array(ROW_THREADS, f32)
    thread, size = cuda.threadIdx.x, pixels * width
    for number in range(cuda.blockIdx.x, count * rows * groups, cuda.gridDim.x):
        start, channel = _start(number, pixels, groups, width)
        own = ZERO
        for i in range(thread, size, ROW_THREADS):
            own += read(x, start, _offset(i, groups, width)[0])
        mean = block_sum(shared, thread, own) / f32(size)
        own = ZERO
        for i in range(thread, size, ROW_THREADS):
            difference = read(x, start, _offset(i, groups, width)[0]) - mean
            own += difference * difference
        variance = block_sum(shared, thread, own) / f32(size)
        inverse = ONE / f32(math.sqrt(variance + epsilon))
        if thread == 0:
            write(moments, 2 * number, 0, mean)
            write(moments, 2 * number, 1, inverse)
        for i in range(thread, size, ROW_THREADS):
            offset, c = _offset(i, groups, width)
            scale = read(gamma, channel, c) * inverse if gamma.size > 0 else inverse
            shift = read(beta, channel, c) if beta.size > 0 else ZERO
            write(y, start, offset, (read(x, start, offset) - mean) * scale + shift)


@kernel(elements("rows", "pixels", "groups", "width"))
def group_norm_products(
    count: Int, x: Floats, dy: Floats, moments: Floats, products: Floats, rows: Int, pixels: Int,
    groups: Int, width: Int,
):  # fmt: skip
    """products = dy * (x - mean) / sqrt(variance + epsilon), whose sums are gamma's gradient."""
    channels = groups * width
    for i in range(cuda.grid(1), count * rows * pixels * channels, cuda.gridsize(1)):
        row = quotient(i, pixels * channels)
        group = quotient(i - quotient(i, channels) * channels, width)
        at = 2 * (row * groups + group)
        normalized = (read(x, i, 0) - read(moments, at, 0)) * read(moments, at, 1)
        write(products, i, 0, read(dy, i, 0) * normalized)


@kernel(_a_block_a_group)
def group_norm_dx(
    count: Int, x: Floats, dy: Floats, gamma: Floats, moments: Floats, dx: Floats, rows: Int,
    pixels: Int, groups: Int, width: Int,
):  # fmt: skip
    """dx = (g - mean(g) - n * mean(g * n)) / sqrt(variance + epsilon), where g = gamma * dy, n is x
    normalized, and the means are over the group."""
    shared = cuda.shared.array(ROW_THREADS, f32)
    thread, size = cuda.threadIdx.x, pixels * width
    for number in range(cuda.blockIdx.x, count * rows * groups, cuda.gridDim.x):
        start, channel = _start(number, pixels, groups, width)
        mean, inverse = read(moments, 2 * number, 0), read(moments, 2 * number, 1)
        total, product = ZERO, ZERO
        for i in range(thread, size, ROW_THREADS):
            offset, c = _offset(i, groups, width)
            slope = read(dy, start, offset) * (read(gamma, channel, c) if gamma.size > 0 else ONE)
            total += slope
            product += slope * ((read(x, start, offset) - mean) * inverse)
        total = block_sum(shared, thread, total) / f32(size)
        product = block_sum(shared, thread, product) / f32(size)
        for i in range(thread, size, ROW_THREADS):
            offset, c = _offset(i, groups, width)
            slope = read(dy, start, offset) * (read(gamma, channel, c) if gamma.size > 0 else ONE)
            normalized = (read(x, start, offset) - mean) * inverse
            write(dx, start, offset, (slope - total - normalized * product) * inverse)
