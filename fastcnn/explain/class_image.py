"""The image that a class, a channel or a unit wants."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastcnn.explain import fooling, input_bounds, inputs, pixels
from fastcnn.explain.ascent import blurred, descend
from fastcnn.explain.fooling import USUAL
from fastcnn.explain.input_bounds import Bounds
from fastcnn.explain.inputs import Images
from fastcnn.explain.mosaic import Cell, Mosaic, in_columns
from fastcnn.graph.program import DECONVNET
from fastcnn.layers.base import Layer
from fastcnn.models import lookup
from fastcnn.models.sequential import Sequential
from fastcnn.utils import arguments


def class_image(
    model: Sequential,
    target: int | Sequence[int] | None = None,
    layer: str | Layer | None = None,
    channel: int | Sequence[int] | None = None,
    bounds: Bounds = None,
    steps: int = 128,
    rate: float = 0.02,
    smooth: float = 0.5,
    decay: float = 0.2,
    blur: float = 0.5,
    seed: int = 0,
) -> Mosaic:
    """Return images that the score of a class or the outputs of a channel go up for, found by
    gradient ascent from noise.

    Args:
        model: A model, of one score a class where no layer is named.
        target: The class, or several; None for the first ten.
        layer: A layer, its name or path, whose channels are asked for in place of classes.
        channel: A channel of the layer, or unit of one without feature maps, or several; None for
            the first ten.
        bounds: The least and the largest number of an image, behind the model's preprocessing; None
            for what that makes of pixels from 0 to 255, for these where the model scales images
            itself, else for 0 and 1.
        steps: How many.
        rate: The length of a step, as a part of the range.
        smooth: The weight of total variation.
        decay: The weight of L2, which keeps pixels grey that do not matter.
        blur: How far images become their blurred ones in every fourth step, from 0 to 1.
        seed: Of the noise.

    Returns:
        A result whose `array` has the images.

    Raises:
        ValueError: The model's inputs are no images, there is no such class, layer or channel, a
            number is out of its range, or preprocessing leaves open how large numbers are.

    Shape:
        array float32 [classes or channels, H, W, C].

    References:
        Simonyan et al., 2013: Deep inside convolutional networks. Yosinski et al., 2015:
        Understanding neural networks through deep visualization.
    """
    count = arguments.whole("class_image", "steps", steps, least=1)
    length = arguments.number("class_image", "rate", rate, above=0)
    smoothing = arguments.number("class_image", "smooth", smooth, least=0)
    greying = arguments.number("class_image", "decay", decay, least=0)
    share = arguments.number("class_image", "blur", blur, least=0, most=1)
    inputs.check_pictures(model, "class_image")
    low, high = input_bounds.of_any_image(model, bounds, "class_image")
    model = inputs.without_preprocessing(model)
    if layer is None:
        labels = _classes(model, target, channel)
        wanted: object = labels
        awakening = None
        names, title = inputs.names(model, labels), "What each class wants to see"
    else:
        at = lookup.own_layer(model, layer, "class_image")
        labels = _channels(at, target, channel)
        factors = _factors(at, labels)
        wanted = at, factors
        # A channel whose ReLU is off everywhere has no gradient: its middle's beyond the ReLU does.
        awakening = at, _middle(factors)
        names = [f"channel {number}" for number in labels]
        title = f"What channels of '{at.path}' want to see"
    noise = np.random.default_rng(seed).standard_normal((len(labels), *model.input_shape))
    start = ((low + high) / 2 + 0.05 * (high - low) * blurred(noise)).astype(np.float32)

    def gradient(images: Images) -> Images:
        slopes = model.input_gradient(images, wanted)
        silent = ~slopes.any(axis=(1, 2, 3))
        if awakening is not None and silent.any():
            slopes[silent] = model.input_gradient(images, awakening, relu=DECONVNET)[silent]
        return -slopes

    images = descend(start, gradient, (low, high), count, length, smoothing, greying, share)

    def rows() -> list[list[Cell]]:
        drawn = map(pixels.normalized, images)
        return in_columns(list(map(Cell, drawn, names)), 5)

    return Mosaic(images, rows, title, cell=1.4)


def _classes(model: Sequential, target: ArrayLike | None, channel: object) -> NDArray[np.int64]:
    if channel is not None:
        raise ValueError(
            f"class_image: channel is one of a layer's: name the layer. Received {channel!r} alone."
        )
    return fooling.wanted(model, target, "class_image")


def _channels(layer: Layer, target: object, channel: object) -> NDArray[np.int64]:
    count = layer.output_shape[-1]
    asked = np.arange(min(count, USUAL)) if channel is None else np.atleast_1d(np.asarray(channel))
    fits = asked.dtype.kind in "iu" and asked.ndim == 1 and asked.size
    if target is not None or not fits or asked.min() < 0 or asked.max() >= count:
        raise ValueError(
            f"class_image: with a layer, channel must be a number below {count}, of the channels "
            f"of {layer.label}, or several, and target None. Received channel={channel!r}, "
            f"target={target!r}."
        )
    return asked.astype(np.int64)


def _factors(layer: Layer, channels: NDArray[np.int64]) -> NDArray[np.float32]:
    """What a layer's outputs count for each channel's image, [channels, *output_shape]."""
    one_hot = np.eye(layer.output_shape[-1], dtype=np.float32)[channels]
    inner = [1] * (len(layer.output_shape) - 1)
    shape = len(channels), *layer.output_shape
    return np.ascontiguousarray(np.broadcast_to(one_hot.reshape(len(channels), *inner, -1), shape))


def _middle(factors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Factors of feature maps that are 0 but for the units in the middle."""
    if factors.ndim != 4:
        return factors
    i, j = factors.shape[1] // 2, factors.shape[2] // 2
    middle = np.zeros_like(factors)
    middle[:, i, j] = factors[:, i, j]
    return middle
