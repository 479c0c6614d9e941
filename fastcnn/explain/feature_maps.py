"""What layers make of an image, as pictures: one layer's maps, or all layers in a strip."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastcnn.explain import inputs, layer_choice, pixels
from fastcnn.explain.inputs import Images
from fastcnn.explain.mosaic import Cell, Mosaic, in_columns
from fastcnn.layers.base import Layer
from fastcnn.models.sequential import Sequential
from fastcnn.utils import arguments


class FilmStrip(Mosaic):
    """What every layer makes of an image.

    Args:
        array: The image.
        outputs: What each layer makes of it, by its path.
        names: What stands beside the layers' rows.
        most: Maps of a layer that are drawn.
    """

    def __init__(self, array: Images, outputs: dict[str, Images], names: Sequence[str], most: int):
        self.outputs = outputs

        def rows() -> list[list[Cell]]:
            strip = [_of_layer(output, most) for output in outputs.values()]
            return [[Cell(pixels.of_images(array[None])[0])], *strip]

        title = "What every layer makes of the image, its strongest maps first"
        super().__init__(array, rows, title, ["image", *names], cell=0.8)


def feature_maps(
    model: Sequential, x: object, layer: str | Layer | None = None, most: int = 64
) -> Mosaic:
    """Return a layer's feature maps of the first image.

    Args:
        model: The model.
        x: Images, an array or a Dataset, of which the first is shown.
        layer: The layer, its name or path; None for the last with feature maps that is neither a
            pooling nor Dropout.
        most: Maps that are drawn.

    Returns:
        A result whose `array` has all maps.

    Raises:
        ValueError: The images do not fit, or the layer has no feature maps.

    Shape:
        x [n, H, W, C] -> array float32 [h, w, channels].
    """
    model, images = inputs.pictures(model, x, "feature_maps")
    count = arguments.whole("feature_maps", "most", most, least=1)
    at = layer_choice.map_layer(model, layer, "feature_maps")
    maps = model.features(images[:1], at)[0]
    shown = min(count, maps.shape[-1])

    def rows() -> list[list[Cell]]:
        cells = [Cell(_map(maps[..., c]), str(c)) for c in range(shown)]
        first = [Cell(pixels.of_images(images[:1])[0], "image")]
        return in_columns([*first, *cells], int(np.ceil(np.sqrt(1.6 * (shown + 1)))))

    more = "" if shown == maps.shape[-1] else f", {shown} of {maps.shape[-1]}"
    return Mosaic(maps, rows, f"Feature maps of '{at.path}'{more}", cell=0.9)


def film_strip(model: Sequential, x: object, most: int = 10) -> FilmStrip:
    """Return what every layer makes of the first image, a row for each layer.

    Args:
        model: The model.
        x: Images, an array or a Dataset, of which the first is shown.
        most: Maps of a layer that are drawn: those with the largest sums.

    Returns:
        A result whose `array` is the image, and `outputs` what each layer makes of it, by its path.

    Raises:
        ValueError: The images do not fit.

    Shape:
        x [n, H, W, C] -> array float32 [H, W, C].
    """
    model, images = inputs.pictures(model, x, "film_strip")
    count = arguments.whole("film_strip", "most", most, least=1)
    batches = model.features(images[:1], [layer.path for layer in model.layers])
    outputs = {path: batch[0] for path, batch in batches.items()}
    shapes = ["x".join(map(str, layer.output_shape)) for layer in model.layers]
    names = [f"{layer.name}\n{shape}" for layer, shape in zip(model.layers, shapes, strict=True)]
    return FilmStrip(images[0], outputs, names, count)


def _of_layer(outputs: NDArray[Any], most: int) -> list[Cell]:
    if outputs.ndim != 3:
        side = int(np.ceil(np.sqrt(outputs.size)))
        square = np.zeros(side * side, np.float32)
        square[: outputs.size] = outputs.ravel()
        return [Cell(_map(square.reshape(side, side)))]
    strongest = np.argsort(-np.abs(outputs).sum(axis=(0, 1)), kind="stable")[:most]
    return [Cell(_map(outputs[..., c])) for c in strongest]


def _map(values: NDArray[Any]) -> pixels.Picture:
    """A map of numbers from 0 on as heat, of any others in blue and red."""
    return pixels.heat(values) if values.min() >= 0 else pixels.diverging(values)
