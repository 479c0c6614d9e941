"""Element-wise kernels: softmax, dropout, sums of buffers; `activation_functions` has the rest."""

from __future__ import annotations

import numpy as np

from fastcnn.kernels.cpu.runtime.function import kernel_function
from fastcnn.kernels.cpu.runtime.kernel import kernel, record
from fastcnn.kernels.cpu.simd.pointers import floats, longs, record_at
from fastcnn.kernels.cpu.simd.strips import pixels_near
from fastcnn.kernels.cpu.simd.vector import add as vector_add
from fastcnn.kernels.cpu.simd.vector import fma, load, splat, store, where_larger
from fastcnn.kernels.cpu.simd.vector_unit import LANES
from fastcnn.kernels.shared.losses import softmax as softmax_row

SOFTMAX = record("x", "y", "rows", "columns")
SOFTMAX_DX = record("y", "dy", "dx", "rows", "columns")
ADD = record("a", "b", "y", "size", "relu")
AFFINE = record("x", "scale", "offset", "y", "residual", "pixels", "channels", "relu")
DROPOUT = record("x", "y", "random", "size", "decisions", "stream", "threshold", "scale")

f32 = np.float32
ZERO = f32(0)


@kernel_function
def as_float(bits):
    """Return the float32 whose bits an integer field holds."""
    return np.int32(bits).view(np.float32)


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
    strip = pixels_near(op.channels)
    for first in range(0, op.pixels, strip):
        for c in range(0, op.channels, LANES):
            lanes = min(LANES, op.channels - c)
            scale, offset = load(op.scale + 4 * c, lanes), load(op.offset + 4 * c, lanes)
            at = first * step + 4 * c
            for _ in range(min(strip, op.pixels - first)):
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

    Elements `decisions` apart have the same bits: all have their own where there are `size`.
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
    if op.decisions == op.size:
        for i in range(op.size):
            kept = random_bits(i, key) >= threshold
            y[i] = x[i] * scale if kept else ZERO
        return
    for decision in range(op.decisions):
        kept = random_bits(decision, key) >= threshold
        for i in range(decision, op.size, op.decisions):
            y[i] = x[i] * scale if kept else ZERO
