"""Saliency: how much each pixel moves a class's score."""

from __future__ import annotations

import numpy as np

from fastcnn.explain import inputs
from fastcnn.explain.attribution import Attribution, magnitudes
from fastcnn.explain.inputs import Classes
from fastcnn.models.sequential import Sequential


def saliency(model: Sequential, x: object, target: Classes = None) -> Attribution:
    """Return the magnitude of the gradient of a class's score.

    Args:
        model: A model with one score a class.
        x: Images, an array or a Dataset.
        target: The class, or one an image; None for what the model predicts.

    Returns:
        A result whose `array` has a number for each of the images' numbers.

    Raises:
        ValueError: The images do not fit, or there is no such class.

    Shape:
        x [n, H, W, C] -> array float32 [n, H, W, C].

    References:
        Simonyan et al., 2013: Deep inside convolutional networks.
    """
    model, images = inputs.pictures(model, x, "saliency")
    labels = inputs.classes(model, images, target, "saliency")
    relevance = np.abs(model.input_gradient(images, labels))
    names = inputs.names(model, labels)
    return Attribution(relevance, images, names, "Saliency: what moves the score", magnitudes)
