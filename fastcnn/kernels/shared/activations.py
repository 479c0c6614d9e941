"""The formulas of activations that both devices share.

A formula is of one number, in float32, and keeps NaN. A device brings what it computes in its own
way: how a function becomes part of a kernel, the exponential, log(1 + u) and the sigmoid.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

SELU_SCALE = np.float32(1.0507009873554805)
SELU_FAR = np.float32(1.0507009873554805 * 1.6732632423543772)  # minus its limit far below zero

Formula = Callable[[float], float]


class Formulas(NamedTuple):
    """Functions of one number; a `_slope` is the derivative by that number."""

    hard_sigmoid: Formula
    hard_swish: Formula
    hard_swish_slope: Formula
    softplus: Formula
    swish: Formula
    swish_slope: Formula
    gelu_tanh: Formula
    gelu_tanh_slope: Formula
    mish: Formula
    mish_slope: Formula


def formulas(
    part: Callable[[Callable], Callable], exp: Formula, log1p: Formula, sigmoid: Formula
) -> Formulas:
    """Return the formulas as functions that a device's kernels call.

    Args:
        part: Makes a function a part of kernels.
        exp: e^x, finite or infinite, for x up to 88.
        log1p: log(1 + u) for u from 0 to 1.
        sigmoid: 1 / (1 + e^-x).
    """
    f32 = np.float32
    zero, one, two, three, six = f32(0), f32(1), f32(2), f32(3), f32(6)
    sixth = f32(1 / 6)
    far = f32(88)  # from where on e^-x is below every float32 beside 1
    # The cubic in GELU's approximation: 2 * sqrt(2 / pi) * (x + 0.044715 x^3).
    linear, cubic = f32(1.5957691216), f32(1.5957691216 * 0.044715)

    @part
    def hard_sigmoid(x):
        value = min(max(x + three, zero), six) * sixth
        return x if x != x else value

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
        *(hard_sigmoid, hard_swish, hard_swish_slope, softplus, swish, swish_slope),
        *(gelu_tanh, gelu_tanh_slope, mish, mish_slope),
    )
