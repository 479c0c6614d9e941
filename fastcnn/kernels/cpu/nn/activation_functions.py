"""Activations and their gradients, a kernel for each: what a network does not use is not compiled.

`FORWARD` and `BACKWARD` have them by their names. `saved` is what the graph keeps for the gradient:
the output, or the input where the slope does not follow from the output.
"""

from __future__ import annotations

import numpy as np

from fastcnn.kernels.cpu.nn import curves
from fastcnn.kernels.cpu.nn.activation import as_float
from fastcnn.kernels.cpu.runtime.function import kernel_function
from fastcnn.kernels.cpu.runtime.kernel import Kernel, kernel, record
from fastcnn.kernels.cpu.simd.pointers import floats, record_at
from fastcnn.kernels.cpu.simd.register_tile import LANES
from fastcnn.kernels.cpu.simd.vector import (
    load,
    multiply,
    splat,
    store,
    where_larger,
    where_smaller,
)
from fastcnn.kernels.shared.activations import SELU_FAR, SELU_SCALE

VALUE = record("x", "y", "size")
VALUE_OF_TWO = record("x", "y", "size", "constant")
SLOPE = record("saved", "dy", "dx", "size")
SLOPE_OF_TWO = record("saved", "dy", "dx", "size", "constant")

f32 = np.float32
ZERO, ONE, SIXTH = f32(0), f32(1), f32(1 / 6)


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
def _clamp(gate, x, y, size, above):
    """y = x where 0 < gate < 6, 0 below, `above` above, for `size` floats at addresses."""
    zero, six = splat(0.0), splat(6.0)
    for i in range(0, size, LANES):
        lanes = min(LANES, size - i)
        inside = load(gate + 4 * i, lanes)
        value = where_smaller(inside, six, load(x + 4 * i, lanes), above)
        store(where_larger(inside, zero, value, zero), y + 4 * i, lanes)


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


@kernel(VALUE_OF_TWO)
def thresholded_relu(pointer):
    """y = x above constant, which is at least 0, else 0."""
    op = record_at(pointer)
    x, y = floats(op.x, op.size), floats(op.y, op.size)
    constant = as_float(op.constant)
    for i in range(op.size):
        y[i] = ZERO if x[i] <= constant else x[i]


@kernel(VALUE)
def relu6(pointer):
    """y = min(max(x, 0), 6)."""
    op = record_at(pointer)
    _clamp(op.x, op.x, op.y, op.size, splat(6.0))


@kernel(SLOPE)
def relu6_dx(pointer):
    """dx = dy where 0 < y < 6, else 0, whatever dy is."""
    op = record_at(pointer)
    _clamp(op.saved, op.dy, op.dx, op.size, splat(0.0))


@kernel(VALUE_OF_TWO)
def elu(pointer):
    """y = x above 0, constant * (e^x - 1) below."""
    op = record_at(pointer)
    x, y = floats(op.x, op.size), floats(op.y, op.size)
    constant = as_float(op.constant)
    for i in range(op.size):
        y[i] = constant * (curves.exp(x[i]) - ONE) if x[i] < ZERO else x[i]


@kernel(SLOPE_OF_TWO)
def elu_dx(pointer):
    """dx = dy above 0, dy * (y + constant) below."""
    op = record_at(pointer)
    saved, dy, dx = floats(op.saved, op.size), floats(op.dy, op.size), floats(op.dx, op.size)
    constant = as_float(op.constant)
    for i in range(op.size):
        dx[i] = dy[i] if saved[i] > ZERO else dy[i] * (saved[i] + constant)


@kernel(VALUE)
def selu(pointer):
    """y = scale * x above 0, scale * alpha * (e^x - 1) below."""
    op = record_at(pointer)
    x, y = floats(op.x, op.size), floats(op.y, op.size)
    for i in range(op.size):
        y[i] = SELU_FAR * (curves.exp(x[i]) - ONE) if x[i] < ZERO else SELU_SCALE * x[i]


@kernel(SLOPE)
def selu_dx(pointer):
    """dx = dy * scale above 0, dy * (y + scale * alpha) below."""
    op = record_at(pointer)
    saved, dy, dx = floats(op.saved, op.size), floats(op.dy, op.size), floats(op.dx, op.size)
    for i in range(op.size):
        dx[i] = dy[i] * (SELU_SCALE if saved[i] > ZERO else saved[i] + SELU_FAR)


@kernel(VALUE)
def sigmoid(pointer):
    """y = 1 / (1 + e^-x)."""
    op = record_at(pointer)
    x, y = floats(op.x, op.size), floats(op.y, op.size)
    for i in range(op.size):
        y[i] = curves.sigmoid(x[i])


@kernel(SLOPE)
def sigmoid_dx(pointer):
    """dx = dy * y * (1 - y)."""
    op = record_at(pointer)
    saved, dy, dx = floats(op.saved, op.size), floats(op.dy, op.size), floats(op.dx, op.size)
    for i in range(op.size):
        dx[i] = dy[i] * saved[i] * (ONE - saved[i])


@kernel(VALUE)
def hard_sigmoid(pointer):
    """y = min(max(x + 3, 0), 6) / 6."""
    op = record_at(pointer)
    x, y = floats(op.x, op.size), floats(op.y, op.size)
    for i in range(op.size):
        y[i] = curves.hard_sigmoid(x[i])


