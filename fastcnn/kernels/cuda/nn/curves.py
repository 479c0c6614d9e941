"""Smooth functions of one number, which activations are made of."""

import math

import numpy as np

from fastcnn.kernels.cuda.runtime.kernel import inline
from fastcnn.kernels.shared.activations import formulas

f32 = np.float32
ZERO, ONE, HALF = f32(0), f32(1), f32(0.5)
ROOT_HALF = f32(0.70710678)
DENSITY = f32(0.39894228)  # of the standard normal distribution at 0


@inline
def exp(x):
    """Return e^x."""
    return f32(math.exp(x))


@inline
def expm1(x):
    """Return e^x - 1."""
    return f32(math.expm1(x))


@inline
def log1p(u):
    """Return log(1 + u)."""
    return f32(math.log1p(u))


@inline
def tanh(x):
    """Return the hyperbolic tangent."""
    return f32(math.tanh(x))


@inline
def sigmoid(x):
    """Return 1 / (1 + e^-x), never by way of an infinite e^-x."""
    e = f32(math.exp(-abs(x)))
    return ONE / (ONE + e) if x >= ZERO else e / (ONE + e)


@inline
def gelu(x):
    """Return x times the standard normal distribution's value at x."""
    return HALF * x * (ONE + f32(math.erf(x * ROOT_HALF)))


@inline
def gelu_slope(x):
    density = DENSITY * f32(math.exp(-HALF * x * x))
    return HALF * (ONE + f32(math.erf(x * ROOT_HALF))) + x * density


FORMULAS = formulas(inline, exp, expm1, log1p, sigmoid, tanh, gelu, gelu_slope)
