"""Batch normalization: moments, their merging, and what the gradient's sums are made by.

Each part of a chunk of images has its own (count, means, sums of squared deviations), found around
the means of a few pixels at a time and merged pairwise (Chan, Golub and LeVeque, 1979); the parts
are merged in float64. So the result does not suffer where the mean is large against the deviation.
"""

import math

import numpy as np

from fastcnn.kernels.call import CHUNK, PARTIAL, Calls, Region
from fastcnn.kernels.cuda.nn.channel_sums import (
    CHANNELS,
    MERGED_CHANNELS,
    PAIRS,
    STRIP,
    THREADS,
    by_channel,
    by_part,
    parts_of,
    seat,
    span,
)
from fastcnn.kernels.cuda.nn.normalization_gradient import (
    batch_norm_dw,
    batch_norm_dx,
    batch_norm_sums,
)
from fastcnn.kernels.cuda.runtime.device import cuda
from fastcnn.kernels.cuda.runtime.kernel import Float, Floats, Int, inline, kernel, once
from fastcnn.kernels.cuda.runtime.memory_access import read
from fastcnn.kernels.cuda.runtime.reduction import sum_rows

__all__ = [
    "batch_moments",
    "batch_norm_dw",
    "batch_norm_dx",
    "batch_norm_sums",
    "batch_scale_shift",
    "empty_partial",
    "moving_scale_shift",
]

f32, f64 = np.float32, np.float64
ZERO, ONE = f32(0), f32(1)
SUMMED = CHUNK  # a call of `batch_moments` or `batch_norm_sums` goes through a chunk of images


@kernel(by_part)
def batch_moments(count: Int, chunks: Int, x: Floats, partial: Floats, pixels: Int, channels: Int):
    """Set each part's partial [count, mean[C], squared deviations[C]] of x[P, C]."""
    counts = cuda.shared.array(THREADS, f32)
    means = cuda.shared.array(THREADS, f32)
    deviations = cuda.shared.array(THREADS, f32)
    values = cuda.local.array(STRIP, f32)
    thread = cuda.threadIdx.x
    width, rows, row, lane = seat(thread, channels, CHANNELS)
    c = cuda.blockIdx.x * width + lane
    low, high = span(count, chunks, pixels, parts_of(pixels, channels), cuda.blockIdx.y)
    number, mean, squares = ZERO, ZERO, ZERO
    pixel = low + row if c < channels else high
    at = pixel * channels + c
    step = rows * channels
    while pixel < high:
        more, total = ZERO, ZERO
        for j in range(STRIP):
            inside = pixel + j * rows < high
            # Read in any case, so that all loads are under way at once.
            values[j] = read(x, at, j * step if inside else 0)
            total += values[j] if inside else ZERO
            more += ONE if inside else ZERO
        own = total / more
        for j in range(STRIP):
            deviation = values[j] - own if f32(j) < more else ZERO
            squares += deviation * deviation
        share = more / (number + more)
        difference = own - mean
        squares += difference * difference * (number * share)
        mean += difference * share
        number += more
        pixel += STRIP * rows
        at += STRIP * step
    counts[thread], means[thread], deviations[thread] = number, mean, squares
    half = rows // 2
    while half > 0:
        cuda.syncthreads()
        other = thread + half * width
        if row < half and counts[other] > ZERO:
            share = counts[other] / (counts[thread] + counts[other])
            difference = means[other] - means[thread]
            spread = difference * difference * (counts[thread] * share)
            deviations[thread] += deviations[other] + spread
            means[thread] += difference * share
            counts[thread] += counts[other]
        half //= 2
    if row == 0 and c < channels:
        to = cuda.blockIdx.y * (1 + 2 * channels)
        if c == 0:
            partial[to] = counts[thread]
        partial[to + 1 + c] = means[thread]
        partial[to + 1 + channels + c] = deviations[thread]


@inline
def _scale_and_shift(c, mean, variance, gamma, beta, scale, shift, epsilon):
    factor = f64(gamma[c]) if gamma.size > 0 else 1.0
    factor /= math.sqrt(variance + f64(epsilon))
    scale[c] = factor
    shift[c] = (f64(beta[c]) if beta.size > 0 else 0.0) - mean * factor


@kernel(by_channel)
def batch_scale_shift(
    chunks: Int, partial: Floats, moments: Floats, gamma: Floats, beta: Floats, moving_mean: Floats,
    moving_variance: Floats, scale: Floats, shift: Floats, pixels: Int, channels: Int,
    epsilon: Float, momentum: Float,
):  # fmt: skip
    """Merge the parts' moments; set moments[2, C] (mean, variance), scale[C], shift[C]; move the
    moving statistics. The variance is the biased one throughout, as in Keras."""
    sums = cuda.shared.array(PAIRS, f64)
    thread = cuda.threadIdx.x
    width, rows, row, lane = seat(thread, channels, MERGED_CHANNELS)
    own, other = 2 * row * width + lane, (2 * row + 1) * width + lane
    c = cuda.blockIdx.x * width + lane
    length = 1 + 2 * channels
    end = chunks * parts_of(pixels, channels) if c < channels else 0
    number, total = 0.0, 0.0
    for part in range(row, end, rows):
        more = f64(partial[part * length])
        number += more
        total += more * f64(partial[part * length + 1 + c])
    sums[own], sums[other] = number, total
    sum_rows(sums, thread, 2 * width)
    number = sums[lane]
    mean = sums[width + lane] / max(number, 1.0)  # lanes beyond the channels have none
    cuda.syncthreads()
    total = 0.0
    for part in range(row, end, rows):
        difference = f64(partial[part * length + 1 + c]) - mean
        total += f64(partial[part * length + 1 + channels + c])
        total += difference * difference * f64(partial[part * length])
    sums[own], sums[other] = 0.0, total
    sum_rows(sums, thread, 2 * width)
    if row > 0 or c >= channels:
        return
    variance = sums[width + lane] / number
    moments[c], moments[channels + c] = mean, variance
    _scale_and_shift(c, mean, variance, gamma, beta, scale, shift, epsilon)
    if math.isfinite(mean) and math.isfinite(variance):
        keep = f64(momentum)
        moving_mean[c] = f64(moving_mean[c]) * keep + mean * (1.0 - keep)
        moving_variance[c] = f64(moving_variance[c]) * keep + variance * (1.0 - keep)


@kernel(once("channels"))
def moving_scale_shift(
    gamma: Floats,
    beta: Floats,
    moving_mean: Floats,
    moving_variance: Floats,
    scale: Floats,
    shift: Floats,
    channels: Int,
    epsilon: Float,
):
    """Set scale[C] and shift[C] from the moving statistics."""
    for c in range(cuda.grid(1), channels, cuda.gridsize(1)):
        mean, variance = f64(moving_mean[c]), f64(moving_variance[c])
        _scale_and_shift(c, mean, variance, gamma, beta, scale, shift, epsilon)


def empty_partial(calls: Calls, pixels: int, channels: int, floats: int) -> Region:
    """Return so many floats for each part of a chunk."""
    return Region(4 * floats * parts_of(pixels, channels), PARTIAL, label="partial moments")
