"""Batch normalization: moments, their merging, and the gradient.

Each chunk of images keeps its own (count, means, sums of squared deviations); they are merged in
chunk order in float64 (Chan, Golub and LeVeque, 1979), so the result is the same for any number of
threads and does not suffer where the mean is large against the deviation.
"""

from __future__ import annotations

import math

import numpy as np

from fastcnn.kernels.call import IMAGE, Calls, Region
from fastcnn.kernels.cpu.chunk_sums import empty_sums
from fastcnn.kernels.cpu.nn.activation import as_float
from fastcnn.kernels.cpu.runtime.function import kernel_function
from fastcnn.kernels.cpu.runtime.kernel import kernel, record
from fastcnn.kernels.cpu.simd.pointers import floats, record_at
from fastcnn.kernels.cpu.simd.strips import pixels_near
from fastcnn.kernels.cpu.simd.vector import add, fma, load, multiply, splat, store, where_larger
from fastcnn.kernels.cpu.simd.vector_unit import LANES

MOMENTS = record("x", "partial", "pixels", "channels")
MERGE = record(
    *("partial", "moments", "gamma", "beta", "moving_mean", "moving_variance", "scale", "shift"),
    *("partial_stride", "pixels", "channels", "epsilon", "momentum"),
)
MOVING = record(
    *("gamma", "beta", "moving_mean", "moving_variance", "scale", "shift", "channels", "epsilon"),
)
SUMS = record("x", "dy", "moments", "scale", "shift", "partial", "pixels", "channels", "epsilon")
MERGE_DW = record(
    *("partial", "moments", "gamma", "coefficients", "gamma_gradient", "beta_gradient"),
    *("partial_stride", "pixels", "channels", "epsilon"),
)
BATCH_NORM_DX = record("x", "dy", "coefficients", "scale", "shift", "dx", "pixels", "channels")
LONGER = 8  # times a strip has to be as long for moments: each merging rounds the mean
SUMMED = IMAGE  # a call of `batch_moments` or `batch_norm_sums` adds an image to its chunk's sums


