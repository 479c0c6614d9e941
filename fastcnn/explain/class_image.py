"""The image that a class, a channel or a unit wants."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fastcnn.explain import inputs, pixels
from fastcnn.explain.ascent import blurred, descend
from fastcnn.explain.attacks import Bounds, range_of
from fastcnn.explain.mosaic import Cell, Mosaic, in_columns
from fastcnn.models.sequential import Sequential
from fastcnn.utils import arguments


def class_image(
    model: Sequential,
    target: int | Sequence[int] | None = None,
    bounds: Bounds = None,
    steps: int = 128,
    rate: float = 0.02,
    smooth: float = 0.5,
    decay: float = 0.2,
    blur: float = 0.5,
    seed: int = 0,
) -> Mosaic:
    """Return images that a class's score goes up for, found by gradient ascent from noise.

    Args:
        model: A model with one score a class.
        target: The class, or several; None for the first ten.
        bounds: The least and the largest number of an image; None for 0 and 255 where the model
            scales images itself, else for 0 and 1.
        steps: How many.
        rate: The length of a step, as a part of the range.
        smooth: The weight of total variation.
        decay: The weight of L2, which keeps pixels grey that do not matter.
        blur: How far images become their blurred ones in every fourth step, from 0 to 1.
        seed: Of the noise.

    Returns:
        A result whose `array` has the images.

    Raises:
        ValueError: The model's inputs are no images, there is no such class, or a number is out of
            its range.

    Shape:
        array float32 [classes, H, W, C].

    References:
        Simonyan et al., 2013: Deep inside convolutional networks. Yosinski et al., 2015:
        Understanding neural networks through deep visualization.
    """
    count = arguments.whole("class_image", "steps", steps, least=1)
    share = arguments.number("class_image", "blur", blur, least=0, most=1)
    usual = np.arange(min(inputs.class_count(model, "class_image"), 10))
    labels = usual if target is None else np.atleast_1d(np.asarray(target))
    unit = np.array([[[[0.0]], [[1.0]]]], np.float32)
    low, high = bounds or range_of(model, unit, None)
    shape = (len(labels), *model.input_shape)
    noise = np.random.default_rng(seed).standard_normal(shape)
    start = ((low + high) / 2 + 0.05 * (high - low) * blurred(noise)).astype(np.float32)
    model, start = inputs.pictures(inputs.without_preprocessing(model), start, "class_image")
    labels = inputs.classes(model, start, labels, "class_image")

    def gradient(images: NDArray[np.float32]) -> NDArray[np.float32]:
        return -model.input_gradient(images, labels)

    images = descend(start, gradient, (low, high), count, rate, smooth, decay, share)
    names = inputs.names(model, labels)

    def rows() -> list[list[Cell]]:
        drawn = map(pixels.normalized, images)
        return in_columns(list(map(Cell, drawn, names)), 5)

    return Mosaic(images, rows, "What each class wants to see", cell=1.4)
