"""Noise that follows the gradient until the network is sure of it: fooling images."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from fastcnn.explain import fooling, input_bounds, inputs
from fastcnn.explain.ascent import descend
from fastcnn.explain.fooling import Fooling
from fastcnn.explain.input_bounds import Bounds
from fastcnn.explain.inputs import Images
from fastcnn.models.sequential import Sequential
from fastcnn.utils import arguments


def fooling_images(
    model: Sequential,
    target: ArrayLike | None = None,
    bounds: Bounds = None,
    steps: int = 64,
    rate: float = 0.01,
    seed: int = 0,
) -> Fooling:
    """Return noise that the model is sure to see a class in, found by gradient ascent.

    What goes up is the score of the class less that of the strongest other one; nothing keeps the
    images smooth, as `class_image` does.

    Args:
        model: A model with one score a class.
        target: The class, or several; None for the first ten.
        bounds: The least and the largest number of an image, behind the model's preprocessing; None
            for what that makes of pixels from 0 to 255, for these where the model scales images
            itself, else for 0 and 1.
        steps: How many.
        rate: The length of a step, as a part of the range.
        seed: Of the noise.

    Returns:
        A result whose `array` has the images, and `chances` how sure the model is of each.

    Raises:
        ValueError: The model's inputs are no images, there is no such class, a number is out of its
            range, or preprocessing leaves open how large numbers are.

    Shape:
        array float32 [classes, H, W, C].

    References:
        Nguyen et al., 2015: Deep neural networks are easily fooled. Goodfellow et al., 2015:
        Explaining and harnessing adversarial examples.
    """
    count = arguments.whole("fooling_images", "steps", steps, least=1)
    length = arguments.number("fooling_images", "rate", rate, above=0)
    labels = fooling.wanted(model, target, "fooling_images")
    low, high = input_bounds.of_any_image(model, bounds, "fooling_images")
    model = inputs.without_preprocessing(model)
    start = fooling.noise(model, len(labels), (low, high), np.random.default_rng(seed))

    def gradient(images: Images) -> Images:
        others = inputs.chances(model, images)
        others[np.arange(len(labels)), labels] = -1
        rivals = others.argmax(axis=1)
        return model.input_gradient(images, rivals) - model.input_gradient(images, labels)

    images = descend(start, gradient, (low, high), count, length, smooth=0.0)
    sure = inputs.chances(model, images)[np.arange(len(labels)), labels]
    title = f"Noise after {count} steps along the gradient, and how sure the network is of it"
    return Fooling(images, sure, inputs.names(model, labels), title)
