"""What a layer still knows of an image: another image with the same features."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fastcnn.explain import input_bounds, inputs, pixels
from fastcnn.explain.ascent import descend
from fastcnn.explain.input_bounds import Bounds
from fastcnn.explain.inputs import Images
from fastcnn.explain.mosaic import Cell, Mosaic, in_columns
from fastcnn.layers.base import Layer
from fastcnn.models import lookup
from fastcnn.models.sequential import Sequential
from fastcnn.utils import arguments


def inversion(
    model: Sequential,
    x: object,
    layers: Sequence[str | Layer] | None = None,
    bounds: Bounds = None,
    steps: int = 150,
    rate: float = 0.02,
    smooth: float = 0.05,
    seed: int = 0,
) -> Mosaic:
    """Return for each layer an image with the features that the first image has there, found by
    gradient descent from noise.

    Args:
        model: The model.
        x: Images, an array or a Dataset, of which the first is inverted.
        layers: Layers, their names or paths; None for all in a row.
        bounds: The least and the largest number of an image; None for 0 and 255 where the model
            scales images itself, else for those of x.
        steps: How many.
        rate: The length of a step, as a part of the range.
        smooth: The weight of total variation.
        seed: Of the noise.

    Returns:
        A result whose `array` has the images, and `errors` how far the features differ at the end,
        relative to their size.

    Raises:
        ValueError: The images do not fit, or there is no such layer.

    Shape:
        x [n, H, W, C] -> array float32 [layers, H, W, C].

    References:
        Mahendran and Vedaldi, 2015: Understanding deep image representations by inverting them.
    """
    model, images = inputs.pictures(model, x, "inversion")
    count = arguments.whole("inversion", "steps", steps, least=1)
    length = arguments.number("inversion", "rate", rate, above=0)
    weight = arguments.number("inversion", "smooth", smooth, least=0)
    wanted = list(model.layers) if layers is None else list(layers)
    chosen = [lookup.own_layer(model, layer, "inversion") for layer in wanted]
    low, high = input_bounds.around(model, images, bounds, "inversion")
    noise = np.random.default_rng(seed).standard_normal((1, *model.input_shape))
    start = ((low + high) / 2 + 0.05 * (high - low) * noise).astype(np.float32)
    inverted, errors = [], []
    for layer in chosen:
        features = model.features(images[:1], layer)

        def gradient(
            candidate: Images, layer: Layer = layer, features: NDArray[np.float32] = features
        ) -> Images:
            difference = model.features(candidate, layer) - features
            return model.input_gradient(candidate, (layer, difference))

        image = descend(start, gradient, (low, high), count, length, weight)
        inverted.append(image[0])
        error = np.linalg.norm(model.features(image, layer) - features)
        errors.append(float(error / max(float(np.linalg.norm(features)), 1e-12)))
    result = np.stack(inverted)
    return Inversion(result, images[0], [layer.path for layer in chosen], errors)


class Inversion(Mosaic):
    """An image, and what each layer still knows of it.

    Args:
        array: The images, one a layer.
        image: The image.
        names: The layers' paths.
        errors: How far the features differ, relative to their size.
    """

    def __init__(self, array: Images, image: Images, names: list[str], errors: list[float]):
        self.errors = errors

        def rows() -> list[list[Cell]]:
            drawn = pixels.of_images(np.concatenate([image[None], array]))
            titles = ["image", *(f"{n}\n{e:.2f}" for n, e in zip(names, errors, strict=True))]
            return in_columns(list(map(Cell, drawn, titles)), 6)

        super().__init__(array, rows, "What each layer still knows of the image", cell=1.3)
