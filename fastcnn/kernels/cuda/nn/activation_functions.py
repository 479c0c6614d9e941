"""Activations and their gradients, a kernel for each: what a network does not use is not compiled.

`FORWARD` and `BACKWARD` have them by their names; the CPU's file says what `saved` is. A kernel is
a loop and a formula, of a number or of a number and a constant.
"""

from collections.abc import Callable

import numpy as np

from fastcnn.kernels.cuda.nn.curves import FORMULAS
from fastcnn.kernels.cuda.runtime.device import cuda
from fastcnn.kernels.cuda.runtime.kernel import (
    Float,
    Floats,
    Int,
    Kernel,
    elements,
    inline,
    kernel,
)
from fastcnn.kernels.cuda.runtime.memory_access import read, write

f32 = np.float32
ZERO, ONE, SIX = f32(0), f32(1), f32(6)


def _forward(name: str, value: Callable) -> Kernel:
    """Return the kernel y = value(x), number by number."""

    def forward(count: Int, x: Floats, y: Floats, size: Int):
        i = cuda.grid(1)
        while i < count * size:
            write(y, i, 0, value(read(x, i, 0)))
            i += cuda.gridsize(1)

    return _named(name, forward)


def _forward_of_two(name: str, value: Callable) -> Kernel:
    """Return the kernel y = value(x, constant), number by number."""

    def forward(count: Int, x: Floats, y: Floats, size: Int, constant: Float):
        i = cuda.grid(1)
        while i < count * size:
            write(y, i, 0, value(read(x, i, 0), constant))
            i += cuda.gridsize(1)

    return _named(name, forward)


def _backward(name: str, gradient: Callable) -> Kernel:
    """Return the kernel dx = gradient(saved, dy), number by number."""

    def backward(count: Int, saved: Floats, dy: Floats, dx: Floats, size: Int):
        i = cuda.grid(1)
        while i < count * size:
            write(dx, i, 0, gradient(read(saved, i, 0), read(dy, i, 0)))
            i += cuda.gridsize(1)

    return _named(f"{name}_dx", backward)


def _backward_of_two(name: str, gradient: Callable) -> Kernel:
    """Return the kernel dx = gradient(saved, dy, constant), number by number."""

    def backward(count: Int, saved: Floats, dy: Floats, dx: Floats, size: Int, constant: Float):
        i = cuda.grid(1)
        while i < count * size:
            write(dx, i, 0, gradient(read(saved, i, 0), read(dy, i, 0), constant))
            i += cuda.gridsize(1)

    return _named(f"{name}_dx", backward)


def _named(name: str, body: Callable) -> Kernel:
    """Return the kernel of a body, whose machine code is kept under the name."""
    body.__name__ = body.__qualname__ = name
    return kernel(elements("size"))(body)


def _times(slope: Callable) -> Callable:
    """Return the gradient dy * slope(saved)."""

    @inline
    def gradient(saved, dy):
        return dy * slope(saved)

    return gradient


@inline
def _relu(x):
    return ZERO if x <= ZERO else x


@inline
def _relu_gradient(y, dy):
    """Return dy where y > 0, else 0, whatever dy is."""
    return ZERO if y <= ZERO else dy


@inline
def _relu6(x):
    low = ZERO if x <= ZERO else x
    return SIX if low >= SIX else low


@inline
def _relu6_gradient(y, dy):
    """Return dy where 0 < y < 6, else 0, whatever dy is."""
    return ZERO if y <= ZERO or y >= SIX else dy


@inline
def _leaky_relu(x, constant):
    return x * constant if x <= ZERO else x


@inline
def _leaky_relu_gradient(y, dy, constant):
    return dy * constant if y <= ZERO else dy


@inline
def _elu_gradient(y, dy, constant):
    return dy if y > ZERO else dy * (y + constant)


@inline
def _sigmoid_slope(y):
    return y * (ONE - y)


@kernel(elements("size"))
def clipped_relu(
    count: Int, x: Floats, y: Floats, size: Int, slope: Float, limit: Float, threshold: Float
):
    """y = min(x, limit) above threshold, which is at least 0, else slope * (x - threshold)."""
    i = cuda.grid(1)
    while i < count * size:
        value = read(x, i, 0)
        # An infinite number times 0 were NaN.
        below = (value - threshold) * slope if slope > ZERO else ZERO
        above = limit if value >= limit else value
        write(y, i, 0, below if value <= threshold else above)
        i += cuda.gridsize(1)


@kernel(elements("size"))
def clipped_relu_dx(
    count: Int, saved: Floats, dy: Floats, dx: Floats, size: Int, slope: Float, limit: Float
):
    """dx = dy where 0 < y < limit, slope * dy where y < 0, else 0."""
    i = cuda.grid(1)
    while i < count * size:
        value, above = read(saved, i, 0), read(dy, i, 0)
        below = above * slope if value < ZERO else ZERO
        inside = ZERO if value >= limit else above
        write(dx, i, 0, below if value <= ZERO else inside)
        i += cuda.gridsize(1)


relu, relu_dx = _forward("relu", _relu), _backward("relu", _relu_gradient)
relu6, relu6_dx = _forward("relu6", _relu6), _backward("relu6", _relu6_gradient)
leaky_relu = _forward_of_two("leaky_relu", _leaky_relu)
leaky_relu_dx = _backward_of_two("leaky_relu", _leaky_relu_gradient)
elu_dx = _backward_of_two("elu", _elu_gradient)
sigmoid_dx = _backward("sigmoid", _times(_sigmoid_slope))

_OWN = (relu, leaky_relu, relu6, clipped_relu)
_OWN_SLOPES = (relu_dx, leaky_relu_dx, relu6_dx, clipped_relu_dx, elu_dx, sigmoid_dx)
FORWARD: dict[str, Kernel] = {
    **{own.name: own for own in _OWN},
    **{name: _forward(name, value) for name, value in FORMULAS.values.items()},
    **{name: _forward_of_two(name, value) for name, value in FORMULAS.values_of_two.items()},
}
BACKWARD: dict[str, Kernel] = {
    **{own.name.removesuffix("_dx"): own for own in _OWN_SLOPES},
    **{name: _backward(name, _times(slope)) for name, slope in FORMULAS.slopes.items()},
}
