"""The layer that a method looks at, and its features."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fastcnn.explain.inputs import BATCH, Images
from fastcnn.layers.base import Layer
from fastcnn.models import lookup
from fastcnn.models.head import scores_place
from fastcnn.models.sequential import Sequential
from fastcnn.utils import arrays


def has_maps(layer: Layer) -> bool:
    """Say whether a layer's output is feature maps of more than a pixel.

    Args:
        layer: A built layer.
    """
    shape = layer.output_shape
    return len(shape) == 3 and shape[0] * shape[1] > 1


def map_layer(model: Sequential, layer: str | Layer | None, method: str) -> Layer:
    """Return a layer with feature maps.

    Args:
        model: The model.
        layer: One of its layers, or its name or path; None for the last with feature maps that is
            no pooling, padding, rescaling, normalization or dropout.
        method: Who asks, for errors.

    Returns:
        The layer.

    Raises:
        ValueError: The layer, or every layer, has no feature maps.
    """
    if layer is not None:
        named = lookup.own_layer(model, layer, method)
        if has_maps(named):
            return named
        raise ValueError(
            f"{method}: expected a layer with feature maps, (height, width, channels). Received "
            f"{named.label}, whose outputs have shape {named.output_shape}."
        )
    passing = ("Pooling", "Dropout", "Padding", "Rescaling", "Normalization")
    with_maps = [top for top in model.layers if has_maps(top)]
    chosen = [top for top in with_maps if not any(n in type(top).__name__ for n in passing)]
    if not with_maps:
        raise ValueError(
            f"{method}: expected a network with feature maps. Received one none of whose layers "
            "has any: their outputs are vectors, which have no places in the image."
        )
    return (chosen or with_maps)[-1]


def feature_layer(model: Sequential, layer: str | Layer | None, method: str) -> Layer:
    """Return the layer whose outputs stand for an image.

    Args:
        model: The model.
        layer: One of its layers, or its name or path; None for the one before the scores, or the
            last one of a model that ends in features.
        method: Who asks, for errors.

    Returns:
        The layer.

    Raises:
        ValueError: There is no such layer, or none before the scores.
    """
    if layer is not None:
        return lookup.own_layer(model, layer, method)
    place = scores_place(model.layers, model.output_shape)
    if place == 0:
        raise ValueError(
            f"{method}: the model has no layer before {model.layers[0].label}, which gives the "
            "scores. Name a layer."
        )
    before: Layer = model.layers[-1 if place is None else place - 1]
    return before


def mean_features(
    model: Sequential, images: Images, layer: Layer, method: str
) -> NDArray[np.float32]:
    """Return what a layer makes of images, of feature maps their means.

    Args:
        model: The model.
        images: The images.
        layer: One of its layers.
        method: Who asks, for errors.

    Returns:
        The features, [n, numbers].

    Raises:
        ValueError: Some are not finite, as of weights that have diverged.
    """
    features = model.features(images, layer, batch_size=BATCH, pooling="average")
    arrays.finite(features, f"{method}: the features of '{layer.path}'")
    return features
