"""The filters of a layer as a grid."""

from __future__ import annotations

import numpy as np

from fastcnn.explain import pixels
from fastcnn.explain.mosaic import Cell, Mosaic, in_columns
from fastcnn.layers.base import Layer
from fastcnn.models import lookup
from fastcnn.models.sequential import Sequential

CHANNELS = 8
"""Input channels that are shown of a layer whose filters are no pictures."""


def filters(model: Sequential, layer: str | Layer | None = None) -> Mosaic:
    """Return the filters of a convolution.

    Those over 1 or 3 channels are drawn as pictures, in which 0 is grey. Of others each row is a
    filter, and its pictures are what it has for the first input channels, negative in blue.

    Args:
        model: The model.
        layer: The layer, its name or path; None for the first with filters.

    Returns:
        A result whose `array` has the filters, the first axis counting them.

    Raises:
        ValueError: There is no such layer, or it has no filters.

    Shape:
        array float32 [F, KH, KW, C].
    """
    convolution = _with_filters(model, layer)
    kernel = convolution.named_parameters()["kernel"].value
    array = np.moveaxis(np.array(kernel), -1, 0)
    title = f"Filters of '{convolution.path}'"
    if array.shape[-1] in (1, 3):
        columns = int(np.ceil(np.sqrt(2 * len(array))))

        def grid() -> list[list[Cell]]:
            return in_columns([Cell(pixels.signed(kernel)) for kernel in array], columns)

        return Mosaic(array, grid, title, cell=0.7)

    def rows() -> list[list[Cell]]:
        return [
            [
                Cell(pixels.diverging(kernel[..., c], np.abs(kernel).max()))
                for c in range(min(CHANNELS, kernel.shape[-1]))
            ]
            for kernel in array
        ]

    shown = min(CHANNELS, array.shape[-1])
    names = [f"filter {number}" for number in range(len(array))]
    channels = [f"ch. {number}" for number in range(shown)]
    more = "" if shown == array.shape[-1] else f", {shown} of {array.shape[-1]} channels"
    return Mosaic(array, rows, title + more, names, channels, cell=0.6)


def _with_filters(model: Sequential, layer: str | Layer | None) -> Layer:
    if layer is None:
        for top in model.layers:
            for candidate in top.walk():
                if _has_filters(candidate):
                    return candidate
        raise ValueError("filters: expected a network with a convolution. Received one without.")
    chosen = lookup.own_layer(model, layer, "filters")
    if not _has_filters(chosen):
        raise ValueError(f"filters: expected a convolution. Received {chosen.label}.")
    return chosen


def _has_filters(layer: Layer) -> bool:
    kernel = layer.named_parameters().get("kernel")
    return kernel is not None and len(kernel.shape) == 4
