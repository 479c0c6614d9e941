"""Grad-CAM: where a layer's feature maps speak for a class."""

from __future__ import annotations

import numpy as np

from fastcnn.explain import inputs, layer_choice
from fastcnn.explain.attribution import Attribution, places
from fastcnn.explain.inputs import Classes
from fastcnn.layers.base import Layer
from fastcnn.models.sequential import Sequential


def grad_cam(
    model: Sequential, x: object, target: Classes = None, layer: str | Layer | None = None
) -> Attribution:
    """Return a layer's feature maps, each times the mean gradient of the class's score, added up,
    where the sum is above 0.

    Args:
        model: A model with one score a class.
        x: Images, an array or a Dataset.
        target: The class, or one an image; None for what the model predicts.
        layer: The layer, its name or path; None for the last with feature maps that is neither a
            pooling nor Dropout.

    Returns:
        A result whose `array` has a number for each place of the layer.

    Raises:
        ValueError: The images do not fit, there is no such class, or the layer has no feature maps.

    Shape:
        x [n, H, W, C] -> array float32 [n, h, w], as the layer's.

    References:
        Selvaraju et al., 2017: Grad-CAM: visual explanations from deep networks.
    """
    model, images = inputs.pictures(model, x, "grad_cam")
    at = layer_choice.map_layer(model, layer, "grad_cam")
    labels = inputs.classes(model, images, target, "grad_cam")
    gradient = model.input_gradient(images, labels, source=at)
    weights = gradient.mean(axis=(1, 2), keepdims=True)
    relevance = np.maximum((weights * model.features(images, at)).sum(axis=-1), 0)
    title = f"Grad-CAM: where '{at.path}' speaks for the class"
    return Attribution(relevance, images, inputs.names(model, labels), title, places)
