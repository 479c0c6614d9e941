"""Element-wise kernels: activations and their gradients, softmax, dropout, sums of buffers.

The exponential is written out as a polynomial, so that LLVM turns every loop into vector code; its
relative error stays below 2e-7.
"""

from __future__ import annotations

import numpy as np

from fastcnn.kernels.cpu.runtime.function import kernel_function
from fastcnn.kernels.cpu.runtime.kernel import kernel, record
from fastcnn.kernels.cpu.simd.pointers import floats, longs, record_at
from fastcnn.kernels.cpu.simd.register_tile import LANES
from fastcnn.kernels.cpu.simd.vector import add as vector_add
from fastcnn.kernels.cpu.simd.vector import fma, load, multiply, splat, store, where_larger
from fastcnn.kernels.shared.losses import softmax as softmax_row

FUNCTIONS = ("relu", "leaky_relu", "elu", "gelu", "sigmoid", "tanh")
RELU, LEAKY_RELU, ELU, GELU, SIGMOID, TANH = range(len(FUNCTIONS))

ACTIVATION = record("x", "y", "size", "function", "constant")
ACTIVATION_DX = record("saved", "dy", "dx", "size", "function", "constant")
SOFTMAX = record("x", "y", "rows", "columns")
SOFTMAX_DX = record("y", "dy", "dx", "rows", "columns")
ADD = record("a", "b", "y", "size", "relu")
AFFINE = record("x", "scale", "offset", "y", "residual", "pixels", "channels", "relu")
DROPOUT = record("x", "y", "random", "size", "stream", "threshold", "scale")

f32 = np.float32
ZERO, ONE, HALF = f32(0), f32(1), f32(0.5)


@kernel_function
def as_float(bits):
    """Return the float32 whose bits an integer field holds."""
    return np.int32(bits).view(np.float32)


@kernel_function
def exp(x):
    """Return e^x for x in [-87, 88]; outside, that of the nearest end."""
    x = min(max(x, f32(-87.0)), f32(88.0))
    n = np.floor(x * f32(1.44269504) + HALF)
    r = (x - n * f32(0.693359375)) + n * f32(2.12194440e-4)
    p = f32(1.9875691e-4)
    p = p * r + f32(1.3981999e-3)
    p = p * r + f32(8.3334519e-3)
    p = p * r + f32(4.1665796e-2)
    p = p * r + f32(1.6666665e-1)
    p = p * r + HALF
    p = p * r * r + r + ONE
    power = (np.int32(n) + np.int32(127)) << np.int32(23)
    return p * np.int32(power).view(np.float32)


@kernel_function
def sigmoid(x):
    """Return 1 / (1 + e^-x)."""
    return x if x != x else ONE / (ONE + exp(-x))


@kernel_function
def tanh(x):
    """Return the hyperbolic tangent; its series near zero, where the quotient would cancel."""
    square = x * x
    near = f32(-1.7 / 315) * f32(10)
    near = x * (ONE + square * (f32(-1 / 3) + square * (f32(2 / 15) + square * near)))
    quotient = ONE - f32(2) / (exp(x + x) + ONE)
    value = near if square < f32(0.04) else quotient
    return x if x != x else value


@kernel_function
def erf(x):
    """Return the error function (Abramowitz and Stegun 7.1.26; near zero its series)."""
    a = abs(x)
    t = ONE / (ONE + f32(0.3275911) * a)
    p = f32(1.061405429)
    p = p * t + f32(-1.453152027)
    p = p * t + f32(1.421413741)
    p = p * t + f32(-0.284496736)
    p = p * t + f32(0.254829592)
    far = ONE - p * t * exp(-a * a)
    square = a * a
    series = f32(1 / 9360)
    for divisor in (-1320.0, 216.0, -42.0, 10.0, -3.0, 1.0):
        series = series * square + f32(1.0 / divisor)
    near = f32(1.1283791671) * a * series
    value = near if a < f32(0.9) else far
    return value if x >= ZERO else -value


@kernel_function
def gelu(x):
    """Return x times the standard normal distribution's value at x."""
    return HALF * x * (ONE + erf(x * f32(0.70710678)))


@kernel_function
def gelu_slope(x):
    density = f32(0.39894228) * exp(-HALF * x * x)
    return HALF * (ONE + erf(x * f32(0.70710678))) + x * density


@kernel_function
def _rectify(gate, x, y, size, slope, to_zero):
    """y = x where gate > 0, else x * slope, or 0; all at addresses, of `size` floats.

    In vectors, since y may lie where x or the gate does: a compiled loop would then go one by one.
    """
    zero = splat(0.0)
    for i in range(0, size, LANES):
        lanes = min(LANES, size - i)
        value = load(x + 4 * i, lanes)
        below = zero if to_zero else multiply(value, slope)
        store(where_larger(load(gate + 4 * i, lanes), zero, value, below), y + 4 * i, lanes)


