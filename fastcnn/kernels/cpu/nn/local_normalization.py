"""Normalization of each number by its neighbours across the channels (Krizhevsky et al., 2012).

With the denominator s[c] = k + share * (the sum of squares of x[c - before] to x[c + after]),

    y[c] = x[c] * s[c]^-beta
    dx[c] = dy[c] * s[c]^-beta - 2 * share * beta * x[c] * (the sum of dy * x * s^(-beta - 1)
            over the channels whose windows hold c, from c - after to c + before).

Nothing is kept for the gradient: the denominators are a few multiply-adds away from x.
"""

from __future__ import annotations

import numpy as np

from fastcnn.kernels.cpu.nn.activation import as_float
from fastcnn.kernels.cpu.nn.curves import exp
from fastcnn.kernels.cpu.runtime.function import kernel_function
from fastcnn.kernels.cpu.runtime.kernel import kernel, record
from fastcnn.kernels.cpu.simd.pointers import floats, record_at
from fastcnn.kernels.cpu.simd.vector import fma, load, load_between, multiply, splat, store
from fastcnn.kernels.cpu.simd.vector_unit import LANES

WINDOW = ("pixels", "channels", "before", "after", "share", "beta", "k")
RESPONSE_NORM = record("x", "y", *WINDOW)
RESPONSE_NORM_TERMS = record("x", "dy", "terms", *WINDOW)
RESPONSE_NORM_DX = record("x", "dy", "terms", "dx", *WINDOW)

f32 = np.float32
ONE, HALF = f32(1), f32(0.5)
SMALLEST = f32(1.17549435e-38)  # of the numbers whose bits are an exponent and a mantissa


@kernel_function
def log(x):
    """Return the natural logarithm of x > 0; below 1.2e-38, that of 1.2e-38."""
    x = max(x, SMALLEST)
    bits = f32(x).view(np.int32)
    exponent = f32(np.int32((bits >> np.int32(23)) - np.int32(126)))
    m = np.int32((bits & np.int32(0x007FFFFF)) | np.int32(0x3F000000)).view(np.float32)  # 0.5 to 1
    low = m < f32(0.70710678)
    exponent = exponent - ONE if low else exponent
    m = m + m - ONE if low else m - ONE
    square = m * m
    p = f32(7.0376836e-2)
    p = p * m + f32(-1.1514610e-1)
    p = p * m + f32(1.1676998e-1)
    p = p * m + f32(-1.2420141e-1)
    p = p * m + f32(1.4249323e-1)
    p = p * m + f32(-1.6668057e-1)
    p = p * m + f32(2.0000714e-1)
    p = p * m + f32(-2.4999994e-1)
    p = p * m + f32(3.3333331e-1)
    rest = p * m * square + exponent * f32(-2.12194440e-4) - HALF * square
    return m + rest + exponent * f32(0.693359375)


@kernel_function
def power(base, exponent):
    """Return base^exponent of a base above 0; NaN stays."""
    value = exp(exponent * log(base))
    return base if base != base else value


@kernel_function
def _window_sum(at, c, channels, before, after, squared):
    """Return the sum over each channel's window, of the row of channels at an address, in a vector
    of channels from c on; of their squares where asked."""
    total, unit = splat(0.0), splat(1.0)
    for shift in range(-before, after + 1):
        first = c + shift  # the channel in lane 0
        value = load_between(at + 4 * first, max(-first, 0), min(LANES, channels - first))
        total = fma(value, value if squared else unit, total)
    return total


@kernel_function
def _denominators(op, x, to):
    """Set the row of denominators of a pixel."""
    share, k = splat(as_float(op.share)), splat(as_float(op.k))
    for c in range(0, op.channels, LANES):
        total = _window_sum(x, c, op.channels, op.before, op.after, True)
        store(fma(total, share, k), to + 4 * c, min(LANES, op.channels - c))


@kernel(RESPONSE_NORM)
def response_norm(pointer):
    """y = x * (k + share * the sum of squares over the window)^-beta, of one image x[P, C]."""
    op = record_at(pointer)
    beta, row = as_float(op.beta), 4 * op.channels
    for pixel in range(op.pixels):
        at = pixel * row
        _denominators(op, op.x + at, op.y + at)
        x, y = floats(op.x + at, op.channels), floats(op.y + at, op.channels)
        for c in range(op.channels):
            y[c] = x[c] * power(y[c], -beta)


@kernel(RESPONSE_NORM_TERMS)
def response_norm_terms(pointer):
    """terms = dy * x * denominator^(-beta - 1), of which the gradient needs sums."""
    op = record_at(pointer)
    beta, row = as_float(op.beta), 4 * op.channels
    for pixel in range(op.pixels):
        at = pixel * row
        _denominators(op, op.x + at, op.terms + at)
        x, dy = floats(op.x + at, op.channels), floats(op.dy + at, op.channels)
        terms = floats(op.terms + at, op.channels)
        for c in range(op.channels):
            terms[c] = dy[c] * x[c] * power(terms[c], -beta - ONE)


@kernel(RESPONSE_NORM_DX)
def response_norm_dx(pointer):
    """dx = dy * denominator^-beta - 2 * share * beta * x * (the sum of the terms that x is in)."""
    op = record_at(pointer)
    beta, row = as_float(op.beta), 4 * op.channels
    factor = splat(f32(-2) * as_float(op.share) * beta)
    for pixel in range(op.pixels):
        at = pixel * row
        _denominators(op, op.x + at, op.dx + at)
        dy, dx = floats(op.dy + at, op.channels), floats(op.dx + at, op.channels)
        for c in range(op.channels):
            dx[c] = dy[c] * power(dx[c], -beta)
        for c in range(0, op.channels, LANES):
            lanes = min(LANES, op.channels - c)
            total = _window_sum(op.terms + at, c, op.channels, op.after, op.before, False)
            slope = multiply(factor, load(op.x + at + 4 * c, lanes))
            to = op.dx + at + 4 * c
            store(fma(slope, total, load(to, lanes)), to, lanes)
