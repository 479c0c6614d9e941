"""Where a pixel of an image that is resampled under an affine map comes from, along one axis.

The map is described in `kernels/cpu/nn/affine_sampling.py`.
"""

import numpy as np

f32 = np.float32
ZERO, HALF, ONE = f32(0), f32(0.5), f32(1)


def step_of(at, size, source):
    """Return how far pixel `at` of an axis of y lies from its middle, in twice x's pixels."""
    return f32(2 * at + 1 - size) * (f32(source) / f32(size))


def place_of(across, down, first, second, shift, source, ratio):
    """Return the place along an axis of x that a pixel of y shows, in pixels.

    `across` and `down` are its steps, in the units of x's own axis and of the other one, whose
    `ratio` to it makes them alike.
    """
    return HALF * (first * across + second * (down * ratio) + shift * f32(source) + f32(source - 1))


def meets(place, size):
    """Say whether one of an axis's pixels is less than a pixel away."""
    return place > f32(-1) and place < f32(size)


def weight(place, at, size):
    """Return how much a pixel counts at a place: 0 for one outside the axis."""
    return ONE - abs(place - f32(at)) if at >= 0 and at < size else ZERO
