"""Normalization of each number by its neighbours across the channels (Krizhevsky et al., 2012).

A thread has one number, and reads its window. The mathematics stands in the CPU's file.
"""

import math

import numpy as np

from fastcnn.kernels.cuda.runtime.device import cuda
from fastcnn.kernels.cuda.runtime.indexing import quotient
from fastcnn.kernels.cuda.runtime.kernel import Float, Floats, Int, elements, inline, kernel
from fastcnn.kernels.cuda.runtime.memory_access import read, write

f32 = np.float32
ZERO, ONE, TWO = f32(0), f32(1), f32(2)


@inline
def log(x):
    return f32(math.log(x))


@inline
def power(base, exponent):
    """Return base^exponent of a base above 0; NaN stays."""
    return f32(math.exp(exponent * log(base)))


@inline
def _window(i, channels, before, after):
    """Return the first place of a window and the one behind it, of a number's place."""
    first = quotient(i, channels) * channels  # the pixel's
    return max(first, i - before), min(first + channels, i + after + 1)


@inline
def _denominator(x, i, channels, before, after, share, k):
    low, high = _window(i, channels, before, after)
    total = ZERO
    for j in range(low, high):
        value = read(x, j, 0)
        total += value * value
    return total * share + k


@kernel(elements("pixels", "channels"))
def response_norm(
    count: Int, x: Floats, y: Floats, pixels: Int, channels: Int, before: Int, after: Int,
    share: Float, beta: Float, k: Float,
):  # fmt: skip
    """y = x * (k + share * the sum of squares over the window)^-beta, of images x[P, C]."""
    for i in range(cuda.grid(1), count * pixels * channels, cuda.gridsize(1)):
        denominator = _denominator(x, i, channels, before, after, share, k)
        write(y, i, 0, read(x, i, 0) * power(denominator, -beta))


@kernel(elements("pixels", "channels"))
def response_norm_terms(
    count: Int, x: Floats, dy: Floats, terms: Floats, pixels: Int, channels: Int, before: Int,
    after: Int, share: Float, beta: Float, k: Float,
):  # fmt: skip
    """terms = dy * x * denominator^(-beta - 1), of which the gradient needs sums."""
    for i in range(cuda.grid(1), count * pixels * channels, cuda.gridsize(1)):
        denominator = _denominator(x, i, channels, before, after, share, k)
        write(terms, i, 0, read(dy, i, 0) * read(x, i, 0) * power(denominator, -beta - ONE))


@kernel(elements("pixels", "channels"))
def response_norm_dx(
    count: Int, x: Floats, dy: Floats, terms: Floats, dx: Floats, pixels: Int, channels: Int,
    before: Int, after: Int, share: Float, beta: Float, k: Float,
):  # fmt: skip
    """dx = dy * denominator^-beta - 2 * share * beta * x * (the sum of the terms that x is in)."""
    for i in range(cuda.grid(1), count * pixels * channels, cuda.gridsize(1)):
        denominator = _denominator(x, i, channels, before, after, share, k)
        low, high = _window(i, channels, after, before)
        total = ZERO
        for j in range(low, high):
            total += read(terms, j, 0)
        slope = TWO * share * beta * read(x, i, 0) * total
        write(dx, i, 0, read(dy, i, 0) * power(denominator, -beta) - slope)
