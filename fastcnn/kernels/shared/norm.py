"""The norm of a window's numbers, for both devices, which bring their power of a number."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

ZERO, ONE, TWO = np.float32(0), np.float32(1), np.float32(2)


def norm_functions(
    part: Callable[[Callable], Callable], power: Callable[[float, float], float]
) -> tuple[Callable, Callable]:
    """Return the functions `raised` and `slope`, which a device's kernels call.

    Args:
        part: Makes a function a part of kernels.
        power: base^exponent of a base above 0.
    """

    @part
    def raised(base, exponent):
        """Return base^exponent of a base from 0."""
        if exponent == TWO:
            return base * base
        return power(base, exponent) if base != ZERO else ZERO

    @part
    def slope(x, y, norm):
        """Return the derivative of a norm y by one of its numbers x."""
        if y == ZERO or x == ZERO:
            return ZERO
        share = abs(x) / y
        if norm != TWO:
            share = raised(share, norm - ONE)
        return share if x > ZERO else -share

    return raised, slope