@kernel(SLOPE)
def hard_sigmoid_dx(pointer):
    """dx = dy / 6 where 0 < y < 1, else 0."""
    op = record_at(pointer)
    saved, dy, dx = floats(op.saved, op.size), floats(op.dy, op.size), floats(op.dx, op.size)
    for i in range(op.size):
        dx[i] = dy[i] * (ZERO if saved[i] <= ZERO or saved[i] >= ONE else SIXTH)


@kernel(VALUE)
def tanh(pointer):
    """y = tanh(x)."""
    op = record_at(pointer)
    x, y = floats(op.x, op.size), floats(op.y, op.size)
    for i in range(op.size):
        y[i] = curves.tanh(x[i])


@kernel(SLOPE)
def tanh_dx(pointer):
    """dx = dy * (1 - y^2)."""
    op = record_at(pointer)
    saved, dy, dx = floats(op.saved, op.size), floats(op.dy, op.size), floats(op.dx, op.size)
    for i in range(op.size):
        dx[i] = dy[i] * (ONE - saved[i] * saved[i])


@kernel(VALUE)
def softplus(pointer):
    """y = log(1 + e^x)."""
    op = record_at(pointer)
    x, y = floats(op.x, op.size), floats(op.y, op.size)
    for i in range(op.size):
        y[i] = curves.softplus(x[i])


@kernel(SLOPE)
def softplus_dx(pointer):
    """dx = dy * sigmoid(x)."""
    op = record_at(pointer)
    saved, dy, dx = floats(op.saved, op.size), floats(op.dy, op.size), floats(op.dx, op.size)
    for i in range(op.size):
        dx[i] = dy[i] * curves.sigmoid(saved[i])


@kernel(VALUE)
def gelu(pointer):
    """y = x * the standard normal distribution at x."""
    op = record_at(pointer)
    x, y = floats(op.x, op.size), floats(op.y, op.size)
    for i in range(op.size):
        y[i] = curves.gelu(x[i])


@kernel(SLOPE)
def gelu_dx(pointer):
    """dx = dy * f'(x)."""
    op = record_at(pointer)
    saved, dy, dx = floats(op.saved, op.size), floats(op.dy, op.size), floats(op.dx, op.size)
    for i in range(op.size):
        dx[i] = dy[i] * curves.gelu_slope(saved[i])


@kernel(VALUE)
def gelu_tanh(pointer):
    """y = x * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 x^3))) / 2."""
    op = record_at(pointer)
    x, y = floats(op.x, op.size), floats(op.y, op.size)
    for i in range(op.size):
        y[i] = curves.gelu_tanh(x[i])


@kernel(SLOPE)
def gelu_tanh_dx(pointer):
    """dx = dy * f'(x)."""
    op = record_at(pointer)
    saved, dy, dx = floats(op.saved, op.size), floats(op.dy, op.size), floats(op.dx, op.size)
    for i in range(op.size):
        dx[i] = dy[i] * curves.gelu_tanh_slope(saved[i])


@kernel(VALUE)
def swish(pointer):
    """y = x * sigmoid(x)."""
    op = record_at(pointer)
    x, y = floats(op.x, op.size), floats(op.y, op.size)
    for i in range(op.size):
        y[i] = curves.swish(x[i])


@kernel(SLOPE)
def swish_dx(pointer):
    """dx = dy * f'(x)."""
    op = record_at(pointer)
    saved, dy, dx = floats(op.saved, op.size), floats(op.dy, op.size), floats(op.dx, op.size)
    for i in range(op.size):
        dx[i] = dy[i] * curves.swish_slope(saved[i])


@kernel(VALUE)
def hard_swish(pointer):
    """y = x * min(max(x + 3, 0), 6) / 6."""
    op = record_at(pointer)
    x, y = floats(op.x, op.size), floats(op.y, op.size)
    for i in range(op.size):
        y[i] = curves.hard_swish(x[i])


@kernel(SLOPE)
def hard_swish_dx(pointer):
    """dx = dy * f'(x)."""
    op = record_at(pointer)
    saved, dy, dx = floats(op.saved, op.size), floats(op.dy, op.size), floats(op.dx, op.size)
    for i in range(op.size):
        dx[i] = dy[i] * curves.hard_swish_slope(saved[i])


@kernel(VALUE)
def mish(pointer):
    """y = x * tanh(softplus(x))."""
    op = record_at(pointer)
    x, y = floats(op.x, op.size), floats(op.y, op.size)
    for i in range(op.size):
        y[i] = curves.mish(x[i])


@kernel(SLOPE)
def mish_dx(pointer):
    """dx = dy * f'(x)."""
    op = record_at(pointer)
    saved, dy, dx = floats(op.saved, op.size), floats(op.dy, op.size), floats(op.dx, op.size)
    for i in range(op.size):
        dx[i] = dy[i] * curves.mish_slope(saved[i])


_VALUES = (
    *(relu, leaky_relu, relu6, elu, selu, sigmoid, hard_sigmoid, tanh, softplus),
    *(gelu, gelu_tanh, swish, hard_swish, mish, thresholded_relu),
)
_SLOPES = (
    *(relu_dx, leaky_relu_dx, relu6_dx, elu_dx, selu_dx, sigmoid_dx, hard_sigmoid_dx, tanh_dx),
    *(softplus_dx, gelu_dx, gelu_tanh_dx, swish_dx, hard_swish_dx, mish_dx),
)
FORWARD: dict[str, Kernel] = {value.name: value for value in _VALUES}
BACKWARD: dict[str, Kernel] = {slope.name.removesuffix("_dx"): slope for slope in _SLOPES}
# What is not let through is 0, and what is let through is above.
BACKWARD["thresholded_relu"] = relu_dx
