"""The formulas of activations that both devices share.

A formula is of one number, in float32, and keeps NaN; some have a constant besides. A device brings
what it computes in its own way: how a function becomes part of a kernel, the exponential, and what
is made of it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

SELU_SCALE = np.float32(1.0507009873554805)
SELU_FAR = np.float32(1.0507009873554805 * 1.6732632423543772)  # minus its limit far below zero

Formula = Callable[[float], float]
FormulaOfTwo = Callable[[float, float], float]


class Formulas(NamedTuple):
    """Formulas by the names of activations.

    `values` are y = f(x) and `values_of_two` y = f(x, constant); `slopes` are the derivatives, of
    what the graph keeps: the output, or the input where the slope does not follow from the output.
    """

    values: dict[str, Formula]
    values_of_two: dict[str, FormulaOfTwo]
    slopes: dict[str, Formula]


def formulas(
    part: Callable[[Callable], Callable],
    exp: Formula,
    expm1: Formula,
    log1p: Formula,
    sigmoid: Formula,
    tanh: Formula,
    gelu: Formula,
    gelu_slope: Formula,
) -> Formulas:
    """Return the formulas as functions that a device's kernels call.

    Args:
        part: Makes a function a part of kernels.
        exp: e^x, finite or infinite, for x up to 88.
        expm1: e^x - 1 for x below 0.
        log1p: log(1 + u) for u from 0 to 1.
        sigmoid: 1 / (1 + e^-x).
        tanh: The hyperbolic tangent.
        gelu: x times the standard normal distribution's value at x.
        gelu_slope: Its derivative.
    """
    f32 = np.float32
    zero, one, two, three, six = f32(0), f32(1), f32(2), f32(3), f32(6)
    sixth = f32(1 / 6)
    far = f32(88)  # from where on e^-x is below every float32 beside 1
    # The cubic in GELU's approximation: 2 * sqrt(2 / pi) * (x + 0.044715 x^3).
    linear, cubic = f32(1.5957691216), f32(1.5957691216 * 0.044715)

    @part
    def elu(x, constant):
        return constant * expm1(x) if x < zero else x

    @part
    def selu(x):
        return SELU_FAR * expm1(x) if x < zero else SELU_SCALE * x

    @part
    def selu_slope(y):
        return SELU_SCALE if y > zero else y + SELU_FAR

    @part
    def tanh_slope(y):
        return one - y * y

    @part
    def hard_sigmoid(x):
        value = min(max(x + three, zero), six) * sixth
        return x if x != x else value

    @part
    def hard_sigmoid_slope(y):
        return zero if y <= zero or y >= one else sixth

    @part
    def hard_swish(x):
        # A far negative x times 0 is -0, an infinite one would be NaN.
        return max(x, -three) * hard_sigmoid(x) if x == x else x

    @part
    def hard_swish_slope(x):
        inner = (x + x + three) * sixth
        value = zero if x <= -three else inner
        return one if x >= three else value

    @part
    def softplus(x):
        value = max(x, zero) + log1p(exp(-abs(x)))
        return x if x != x else value

    @part
    def swish(x):
        value = max(x, -far) * sigmoid(x)
        return x if x != x else value

    @part
    def swish_slope(x):
        near = min(max(x, -far), far)
        s = sigmoid(near)
        value = s * (one + near * (one - s))
        return x if x != x else value

    @part
    def gelu_tanh(x):
        """x * (1 + tanh(u / 2)) / 2 = x * sigmoid(u), which does not cancel below zero."""
        near = min(max(x, -far), far)
        value = max(x, -far) * sigmoid(near * (linear + cubic * near * near))
        return x if x != x else value

    @part
    def gelu_tanh_slope(x):
        near = min(max(x, -far), far)
        s = sigmoid(near * (linear + cubic * near * near))
        value = s + near * s * (one - s) * (linear + three * cubic * near * near)
        return x if x != x else value

    @part
    def mish(x):
        """x * tanh(softplus(x)), where tanh(log(1 + e)) = n / (n + 2) with n = e * (e + 2)."""
        e = exp(min(max(x, -far), f32(20)))
        n = e * (e + two)
        value = max(x, -far) * (n / (n + two))
        return x if x != x else value

    @part
    def mish_slope(x):
        near = min(max(x, -far), f32(20))
        e = exp(near)
        n = e * (e + two)
        t, rest = n / (n + two), two / (n + two)  # tanh and 1 - tanh
        value = t + near * rest * (one + t) * sigmoid(near)
        return x if x != x else value

    return Formulas(
        values={
            "selu": selu,
            "sigmoid": sigmoid,
            "hard_sigmoid": hard_sigmoid,
            "tanh": tanh,
            "softplus": softplus,
            "gelu": gelu,
            "gelu_tanh": gelu_tanh,
            "swish": swish,
            "hard_swish": hard_swish,
            "mish": mish,
        },
        values_of_two={"elu": elu},
        slopes={
            "selu": selu_slope,
            "hard_sigmoid": hard_sigmoid_slope,
            "tanh": tanh_slope,
            "softplus": sigmoid,
            "gelu": gelu_slope,
            "gelu_tanh": gelu_tanh_slope,
            "swish": swish_slope,
            "hard_swish": hard_swish_slope,
            "mish": mish_slope,
        },
    )