@kernel_function
def _merge_moments(op, start, pixels):
    """Merge the moments of some pixels of an image into the chunk's."""
    before = floats(op.partial, 1)[0]
    total = before + np.float32(pixels)
    step = 4 * op.channels
    share = splat(1.0 / pixels)
    for c in range(0, op.channels, LANES):
        lanes = min(LANES, op.channels - c)
        source = op.x + start * step + 4 * c
        even, odd = splat(0.0), splat(0.0)
        at = source
        for _ in range(pixels // 2):
            even = add(even, load(at, lanes))
            odd = add(odd, load(at + step, lanes))
            at += 2 * step
        if pixels % 2:
            even = add(even, load(at, lanes))
        mean = multiply(add(even, odd), share)
        below = multiply(mean, splat(-1.0))
        even, odd = splat(0.0), splat(0.0)
        at = source
        for _ in range(pixels // 2):
            first, second = add(load(at, lanes), below), add(load(at + step, lanes), below)
            even, odd = fma(first, first, even), fma(second, second, odd)
            at += 2 * step
        if pixels % 2:
            first = add(load(at, lanes), below)
            even = fma(first, first, even)
        means_at, squares_at = op.partial + 4 * (1 + c), op.partial + 4 * (1 + op.channels + c)
        difference = add(mean, multiply(load(means_at, lanes), splat(-1.0)))
        new_share = splat(np.float32(pixels) / total)
        both_share = splat(before * np.float32(pixels) / total)
        squares = add(load(squares_at, lanes), add(even, odd))
        store(fma(difference, new_share, load(means_at, lanes)), means_at, lanes)
        store(fma(multiply(difference, difference), both_share, squares), squares_at, lanes)
    floats(op.partial, 1)[0] = total


@kernel(MOMENTS)
def batch_moments(pointer):
    """Merge one image's x[P, C] into a chunk's partial [count, mean[C], squared deviations[C]]."""
    op = record_at(pointer)
    strip = LONGER * pixels_near(op.channels)
    for start in range(0, op.pixels, strip):
        _merge_moments(op, start, min(strip, op.pixels - start))


@kernel_function
def _scale_and_shift(op, c, mean, variance):
    gamma = floats(op.gamma, op.channels)[c] if op.gamma else np.float32(1)
    beta = floats(op.beta, op.channels)[c] if op.beta else np.float32(0)
    scale = gamma / math.sqrt(variance + as_float(op.epsilon))
    floats(op.scale, op.channels)[c] = scale
    floats(op.shift, op.channels)[c] = beta - mean * scale


@kernel(MERGE)
def batch_scale_shift(pointer):
    """Merge the chunks' moments; set moments[2, C] (mean, variance), scale[C], shift[C]; move the
    moving statistics. The variance is the biased one throughout, as in Keras."""
    op = record_at(pointer)
    moments = floats(op.moments, 2 * op.channels)
    moving_mean = floats(op.moving_mean, op.channels)
    moving_variance = floats(op.moving_variance, op.channels)
    keep = as_float(op.momentum)
    for c in range(op.channels):
        count, mean, squares = 0.0, 0.0, 0.0
        for chunk in range(op.chunks):
            partial = floats(op.partial + chunk * op.partial_stride, 1 + 2 * op.channels)
            more = np.float64(partial[0])
            difference = partial[1 + c] - mean
            squares += partial[1 + op.channels + c]
            squares += difference * difference * count * more / (count + more)
            mean += difference * more / (count + more)
            count += more
        variance = squares / count
        moments[c], moments[op.channels + c] = mean, variance
        _scale_and_shift(op, c, mean, variance)
        if math.isfinite(mean) and math.isfinite(variance):
            moving_mean[c] = moving_mean[c] * keep + np.float32(mean) * (1 - keep)
            moving_variance[c] = moving_variance[c] * keep + np.float32(variance) * (1 - keep)


@kernel(MOVING)
def moving_scale_shift(pointer):
    """Set scale[C] and shift[C] from the moving statistics."""
    op = record_at(pointer)
    mean, variance = floats(op.moving_mean, op.channels), floats(op.moving_variance, op.channels)
    for c in range(op.channels):
        _scale_and_shift(op, c, np.float64(mean[c]), np.float64(variance[c]))


@kernel_function
def _gate_of(op, c, lanes):
    """Return the scale and shift after which ReLU decides what dy counts, of some channels."""
    # Without a gate everything passes: 0 * x + 1 is above zero.
    scale = load(op.scale + 4 * c, lanes) if op.scale else splat(0.0)
    shift = load(op.shift + 4 * c, lanes) if op.scale else splat(1.0)
    return scale, shift


@kernel_function
def _let_through(x, dy, scale, shift):
    """Return dy where ReLU let scale * x + shift through, else zero."""
    zero = splat(0.0)
    return where_larger(fma(x, scale, shift), zero, dy, zero)


@kernel_function
def _add_sums(op, start, pixels):
    """Add the sums of some pixels of an image to the chunk's."""
    step = 4 * op.channels
    for c in range(0, op.channels, LANES):
        lanes = min(LANES, op.channels - c)
        below = multiply(load(op.moments + 4 * c, lanes), splat(-1.0))
        scale, shift = _gate_of(op, c, lanes)
        dy_sum, product = splat(0.0), splat(0.0)
        dy_odd, product_odd = splat(0.0), splat(0.0)
        at = start * step + 4 * c
        for _ in range(pixels // 2):
            x, x_odd = load(op.x + at, lanes), load(op.x + at + step, lanes)
            dy = _let_through(x, load(op.dy + at, lanes), scale, shift)
            odd = _let_through(x_odd, load(op.dy + at + step, lanes), scale, shift)
            dy_sum, dy_odd = add(dy_sum, dy), add(dy_odd, odd)
            product = fma(dy, add(x, below), product)
            product_odd = fma(odd, add(x_odd, below), product_odd)
            at += 2 * step
        if pixels % 2:
            x = load(op.x + at, lanes)
            dy = _let_through(x, load(op.dy + at, lanes), scale, shift)
            dy_sum = add(dy_sum, dy)
            product = fma(dy, add(x, below), product)
        to = op.partial + 4 * c
        store(add(load(to, lanes), add(dy_sum, dy_odd)), to, lanes)
        to += step
        store(add(load(to, lanes), add(product, product_odd)), to, lanes)


@kernel(SUMS)
def batch_norm_sums(pointer):
    """Add one image's sums over pixels of dy and of dy * (x - mean) to a chunk's partial [2, C].

    With scale and shift, dy counts only where ReLU let scale * x + shift through.
    """
    op = record_at(pointer)
    strip = pixels_near(op.channels)
    for start in range(0, op.pixels, strip):
        _add_sums(op, start, min(strip, op.pixels - start))


@kernel(MERGE_DW)
def batch_norm_dw(pointer):
    """Merge the chunks' sums: gradients of gamma and beta, and coefficients[3, C] with
    dx = coefficients[0] * dy + coefficients[1] * x + coefficients[2]."""
    op = record_at(pointer)
    channels = op.channels
    moments = floats(op.moments, 2 * channels)
    coefficients = floats(op.coefficients, 3 * channels)
    pixels = np.float64(op.count * op.pixels)
    for c in range(channels):
        dy_sum, product = 0.0, 0.0
        for chunk in range(op.chunks):
            partial = floats(op.partial + chunk * op.partial_stride, 2 * channels)
            dy_sum += partial[c]
            product += partial[channels + c]
        inverse = 1.0 / math.sqrt(moments[channels + c] + as_float(op.epsilon))
        product *= inverse
        gamma = floats(op.gamma, channels)[c] if op.gamma else np.float32(1)
        if op.gamma_gradient:
            floats(op.gamma_gradient, channels)[c] = product
        if op.beta_gradient:
            floats(op.beta_gradient, channels)[c] = dy_sum
        slope = -gamma * inverse * inverse * product / pixels
        coefficients[c] = gamma * inverse
        coefficients[channels + c] = slope
        coefficients[2 * channels + c] = -gamma * inverse * dy_sum / pixels - slope * moments[c]


@kernel(BATCH_NORM_DX)
def batch_norm_dx(pointer):
    """dx[P, C] = a[c] * dy + b[c] * x + d[c], the coefficients (a, b, d) of `batch_norm_dw`.

    With scale and shift, dy counts only where ReLU let scale * x + shift through.
    """
    op = record_at(pointer)
    step = 4 * op.channels
    strip = pixels_near(op.channels)
    for first in range(0, op.pixels, strip):
        for c in range(0, op.channels, LANES):
            lanes = min(LANES, op.channels - c)
            at = op.coefficients + 4 * c
            a, b, d = load(at, lanes), load(at + step, lanes), load(at + 2 * step, lanes)
            scale, shift = _gate_of(op, c, lanes)
            place = first * step + 4 * c
            for _ in range(min(strip, op.pixels - first)):
                x = load(op.x + place, lanes)
                dy = _let_through(x, load(op.dy + place, lanes), scale, shift)
                store(fma(a, dy, fma(b, x, d)), op.dx + place, lanes)
                place += step


def empty_partial(calls: Calls, pixels: int, channels: int, floats: int) -> Region:
    """Return so many sums that each chunk has of its own, zero before its first image."""
    return empty_sums(calls, floats, "partial moments")
