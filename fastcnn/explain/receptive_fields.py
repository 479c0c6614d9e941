"""What part of the image a unit of each layer sees, and what part of that its gradients reach."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fastcnn.explain import inputs, pixels
from fastcnn.explain.mosaic import Cell, Mosaic, in_columns
from fastcnn.layers.base import Layer
from fastcnn.models import lookup
from fastcnn.models.receptive_fields import LayerField, layer_fields, widening
from fastcnn.models.sequential import Sequential

SIDE = 160
"""The least pixels of a picture along its shorter side, so that frames are thin."""

FRAME = 0.34, 0.71, 0.91
"""Seen on the picture's colours and on paper."""


class ReceptiveFields(Mosaic):
    """The receptive fields of units in the middle.

    Args:
        fields: One a layer.
    """

    def __init__(self, fields: Sequence[LayerField]):
        self.fields = list(fields)
        relevance = np.stack([field.relevance for field in fields]).astype(np.float32)
        title = "What the unit in the middle sees (frame), and how much of it counts"
        super().__init__(relevance, self._cells, title, cell=1.5)

    def _cells(self) -> list[list[Cell]]:
        return in_columns(list(map(_cell, self.fields)), 5)


def receptive_fields(
    model: Sequential, x: object = None, layers: Sequence[str | Layer] | None = None
) -> ReceptiveFields:
    """Return for the unit in the middle of each layer how much each pixel counts: the root mean
    square of its gradient, over the layer's channels and the images.

    Args:
        model: The model.
        x: Images, an array or a Dataset; None for noise.
        layers: Layers, their names or paths; None for those that see further than the one before.

    Returns:
        A result whose `array` has the gradients, and `fields` for each layer its receptive field
        and `effective` size.

    Raises:
        ValueError: The images do not fit, or there is no such layer.

    Shape:
        x [n, H, W, C] -> array float32 [layers, H, W].

    References:
        Luo et al., 2016: Understanding the effective receptive field in deep convolutional neural
        networks.
    """
    images = None if x is None else inputs.pictures(model, x, "receptive_fields")[1]
    wanted = model.layers if layers is None else layers
    chosen = [lookup.own_layer(model, layer, "receptive_fields") for layer in wanted]
    fields = layer_fields(model, chosen, images)
    return ReceptiveFields(widening(fields) if layers is None else fields)


def _cell(field: LayerField) -> Cell:
    picture = pixels.heat(pixels.enlarged(field.relevance, SIDE))
    scale = len(picture) // len(field.relevance)
    line = max(1, SIDE // 60)
    (top, bottom), (left, right) = (
        (max(low, 0) * scale, min(high, extent) * scale)
        for (low, high), extent in zip(field.middle, field.relevance.shape, strict=True)
    )
    frame = np.zeros(picture.shape[:2], bool)
    frame[top:bottom, left:right] = True
    frame[top + line : bottom - line, left + line : right - line] = False
    picture[frame] = FRAME
    sizes = " x ".join(str(span.size) for span in field.field) if field.has_places else "the image"
    return Cell(picture, f"{field.layer.name}\n{sizes}, {field.effective:.1f}")