@kernel(ACTIVATION)
def activation(pointer):
    """y = f(x), element by element."""
    op = record_at(pointer)
    x, y = floats(op.x, op.size), floats(op.y, op.size)
    constant = as_float(op.constant)
    if op.function == RELU or op.function == LEAKY_RELU:
        _rectify(op.x, op.x, op.y, op.size, splat(constant), op.function == RELU)
    elif op.function == ELU:
        for i in range(op.size):
            y[i] = constant * (exp(x[i]) - ONE) if x[i] < ZERO else x[i]
    elif op.function == GELU:
        for i in range(op.size):
            y[i] = gelu(x[i])
    elif op.function == SIGMOID:
        for i in range(op.size):
            y[i] = sigmoid(x[i])
    elif op.function == TANH:
        for i in range(op.size):
            y[i] = tanh(x[i])


@kernel(ACTIVATION_DX)
def activation_dx(pointer):
    """dx = dy * f'(x), from the saved output, for GELU from the saved input."""
    op = record_at(pointer)
    saved, dy, dx = floats(op.saved, op.size), floats(op.dy, op.size), floats(op.dx, op.size)
    constant = as_float(op.constant)
    if op.function == RELU or op.function == LEAKY_RELU:
        _rectify(op.saved, op.dy, op.dx, op.size, splat(constant), op.function == RELU)
    elif op.function == ELU:
        for i in range(op.size):
            dx[i] = dy[i] if saved[i] > ZERO else dy[i] * (saved[i] + constant)
    elif op.function == GELU:
        for i in range(op.size):
            dx[i] = dy[i] * gelu_slope(saved[i])
    elif op.function == SIGMOID:
        for i in range(op.size):
            dx[i] = dy[i] * saved[i] * (ONE - saved[i])
    elif op.function == TANH:
        for i in range(op.size):
            dx[i] = dy[i] * (ONE - saved[i] * saved[i])


_softmax_row = kernel_function(softmax_row)


@kernel(SOFTMAX)
def softmax(pointer):
    """y = softmax(x) along rows of `columns`."""
    op = record_at(pointer)
    x, y = floats(op.x, op.rows * op.columns), floats(op.y, op.rows * op.columns)
    for row in range(op.rows):
        at, end = row * op.columns, (row + 1) * op.columns
        _softmax_row(x[at:end], y[at:end])


@kernel(SOFTMAX_DX)
def softmax_dx(pointer):
    """dx = y * (dy - sum(y * dy)) along rows of `columns`."""
    op = record_at(pointer)
    size = op.rows * op.columns
    y, dy, dx = floats(op.y, size), floats(op.dy, size), floats(op.dx, size)
    for row in range(op.rows):
        total = ZERO
        for i in range(row * op.columns, (row + 1) * op.columns):
            total += y[i] * dy[i]
        for i in range(row * op.columns, (row + 1) * op.columns):
            dx[i] = y[i] * (dy[i] - total)


@kernel(ADD)
def add(pointer):
    """y = a + b, then ReLU where asked."""
    op = record_at(pointer)
    floor = splat(0.0) if op.relu else splat(-np.inf)
    for i in range(0, op.size, LANES):
        lanes = min(LANES, op.size - i)
        total = vector_add(load(op.a + 4 * i, lanes), load(op.b + 4 * i, lanes))
        store(where_larger(total, floor, total, floor), op.y + 4 * i, lanes)


@kernel(AFFINE)
def affine(pointer):
    """y[p, c] = x[p, c] * scale[c] + offset[c] (+ residual[p, c]), then ReLU where asked."""
    op = record_at(pointer)
    step = 4 * op.channels
    floor = splat(0.0) if op.relu else splat(-np.inf)
    for c in range(0, op.channels, LANES):
        lanes = min(LANES, op.channels - c)
        scale, offset = load(op.scale + 4 * c, lanes), load(op.offset + 4 * c, lanes)
        at = 4 * c
        for _ in range(op.pixels):
            value = fma(load(op.x + at, lanes), scale, offset)
            if op.residual:
                value = vector_add(value, load(op.residual + at, lanes))
            store(where_larger(value, floor, value, floor), op.y + at, lanes)
            at += step


@kernel_function
def random_bits(counter, key):
    """Return 32 bits that depend on a counter and a key alone (the mixer of Wellons, 2018)."""
    # Numba widens uint32 arithmetic to 64 bits: cut back to 32 after each step.
    z = np.uint32(np.uint32(counter) * np.uint32(0x9E3779B9) + np.uint32(key))
    z = np.uint32(np.uint32(z ^ (z >> np.uint32(16))) * np.uint32(0x7FEB352D))
    z = np.uint32(np.uint32(z ^ (z >> np.uint32(15))) * np.uint32(0x846CA68B))
    return np.uint32(z ^ (z >> np.uint32(16)))


@kernel(DROPOUT)
def dropout(pointer):
    """y = x * scale where an element's random bits reach the threshold, else 0.

    `random` holds (seed, step). Forward and backward draw the same bits, so no mask is stored.
    """
    op = record_at(pointer)
    x, y = floats(op.x, op.count * op.size), floats(op.y, op.count * op.size)
    random = longs(op.random, 2)
    scale = as_float(op.scale)
    threshold = np.uint32(op.threshold)
    key = random_bits(random[0], random[1])
    key = random_bits(op.stream, key)
    key = random_bits(op.first, key)
    for i in range(op.size):
        kept = random_bits(i, key) >= threshold
        y[i] = x[i] * scale if kept else ZERO
