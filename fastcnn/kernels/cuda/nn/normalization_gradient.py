"""The gradient of batch normalization: sums over the batch, their merging, and dx."""

import math

import numpy as np

from fastcnn.kernels.cuda.nn.channel_sums import (
    CHANNELS,
    MERGED_CHANNELS,
    PAIRS,
    by_channel,
    by_part,
    parts_of,
    seat,
    span,
)
from fastcnn.kernels.cuda.runtime.device import cuda
from fastcnn.kernels.cuda.runtime.indexing import channelwise, quotient
from fastcnn.kernels.cuda.runtime.kernel import Float, Floats, Int, inline, kernel
from fastcnn.kernels.cuda.runtime.memory_access import (
    is_aligned,
    read,
    read_vector,
    write,
    write_vector,
)
from fastcnn.kernels.cuda.runtime.reduction import sum_rows

f32, f64 = np.float32, np.float64
ZERO, ONE = f32(0), f32(1)

UNROLL = 4  # pixels, of two arrays, that a thread reads at a time


@inline
def let_through(x, dy, scale, shift):
    """Return dy where ReLU let scale * x + shift through, else zero."""
    return ZERO if x * scale + shift <= ZERO else dy


@kernel(by_part)
def batch_norm_sums(
    count: Int, chunks: Int, x: Floats, dy: Floats, moments: Floats, scale: Floats, shift: Floats,
    partial: Floats, pixels: Int, channels: Int, epsilon: Float,
):  # fmt: skip
    """Set each part's sums over pixels of dy and of dy * (x - mean), partial [2, C].

    With scale and shift, dy counts only where ReLU let scale * x + shift through.
    """
    sums = cuda.shared.array(PAIRS, f32)
    thread = cuda.threadIdx.x
    width, rows, row, lane = seat(thread, channels, CHANNELS)
    c = cuda.blockIdx.x * width + lane
    low, high = span(count, chunks, pixels, parts_of(pixels, channels), cuda.blockIdx.y)
    mean, factor, summand = ZERO, ZERO, ONE  # without a gate everything passes
    if c < channels:
        mean = moments[c]
        if scale.size > 0:
            factor, summand = scale[c], shift[c]
    total, product = ZERO, ZERO
    pixel = low + row if c < channels else high
    at = pixel * channels + c
    step = rows * channels
    while pixel < high:
        for j in range(UNROLL):
            inside = pixel + j * rows < high
            # Read in any case, so that all loads are under way at once.
            i = j * step if inside else 0
            value = read(x, at, i)
            slope = let_through(value, read(dy, at, i), factor, summand)
            slope = slope if inside else ZERO
            total += slope
            product += slope * (value - mean)
        pixel += UNROLL * rows
        at += UNROLL * step
    sums[2 * row * width + lane], sums[(2 * row + 1) * width + lane] = total, product
    sum_rows(sums, thread, 2 * width)
    if row == 0 and c < channels:
        to = cuda.blockIdx.y * 2 * channels + c
        partial[to] = sums[lane]
        partial[to + channels] = sums[width + lane]


@kernel(by_channel)
def batch_norm_dw(
    count: Int, chunks: Int, partial: Floats, moments: Floats, gamma: Floats, coefficients: Floats,
    gamma_gradient: Floats, beta_gradient: Floats, pixels: Int, channels: Int, epsilon: Float,
):  # fmt: skip
    """Merge the parts' sums: gradients of gamma and beta, and coefficients[3, C] with
    dx = coefficients[0] * dy + coefficients[1] * x + coefficients[2]."""
    sums = cuda.shared.array(PAIRS, f64)
    thread = cuda.threadIdx.x
    width, rows, row, lane = seat(thread, channels, MERGED_CHANNELS)
    c = cuda.blockIdx.x * width + lane
    end = chunks * parts_of(pixels, channels) if c < channels else 0
    total, product = 0.0, 0.0
    for part in range(row, end, rows):
        total += f64(partial[part * 2 * channels + c])
        product += f64(partial[part * 2 * channels + channels + c])
    sums[2 * row * width + lane], sums[(2 * row + 1) * width + lane] = total, product
    sum_rows(sums, thread, 2 * width)
    if row > 0 or c >= channels:
        return
    inverse = 1.0 / math.sqrt(f64(moments[channels + c]) + f64(epsilon))
    total, product = sums[lane], sums[width + lane] * inverse
    factor = (f64(gamma[c]) if gamma.size > 0 else 1.0) * inverse
    if gamma_gradient.size > 0:
        gamma_gradient[c] = product
    if beta_gradient.size > 0:
        beta_gradient[c] = total
    number = f64(count) * f64(pixels)
    slope = -factor * inverse * product / number
    coefficients[c] = factor
    coefficients[channels + c] = slope
    coefficients[2 * channels + c] = -factor * total / number - slope * f64(moments[c])


@inline
def _coefficients(c, coefficients, channels, scale, shift):
    """Return a channel's three coefficients, and the scale and the shift of its gate."""
    a, b, d = coefficients[c], coefficients[channels + c], coefficients[2 * channels + c]
    if scale.size > 0:
        return a, b, d, scale[c], shift[c]
    return a, b, d, ZERO, ONE


@inline
def _dx(x, dy, numbers):
    a, b, d, scale, shift = numbers
    return a * let_through(x, dy, scale, shift) + (b * x + d)


@kernel(channelwise)
def batch_norm_dx(
    count: Int, x: Floats, dy: Floats, coefficients: Floats, scale: Floats, shift: Floats,
    dx: Floats, pixels: Int, channels: Int,
):  # fmt: skip
    """dx[P, C] = a[c] * dy + b[c] * x + d[c], the coefficients (a, b, d) of `batch_norm_dw`.

    With scale and shift, dy counts only where ReLU let scale * x + shift through.
    """
    size = count * pixels * channels
    step = cuda.gridsize(1)
    at = cuda.grid(1)
    if channels % 4 == 0 and is_aligned(x) and is_aligned(dy) and is_aligned(dx):
        at, step = 4 * at, 4 * step
        c = at - quotient(at, channels) * channels
        first = _coefficients(c, coefficients, channels, scale, shift)
        second = _coefficients(c + 1, coefficients, channels, scale, shift)
        third = _coefficients(c + 2, coefficients, channels, scale, shift)
        fourth = _coefficients(c + 3, coefficients, channels, scale, shift)
        while at < size:
            u, v = read_vector(x, at, 0), read_vector(dy, at, 0)
            results = (
                _dx(u[0], v[0], first),
                _dx(u[1], v[1], second),
                _dx(u[2], v[2], third),
                _dx(u[3], v[3], fourth),
            )
            write_vector(dx, at, 0, results)
            at += step
        return
    c = at - quotient(at, channels) * channels
    numbers = _coefficients(c, coefficients, channels, scale, shift)
    while at < size:
        write(dx, at, 0, _dx(read(x, at, 0), read(dy, at, 0), numbers))
        at += step
