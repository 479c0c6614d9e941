"""Activations and their gradients, a kernel for each: what a network does not use is not compiled.

`FORWARD` and `BACKWARD` have them by their names. `saved` is what the graph keeps for the gradient:
the output, or the input where the slope does not follow from the output.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from fastcnn.kernels.cpu.nn.activation import as_float
from fastcnn.kernels.cpu.nn.curves import FORMULAS
from fastcnn.kernels.cpu.runtime.function import kernel_function
from fastcnn.kernels.cpu.runtime.kernel import Kernel, kernel, record
from fastcnn.kernels.cpu.simd.pointers import floats, record_at
from fastcnn.kernels.cpu.simd.vector import (
    add,
    load,
    multiply,
    splat,
    store,
    where_larger,
    where_smaller,
)
from fastcnn.kernels.cpu.simd.vector_unit import LANES

VALUE = record("x", "y", "size")
VALUE_OF_TWO = record("x", "y", "size", "constant")
SLOPE = record("saved", "dy", "dx", "size")
SLOPE_OF_TWO = record("saved", "dy", "dx", "size", "constant")
VALUE_OF_CLIPPED = record("x", "y", "size", "slope", "limit", "threshold")
SLOPE_OF_CLIPPED = record("saved", "dy", "dx", "size", "slope", "limit")

f32 = np.float32
ZERO, ONE, SIX = f32(0), f32(1), f32(6)


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


@kernel_function
def _clip(x, y, size, slope, limit, threshold):
    """y = min(x, limit) above threshold, else slope * (x - threshold); `size` at addresses."""
    back, zero = splat(-threshold), splat(0.0)
    for i in range(0, size, LANES):
        lanes = min(LANES, size - i)
        value = load(x + 4 * i, lanes)
        # An infinite number times 0 were NaN.
        below = zero if slope == ZERO else multiply(add(value, back), splat(slope))
        above = where_smaller(value, splat(limit), value, splat(limit))
        store(where_larger(value, splat(threshold), above, below), y + 4 * i, lanes)


@kernel_function
def _clip_dx(saved, dy, dx, size, slope, limit):
    """dx = dy where 0 < y < limit, slope * dy where y < 0, else 0; `size` at addresses."""
    zero = splat(0.0)
    for i in range(0, size, LANES):
        lanes = min(LANES, size - i)
        y, value = load(saved + 4 * i, lanes), load(dy + 4 * i, lanes)
        below = zero if slope == ZERO else multiply(value, splat(slope))
        above = where_smaller(y, splat(limit), value, zero)
        store(where_larger(y, zero, above, where_smaller(y, zero, below, zero)), dx + 4 * i, lanes)


@kernel(VALUE)
def relu(pointer):
    """y = max(x, 0)."""
    op = record_at(pointer)
    _rectify(op.x, op.x, op.y, op.size, splat(0.0), True)


@kernel(SLOPE)
def relu_dx(pointer):
    """dx = dy where y > 0, else 0, whatever dy is."""
    op = record_at(pointer)
    _rectify(op.saved, op.dy, op.dx, op.size, splat(0.0), True)


@kernel(VALUE_OF_TWO)
def leaky_relu(pointer):
    """y = x above 0, constant * x below."""
    op = record_at(pointer)
    _rectify(op.x, op.x, op.y, op.size, splat(as_float(op.constant)), False)


@kernel(SLOPE_OF_TWO)
def leaky_relu_dx(pointer):
    """dx = dy where y > 0, else constant * dy."""
    op = record_at(pointer)
    _rectify(op.saved, op.dy, op.dx, op.size, splat(as_float(op.constant)), False)


@kernel(VALUE_OF_CLIPPED)
def clipped_relu(pointer):
    """y = min(x, limit) above threshold, which is at least 0, else slope * (x - threshold)."""
    op = record_at(pointer)
    slope, limit, threshold = as_float(op.slope), as_float(op.limit), as_float(op.threshold)
    _clip(op.x, op.y, op.size, slope, limit, threshold)


@kernel(SLOPE_OF_CLIPPED)
def clipped_relu_dx(pointer):
    """dx = dy where 0 < y < limit, slope * dy where y < 0, else 0."""
    op = record_at(pointer)
    _clip_dx(op.saved, op.dy, op.dx, op.size, as_float(op.slope), as_float(op.limit))


@kernel(VALUE)
def relu6(pointer):
    """y = min(max(x, 0), 6)."""
    op = record_at(pointer)
    _clip(op.x, op.y, op.size, ZERO, SIX, ZERO)


@kernel(SLOPE)
def relu6_dx(pointer):
    """dx = dy where 0 < y < 6, else 0, whatever dy is."""
    op = record_at(pointer)
    _clip_dx(op.saved, op.dy, op.dx, op.size, ZERO, SIX)


@kernel(SLOPE_OF_TWO)
def elu_dx(pointer):
    """dx = dy above 0, dy * (y + constant) below."""
    op = record_at(pointer)
    saved, dy, dx = floats(op.saved, op.size), floats(op.dy, op.size), floats(op.dx, op.size)
    constant = as_float(op.constant)
    for i in range(op.size):
        dx[i] = dy[i] if saved[i] > ZERO else dy[i] * (saved[i] + constant)


@kernel(SLOPE)
def sigmoid_dx(pointer):
    """dx = dy * y * (1 - y), in this order."""
    op = record_at(pointer)
    saved, dy, dx = floats(op.saved, op.size), floats(op.dy, op.size), floats(op.dx, op.size)
    for i in range(op.size):
        dx[i] = dy[i] * saved[i] * (ONE - saved[i])


def _forward(name: str, value: Callable) -> Kernel:
    """Return the kernel y = value(x), number by number."""

    def forward(pointer):
        op = record_at(pointer)
        x, y = floats(op.x, op.size), floats(op.y, op.size)
        for i in range(op.size):
            y[i] = value(x[i])

    return _named(name, VALUE, forward)


def _forward_of_two(name: str, value: Callable) -> Kernel:
    """Return the kernel y = value(x, constant), number by number."""

    def forward(pointer):
        op = record_at(pointer)
        x, y = floats(op.x, op.size), floats(op.y, op.size)
        constant = as_float(op.constant)
        for i in range(op.size):
            y[i] = value(x[i], constant)

    return _named(name, VALUE_OF_TWO, forward)


def _backward(name: str, slope: Callable) -> Kernel:
    """Return the kernel dx = dy * slope(saved), number by number."""

    def backward(pointer):
        op = record_at(pointer)
        saved, dy, dx = floats(op.saved, op.size), floats(op.dy, op.size), floats(op.dx, op.size)
        for i in range(op.size):
            dx[i] = dy[i] * slope(saved[i])

    return _named(f"{name}_dx", SLOPE, backward)


def _named(name: str, fields: np.dtype, body: Callable) -> Kernel:
    """Return the kernel of a body, whose machine code is kept, and linked, under the name."""
    body.__name__ = body.__qualname__ = name
    return kernel(fields)(body)


_OWN = (relu, leaky_relu, relu6, clipped_relu)
_OWN_SLOPES = (relu_dx, leaky_relu_dx, relu6_dx, clipped_relu_dx, elu_dx, sigmoid_dx)
FORWARD: dict[str, Kernel] = {
    **{own.name: own for own in _OWN},
    **{name: _forward(name, value) for name, value in FORMULAS.values.items()},
    **{name: _forward_of_two(name, value) for name, value in FORMULAS.values_of_two.items()},
}
BACKWARD: dict[str, Kernel] = {
    **{own.name.removesuffix("_dx"): own for own in _OWN_SLOPES},
    **{name: _backward(name, slope) for name, slope in FORMULAS.slopes.items()},
}
