"""Integrated gradients: what each pixel adds to a class's score, on the way from a baseline."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastcnn.explain import inputs
from fastcnn.explain.attribution import Attribution, evidence
from fastcnn.explain.inputs import Classes
from fastcnn.models.sequential import Sequential
from fastcnn.utils import arguments, arrays


def integrated_gradients(
    model: Sequential,
    x: object,
    target: Classes = None,
    baseline: ArrayLike = 0.0,
    steps: int = 50,
) -> Attribution:
    """Return the image minus a baseline, times the mean gradient on the straight way between.

    They add up to the difference of the class's scores for both.

    Args:
        model: A model with one score a class.
        x: Images, an array or a Dataset.
        target: The class, or one an image; None for what the model predicts.
        baseline: The image without anything in it, or the number that all of its pixels have.
        steps: Points on the way (those of Gauss and Legendre).

    Returns:
        A result whose `array` has a signed number for each of the images' numbers.

    Raises:
        ValueError: The images do not fit, there is no such class, or a number is out of its range.

    Shape:
        x [n, H, W, C]; baseline [] or [H, W, C] -> array float32 [n, H, W, C].

    References:
        Sundararajan et al., 2017: Axiomatic attribution for deep networks.
    """
    model, images = inputs.pictures(model, x, "integrated_gradients")
    count = arguments.whole("integrated_gradients", "steps", steps, least=1)
    labels = inputs.classes(model, images, target, "integrated_gradients")
    start = np.broadcast_to(_baseline(baseline, model.input_shape), images.shape)
    places, weights = np.polynomial.legendre.leggauss(count)
    mean = np.zeros(images.shape, np.float64)
    for place, weight in zip((1 + places) / 2, weights / 2, strict=True):
        between = start + np.float32(place) * (images - start)
        mean += weight * model.input_gradient(between, labels)
    relevance = ((images - start) * mean).astype(np.float32)
    title = "Integrated gradients: for the class red, against it blue"
    return Attribution(relevance, images, inputs.names(model, labels), title, evidence)


def _baseline(baseline: ArrayLike, shape: tuple[int, ...]) -> NDArray[np.float32]:
    array = arrays.array(baseline, "integrated_gradients: baseline")
    if array.dtype.kind not in "iufb" or array.shape not in ((), shape):
        raise ValueError(
            f"integrated_gradients: baseline must be a number, or an image of shape {shape}. "
            f"Received {array.dtype} of shape {array.shape}."
        )
    return array.astype(np.float32)
