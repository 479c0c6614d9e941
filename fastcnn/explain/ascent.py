"""Images made by gradient descent on pixels, kept smooth."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

BLUR_EVERY = 4
"""Steps, as in Yosinski et al., 2015."""

Gradient = Callable[[NDArray[np.float32]], NDArray[np.float32]]


def descend(
    start: NDArray[np.float32],
    gradient: Gradient,
    bounds: tuple[float, float],
    steps: int,
    rate: float,
    smooth: float,
    decay: float = 0.0,
    blur: float = 0.0,
) -> NDArray[np.float32]:
    """Return images after so many steps of Adam.

    Args:
        start: The first images.
        gradient: Gives that of what is to become small; its size does not matter.
        bounds: The least and the largest number of an image.
        steps: How many.
        rate: The length of a step, as a part of the range.
        smooth: The weight of total variation beside the gradient.
        decay: The weight of the distance to grey (L2).
        blur: How far images become their blurred ones in every fourth step, from 0 to 1.

    Returns:
        The images.

    Shape:
        start [n, H, W, C] -> float32 [n, H, W, C].
    """
    low, high = bounds
    images, grey = start.copy(), (low + high) / 2
    mean: NDArray[Any] = np.zeros_like(images)
    square: NDArray[Any] = np.zeros_like(images)
    for step in range(1, steps + 1):
        slope = _unit(gradient(images)) + smooth * _unit(variation_gradient(images))
        slope += decay * (images - grey) / (high - low)
        mean = 0.9 * mean + 0.1 * slope
        square = 0.99 * square + 0.01 * slope * slope
        change = mean / (1 - 0.9**step) / (np.sqrt(square / (1 - 0.99**step)) + 1e-6)
        images = np.clip(images - rate * (high - low) * change, low, high).astype(np.float32)
        if blur and step % BLUR_EVERY == 0:
            images = (1 - blur) * images + blur * blurred(images)
    return images


def blurred(images: NDArray[Any]) -> NDArray[np.float32]:
    """Return images of which each pixel is mixed with its neighbours, by 1, 2, 1 along each axis.

    Args:
        images: The images.

    Returns:
        The blurred ones.

    Shape:
        images [n, H, W, C] -> float32 [n, H, W, C].
    """
    for axis in (1, 2):
        pads = [(1, 1) if a == axis else (0, 0) for a in range(4)]
        wide = np.moveaxis(np.pad(images, pads, "edge"), axis, 0)
        images = np.moveaxis((wide[:-2] + 2 * wide[1:-1] + wide[2:]) / 4, 0, axis)
    return images.astype(np.float32)


def variation_gradient(images: NDArray[Any]) -> NDArray[np.float32]:
    """Return the gradient of half the sum of squared differences between neighbours.

    Args:
        images: The images.

    Returns:
        The gradient.

    Shape:
        images [n, H, W, C] -> float32 [n, H, W, C].
    """
    gradient = np.zeros_like(images)
    for axis in (1, 2):
        difference = np.diff(images, axis=axis)
        behind = [slice(None)] * 4
        before = [slice(None)] * 4
        behind[axis], before[axis] = slice(1, None), slice(None, -1)
        gradient[tuple(behind)] += difference
        gradient[tuple(before)] -= difference
    return gradient


def _unit(gradient: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return gradients whose root mean square is 1 in each image."""
    size = np.sqrt(np.mean(gradient**2, axis=(1, 2, 3), keepdims=True))
    return gradient / np.maximum(size, 1e-12)
