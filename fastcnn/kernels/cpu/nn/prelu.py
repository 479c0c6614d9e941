"""A rectifier whose slope below zero is learned, and its gradients."""

from __future__ import annotations

import numpy as np

from fastcnn.kernels.cpu.runtime.function import kernel_function
from fastcnn.kernels.cpu.runtime.kernel import kernel, record
from fastcnn.kernels.cpu.simd.pointers import floats, record_at

PRELU = record("x", "alpha", "y", "rows", "columns")
PRELU_DX = record("x", "dy", "alpha", "dx", "rows", "columns")
PRELU_TERMS = record("x", "dy", "terms", "size")

ZERO = np.float32(0)


@kernel_function
def _scaled_below(op, gate, x, y):
    """y[r, c] = alpha[c] * x[r, c] where gate[r, c] <= 0, else x[r, c]; all three at addresses."""
    alpha = floats(op.alpha, op.columns)
    for row in range(op.rows):
        at = 4 * row * op.columns
        gates, values = floats(gate + at, op.columns), floats(x + at, op.columns)
        results = floats(y + at, op.columns)
        for c in range(op.columns):
            results[c] = alpha[c] * values[c] if gates[c] <= ZERO else values[c]


@kernel(PRELU)
def prelu(pointer):
    """y[r, c] = x[r, c] above 0, alpha[c] * x[r, c] below, of one image."""
    op = record_at(pointer)
    _scaled_below(op, op.x, op.x, op.y)


@kernel(PRELU_DX)
def prelu_dx(pointer):
    """dx[r, c] = dy[r, c] where x > 0, else alpha[c] * dy[r, c], of one image."""
    op = record_at(pointer)
    _scaled_below(op, op.x, op.dy, op.dx)


@kernel(PRELU_TERMS)
def prelu_terms(pointer):
    """terms = dy * min(x, 0): what the gradient of alpha sums."""
    op = record_at(pointer)
    x, dy, terms = floats(op.x, op.size), floats(op.dy, op.size), floats(op.terms, op.size)
    for i in range(op.size):
        terms[i] = dy[i] * x[i] if x[i] <= ZERO else ZERO
