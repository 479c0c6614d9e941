"""Local contrast normalization (Jarrett et al., 2009), in steps that its gradient shares.

Of each image x[P, C] a map with one number a pixel is made, blurred along both axes, and taken from
x, or divided by. All of it is one image's: the same bits for any number of threads.
"""

from __future__ import annotations

import math

import numpy as np

from fastcnn.kernels.cpu.nn.activation import as_float
from fastcnn.kernels.cpu.runtime.kernel import kernel, record
from fastcnn.kernels.cpu.simd.pointers import floats, record_at
from fastcnn.kernels.cpu.simd.vector import (
    add,
    fma,
    load,
    multiply,
    splat,
    store,
    sum_of_lanes,
)
from fastcnn.kernels.cpu.simd.vector_unit import LANES

PIXEL_MEANS = record("x", "factor", "means", "pixels", "channels")
BLUR = record("x", "table", "y", "outer", "length", "inner", "window")
SUBTRACT_LEVEL = record("x", "level", "y", "pixels", "channels")
CONTRAST_DIVISORS = record("squares", "divisors", "pixels", "epsilon")
CONTRAST_SLOPES = record("squares", "divisors", "means", "slopes", "pixels", "channels")
CONTRAST_QUOTIENT = record(
    "x", "divisors", "centered", "slopes", "y", "pixels", "channels", "share"
)

f32 = np.float32
ZERO, ONE, HALF = f32(0), f32(1), f32(0.5)


@kernel(PIXEL_MEANS)
def pixel_means(pointer):
    """means[p] = the mean over the channels of x[p, c] * factor[p, c], or of x without a factor."""
    op = record_at(pointer)
    means = floats(op.means, op.pixels)
    for pixel in range(op.pixels):
        total, start = splat(0.0), 4 * pixel * op.channels
        for c in range(0, op.channels, LANES):
            lanes, at = min(LANES, op.channels - c), start + 4 * c
            factor = load(op.factor + at, lanes) if op.factor else splat(1.0)
            total = fma(load(op.x + at, lanes), factor, total)
        means[pixel] = sum_of_lanes(total) / op.channels


@kernel(BLUR)
def blur(pointer):
    """y[o, i, n] = the sum over w of table[i, w] * x[o, i + w - window // 2, n], of a map
    [outer, length, inner]; the table is 0 where that lies outside."""
    op = record_at(pointer)
    size = op.outer * op.length * op.inner
    x, y = floats(op.x, size), floats(op.y, size)
    table = floats(op.table, op.length * op.window)
    for row in range(op.outer * op.length):
        i, to = row % op.length, row * op.inner
        for n in range(op.inner):
            y[to + n] = ZERO
        for w in range(op.window):
            other = i + w - op.window // 2
            if 0 <= other < op.length:
                share, at = table[i * op.window + w], to + (other - i) * op.inner
                for n in range(op.inner):
                    y[to + n] += share * x[at + n]


@kernel(SUBTRACT_LEVEL)
def subtract_level(pointer):
    """y[p, c] = x[p, c] - level[p]."""
    op = record_at(pointer)
    level = floats(op.level, op.pixels)
    for pixel in range(op.pixels):
        below, start = splat(-level[pixel]), 4 * pixel * op.channels
        for c in range(0, op.channels, LANES):
            lanes, at = min(LANES, op.channels - c), start + 4 * c
            store(add(load(op.x + at, lanes), below), op.y + at, lanes)


@kernel(CONTRAST_DIVISORS)
def contrast_divisors(pointer):
    """divisors[p] = max(sqrt(squares[p]), the mean of these roots over the image, epsilon)."""
    op = record_at(pointer)
    squares, divisors = floats(op.squares, op.pixels), floats(op.divisors, op.pixels)
    total = 0.0
    for pixel in range(op.pixels):
        divisors[pixel] = math.sqrt(squares[pixel])
        total += divisors[pixel]
    least = max(f32(total / op.pixels), as_float(op.epsilon))
    for pixel in range(op.pixels):
        # Not max(), which would lose a NaN.
        divisors[pixel] = least if divisors[pixel] < least else divisors[pixel]


@kernel(CONTRAST_SLOPES)
def contrast_slopes(pointer):
    """slopes[p] = the gradient of squares[p], where means[p] * channels is the sum of dy * centered
    over the channels, and y = centered / divisors."""
    op = record_at(pointer)
    squares, divisors = floats(op.squares, op.pixels), floats(op.divisors, op.pixels)
    means, slopes = floats(op.means, op.pixels), floats(op.slopes, op.pixels)
    roots, shared, least = 0.0, 0.0, ZERO
    for pixel in range(op.pixels):
        divisor, root = divisors[pixel], f32(math.sqrt(squares[pixel]))
        slopes[pixel] = -means[pixel] * op.channels / (divisor * divisor)
        roots += root
        if root < divisor:  # the mean of all roots took its place, or epsilon did
            shared += slopes[pixel]
            slopes[pixel] = ZERO
            least = divisor
    each = ZERO if least > f32(roots / op.pixels) else f32(shared / op.pixels)
    for pixel in range(op.pixels):
        root = f32(math.sqrt(squares[pixel]))
        slopes[pixel] = HALF * (slopes[pixel] + each) / root if root > ZERO else ZERO


@kernel(CONTRAST_QUOTIENT)
def contrast_quotient(pointer):
    """y[p, c] = x[p, c] / divisors[p] (+ share * slopes[p] * centered[p, c])."""
    op = record_at(pointer)
    divisors = floats(op.divisors, op.pixels)
    share = as_float(op.share)
    for pixel in range(op.pixels):
        inverse, start = splat(ONE / divisors[pixel]), 4 * pixel * op.channels
        slope = splat(share * floats(op.slopes, op.pixels)[pixel] if op.slopes else ZERO)
        for c in range(0, op.channels, LANES):
            lanes, at = min(LANES, op.channels - c), start + 4 * c
            value = multiply(load(op.x + at, lanes), inverse)
            if op.slopes:
                value = fma(load(op.centered + at, lanes), slope, value)
            store(value, op.y + at, lanes)
