"""Products of a map and a number for each of its channels, and the gradient of these numbers."""

from __future__ import annotations

from fastcnn.kernels.cpu.runtime.kernel import kernel, record
from fastcnn.kernels.cpu.simd.pointers import record_at
from fastcnn.kernels.cpu.simd.vector import add, fma, load, splat, store
from fastcnn.kernels.cpu.simd.vector import multiply as vector_multiply
from fastcnn.kernels.cpu.simd.vector_unit import LANES

MULTIPLY = record("x", "gate", "y", "pixels", "channels")
PRODUCT_SUMS = record("x", "dy", "sums", "pixels", "channels")


@kernel(MULTIPLY)
def multiply(pointer):
    """y[p, c] = x[p, c] * gate[c], of one image x[P, C]."""
    op = record_at(pointer)
    step = 4 * op.channels
    for c in range(0, op.channels, LANES):
        lanes = min(LANES, op.channels - c)
        gate, at = load(op.gate + 4 * c, lanes), 4 * c
        for _ in range(op.pixels):
            store(vector_multiply(load(op.x + at, lanes), gate), op.y + at, lanes)
            at += step


@kernel(PRODUCT_SUMS)
def product_sums(pointer):
    """sums[c] = the sum over pixels of x[p, c] * dy[p, c], of one image."""
    op = record_at(pointer)
    step = 4 * op.channels
    for c in range(0, op.channels, LANES):
        lanes = min(LANES, op.channels - c)
        even, odd = splat(0.0), splat(0.0)
        at = 4 * c
        for _ in range(op.pixels // 2):
            even = fma(load(op.x + at, lanes), load(op.dy + at, lanes), even)
            at += step
            odd = fma(load(op.x + at, lanes), load(op.dy + at, lanes), odd)
            at += step
        if op.pixels % 2:
            even = fma(load(op.x + at, lanes), load(op.dy + at, lanes), even)
        store(add(even, odd), op.sums + 4 * c, lanes)
