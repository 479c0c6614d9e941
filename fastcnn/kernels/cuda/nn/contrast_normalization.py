"""Local contrast normalization (Jarrett et al., 2009), in steps that its gradient shares."""

import math
from typing import Any

import numpy as np

from fastcnn.kernels.cuda.nn.row_reduction import ROW_THREADS, a_block_a_row
from fastcnn.kernels.cuda.runtime.device import cuda
from fastcnn.kernels.cuda.runtime.indexing import quotient
from fastcnn.kernels.cuda.runtime.kernel import Float, Floats, Int, elements, kernel
from fastcnn.kernels.cuda.runtime.memory_access import read, write
from fastcnn.kernels.cuda.runtime.reduction import block_sum

f32 = np.float32
ZERO, ONE, HALF = f32(0), f32(1), f32(0.5)


@kernel(elements("pixels"))
def pixel_means(count: Int, x: Floats, factor: Floats, means: Floats, pixels: Int, channels: Int):
    """means[p] = the mean over the channels of x[p, c] * factor[p, c], or of x without a factor."""
    for pixel in range(cuda.grid(1), count * pixels, cuda.gridsize(1)):
        total, at = ZERO, pixel * channels
        for c in range(channels):
            total += read(x, at, c) * (read(factor, at, c) if factor.size > 0 else ONE)
        write(means, pixel, 0, total / f32(channels))


@kernel(elements("outer", "length", "inner"))
def blur(
    count: Int, x: Floats, table: Floats, y: Floats, outer: Int, length: Int, inner: Int,
    window: Int,
):  # fmt: skip
    """y[o, i, n] = the sum over w of table[i, w] * x[o, i + w - window // 2, n], of maps
    [outer, length, inner]; the table is 0 where that lies outside."""
    for at in range(cuda.grid(1), count * outer * length * inner, cuda.gridsize(1)):
        row = quotient(at, inner)
        i = row - quotient(row, length) * length
        first = i - window // 2
        total = ZERO
        for w in range(max(0, -first), min(window, length - first)):
            total += read(table, i * window, w) * read(x, at, (first + w - i) * inner)
        write(y, at, 0, total)


@kernel(elements("pixels", "channels"))
def subtract_level(count: Int, x: Floats, level: Floats, y: Floats, pixels: Int, channels: Int):
    """y[p, c] = x[p, c] - level[p]."""
    for i in range(cuda.grid(1), count * pixels * channels, cuda.gridsize(1)):
        write(y, i, 0, read(x, i, 0) - read(level, quotient(i, channels), 0))


def _a_block_an_image(count: int, values: dict[str, Any]) -> tuple[int, int]:
    return a_block_a_row(count)


@kernel(_a_block_an_image)
def contrast_divisors(count: Int, squares: Floats, divisors: Floats, pixels: Int, epsilon: Float):
    """divisors[p] = max(sqrt(squares[p]), the mean of these roots over the image, epsilon)."""
    shared = cuda.shared.array(ROW_THREADS, f32)
    thread = cuda.threadIdx.x
    for image in range(cuda.blockIdx.x, count, cuda.gridDim.x):
        start, own = image * pixels, ZERO
        for pixel in range(thread, pixels, ROW_THREADS):
            own += f32(math.sqrt(read(squares, start, pixel)))
        least = max(block_sum(shared, thread, own) / f32(pixels), epsilon)
        for pixel in range(thread, pixels, ROW_THREADS):
            root = f32(math.sqrt(read(squares, start, pixel)))
            # Not max(), which would lose a NaN.
            write(divisors, start, pixel, least if root < least else root)


@kernel(_a_block_an_image)
def contrast_slopes(
    count: Int, squares: Floats, divisors: Floats, means: Floats, slopes: Floats, pixels: Int,
    channels: Int,
):  # fmt: skip
    """slopes[p] = the gradient of squares[p], where means[p] * channels is the sum of dy * centered
    over the channels, and y = centered / divisors."""
    shared = cuda.shared.array(ROW_THREADS, f32)
    thread = cuda.threadIdx.x
    for image in range(cuda.blockIdx.x, count, cuda.gridDim.x):
        start, roots, own, least = image * pixels, ZERO, ZERO, ZERO
        for pixel in range(thread, pixels, ROW_THREADS):
            root, divisor = (
                f32(math.sqrt(read(squares, start, pixel))),
                read(divisors, start, pixel),
            )
            roots += root
            if root < divisor:  # the mean of all roots took its place, or epsilon did
                own -= read(means, start, pixel) * f32(channels) / (divisor * divisor)
                least = divisor
        roots = block_sum(shared, thread, roots) / f32(pixels)
        own = block_sum(shared, thread, ZERO if least > roots else own) / f32(pixels)
        for pixel in range(thread, pixels, ROW_THREADS):
            root, divisor = (
                f32(math.sqrt(read(squares, start, pixel))),
                read(divisors, start, pixel),
            )
            slope = own
            if root >= divisor:
                slope -= read(means, start, pixel) * f32(channels) / (divisor * divisor)
            write(slopes, start, pixel, HALF * slope / root if root > ZERO else ZERO)


@kernel(elements("pixels", "channels"))
def contrast_quotient(
    count: Int, x: Floats, divisors: Floats, centered: Floats, slopes: Floats, y: Floats,
    pixels: Int, channels: Int, share: Float,
):  # fmt: skip
    """y[p, c] = x[p, c] / divisors[p] (+ share * slopes[p] * centered[p, c])."""
    for i in range(cuda.grid(1), count * pixels * channels, cuda.gridsize(1)):
        pixel = quotient(i, channels)
        value = read(x, i, 0) / read(divisors, pixel, 0)
        if slopes.size > 0:
            value += share * read(slopes, pixel, 0) * read(centered, i, 0)
        write(y, i, 0, value)
