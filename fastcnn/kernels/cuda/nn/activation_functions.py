"""Activations and their gradients, a kernel for each: what a network does not use is not compiled.

`FORWARD` and `BACKWARD` have them by their names. `saved` is what the graph keeps for the gradient:
the output, or the input where the slope does not follow from the output.
"""

import math
from collections.abc import Callable

import numpy as np

from fastcnn.kernels.cuda.nn import curves
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
from fastcnn.kernels.shared.activations import SELU_FAR, SELU_SCALE

f32 = np.float32
ZERO, ONE, SIX, SIXTH = f32(0), f32(1), f32(6), f32(1 / 6)


def _forward(name: str, value: Callable) -> Kernel:
    """Return the kernel y = value(x), number by number."""

    def forward(count: Int, x: Floats, y: Floats, size: Int):
        i = cuda.grid(1)
        while i < count * size:
            write(y, i, 0, value(read(x, i, 0)))
            i += cuda.gridsize(1)

    forward.__name__ = forward.__qualname__ = name
    return kernel(elements("size"))(forward)


def _backward(name: str, slope: Callable) -> Kernel:
    """Return the kernel dx = dy * slope(saved), number by number."""

    def backward(count: Int, saved: Floats, dy: Floats, dx: Floats, size: Int):
        i = cuda.grid(1)
        while i < count * size:
            write(dx, i, 0, read(dy, i, 0) * slope(read(saved, i, 0)))
            i += cuda.gridsize(1)

    backward.__name__ = backward.__qualname__ = f"{name}_dx"
    return kernel(elements("size"))(backward)


@inline
def _relu(x):
    return ZERO if x <= ZERO else x


@inline
def _relu6(x):
    low = ZERO if x <= ZERO else x
    return SIX if low >= SIX else low


@inline
def _selu(x):
    return SELU_FAR * f32(math.expm1(x)) if x < ZERO else SELU_SCALE * x


@inline
def _selu_slope(y):
    return SELU_SCALE if y > ZERO else y + SELU_FAR


@inline
def _sigmoid_slope(y):
    return y * (ONE - y)


@inline
def _hard_sigmoid_slope(y):
    return ZERO if y <= ZERO or y >= ONE else SIXTH


@inline
def _tanh_slope(y):
    return ONE - y * y


@kernel(elements("size"))
def relu_dx(count: Int, saved: Floats, dy: Floats, dx: Floats, size: Int):
    """dx = dy where y > 0, else 0, whatever dy is."""
    i = cuda.grid(1)
    while i < count * size:
        write(dx, i, 0, ZERO if read(saved, i, 0) <= ZERO else read(dy, i, 0))
        i += cuda.gridsize(1)


@kernel(elements("size"))
def relu6_dx(count: Int, saved: Floats, dy: Floats, dx: Floats, size: Int):
    """dx = dy where 0 < y < 6, else 0, whatever dy is."""
    i = cuda.grid(1)
    while i < count * size:
        y = read(saved, i, 0)
        write(dx, i, 0, ZERO if y <= ZERO or y >= SIX else read(dy, i, 0))
        i += cuda.gridsize(1)


@kernel(elements("size"))
def leaky_relu(count: Int, x: Floats, y: Floats, size: Int, constant: Float):
    """y = x above 0, constant * x below."""
    i = cuda.grid(1)
    while i < count * size:
        value = read(x, i, 0)
        write(y, i, 0, value * constant if value <= ZERO else value)
        i += cuda.gridsize(1)


@kernel(elements("size"))
def leaky_relu_dx(count: Int, saved: Floats, dy: Floats, dx: Floats, size: Int, constant: Float):
    """dx = dy where y > 0, else constant * dy."""
    i = cuda.grid(1)
    while i < count * size:
        above = read(dy, i, 0)
        write(dx, i, 0, above * constant if read(saved, i, 0) <= ZERO else above)
        i += cuda.gridsize(1)


@kernel(elements("size"))
def thresholded_relu(count: Int, x: Floats, y: Floats, size: Int, constant: Float):
    """y = x above constant, which is at least 0, else 0."""
    i = cuda.grid(1)
    while i < count * size:
        value = read(x, i, 0)
        write(y, i, 0, ZERO if value <= constant else value)
        i += cuda.gridsize(1)


@kernel(elements("size"))
def elu(count: Int, x: Floats, y: Floats, size: Int, constant: Float):
    """y = x above 0, constant * (e^x - 1) below."""
    i = cuda.grid(1)
    while i < count * size:
        value = read(x, i, 0)
        write(y, i, 0, constant * f32(math.expm1(value)) if value < ZERO else value)
        i += cuda.gridsize(1)


@kernel(elements("size"))
def elu_dx(count: Int, saved: Floats, dy: Floats, dx: Floats, size: Int, constant: Float):
    """dx = dy above 0, dy * (y + constant) below."""
    i = cuda.grid(1)
    while i < count * size:
        y, above = read(saved, i, 0), read(dy, i, 0)
        write(dx, i, 0, above if y > ZERO else above * (y + constant))
        i += cuda.gridsize(1)


relu = _forward("relu", _relu)
relu6 = _forward("relu6", _relu6)
selu = _forward("selu", _selu)
sigmoid = _forward("sigmoid", curves.sigmoid)
hard_sigmoid = _forward("hard_sigmoid", curves.hard_sigmoid)
tanh = _forward("tanh", curves.tanh)
softplus = _forward("softplus", curves.softplus)
gelu = _forward("gelu", curves.gelu)
gelu_tanh = _forward("gelu_tanh", curves.gelu_tanh)
swish = _forward("swish", curves.swish)
hard_swish = _forward("hard_swish", curves.hard_swish)
mish = _forward("mish", curves.mish)
selu_dx = _backward("selu", _selu_slope)
sigmoid_dx = _backward("sigmoid", _sigmoid_slope)
hard_sigmoid_dx = _backward("hard_sigmoid", _hard_sigmoid_slope)
tanh_dx = _backward("tanh", _tanh_slope)
softplus_dx = _backward("softplus", curves.sigmoid)
gelu_dx = _backward("gelu", curves.gelu_slope)
gelu_tanh_dx = _backward("gelu_tanh", curves.gelu_tanh_slope)
swish_dx = _backward("swish", curves.swish_slope)
hard_swish_dx = _backward("hard_swish", curves.hard_swish_slope)
mish_dx = _backward("mish", curves.mish_slope)

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
