"""The least and the largest number that an image may have."""

from __future__ import annotations

from typing import TypeAlias

from fastcnn.data.augment import preprocessing
from fastcnn.data.augment.preprocessing import PIXELS
from fastcnn.explain.inputs import Images
from fastcnn.models.sequential import Sequential
from fastcnn.training import adversarial
from fastcnn.utils import arguments

Bounds: TypeAlias = tuple[float, float] | None


def around(model: Sequential, images: Images, bounds: Bounds, method: str) -> tuple[float, float]:
    """Return the least and the largest number that images may be changed to.

    Args:
        model: The model, without preprocessing.
        images: The images.
        bounds: Those that were asked for; None for what the model or the images have.
        method: Who asks, for errors.

    Returns:
        The two numbers.

    Raises:
        ValueError: Images lie outside the bounds, or these are in the wrong order.
        TypeError: The bounds are no two numbers.
    """
    asked = None if bounds is None else arguments.bounds(method, "bounds", bounds)
    return adversarial.range_of(model, float(images.min()), float(images.max()), asked)


def of_any_image(model: Sequential, bounds: Bounds, method: str) -> tuple[float, float]:
    """Return the least and the largest number of any image, as the network sees it.

    Args:
        model: The model, with its preprocessing.
        bounds: Those that were asked for; None for what preprocessing makes of pixels from 0 to
            255, and without it for these where the model scales images itself, else for 0 and 1.
        method: Who asks, for errors.

    Returns:
        The two numbers.

    Raises:
        ValueError: What preprocessing makes of pixels depends on the image, or the bounds are in
            the wrong order.
        TypeError: The bounds are no two numbers.
    """
    if bounds is not None:
        return arguments.bounds(method, "bounds", bounds)
    extent = preprocessing.extent(model.preprocessing, PIXELS, model.input_shape[-1])
    if extent is None:
        raise ValueError(
            f"{method}: the range of the numbers that the network sees is not known, since what "
            f"{model.preprocessing!r} makes of a pixel depends on its image. Give it: "
            "bounds=(least, largest)."
        )
    low, high = float(extent[0].min()), float(extent[1].max())
    return adversarial.range_of(model, 0.0, 1.0, None) if (low, high) == PIXELS else (low, high)
