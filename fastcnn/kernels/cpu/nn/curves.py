"""Smooth functions of one number, which activations are made of.

The exponential is written out as a polynomial, so that LLVM turns every loop into vector code; its
relative error stays below 2e-7.
"""

from __future__ import annotations

import numpy as np

from fastcnn.kernels.cpu.runtime.function import kernel_function
from fastcnn.kernels.shared.activations import formulas

f32 = np.float32
ZERO, ONE, HALF = f32(0), f32(1), f32(0.5)


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
def expm1(x):
    """Return e^x - 1, to the precision of e^x."""
    return exp(x) - ONE


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
def log1p(u):
    """Return log(1 + u) for u from 0 to 1: the series of the inverse hyperbolic tangent."""
    s = u / (u + f32(2))
    square = s * s
    series = f32(1 / 15)
    for divisor in (13.0, 11.0, 9.0, 7.0, 5.0, 3.0, 1.0):
        series = series * square + f32(1.0 / divisor)
    return f32(2) * s * series


FORMULAS = formulas(kernel_function, exp, expm1, log1p, sigmoid, tanh, gelu, gelu_slope)
