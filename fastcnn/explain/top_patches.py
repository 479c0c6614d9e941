"""The patches of a data set that excite each channel most, beside their deconvnet pictures."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastcnn.explain import inputs, layer_choice, pixels
from fastcnn.explain.inputs import BATCH, Images
from fastcnn.explain.mosaic import Cell, Mosaic
from fastcnn.graph.program import DECONVNET
from fastcnn.graph.receptive_field import Field, receptive_fields
from fastcnn.layers.base import Layer
from fastcnn.models.sequential import Sequential
from fastcnn.utils import arguments

SHOWN = 12
"""Channels that are taken where nothing is said."""
LEAST_COLUMNS = 3
"""Channels in a row, where there are so many."""


class TopPatches(Mosaic):
    """The patches of each channel.

    Args:
        array: The patches, [channels, patches, h, w, C].
        deconvnet: What of each patch excites the channel, of the same shape.
        positions: Which images they are cut from, int64 [channels, patches].
        activations: How much they excite it, [channels, patches].
        channels: The channels' numbers.
        layer: The layer's path.
    """

    def __init__(
        self,
        array: NDArray[Any],
        deconvnet: NDArray[Any],
        positions: NDArray[np.int64],
        activations: NDArray[Any],
        channels: Sequence[int],
        layer: str,
    ):
        self.deconvnet = deconvnet
        self.positions = positions
        self.activations = activations
        side = max(1, round(array.shape[1] ** 0.5))

        def rows() -> list[list[Cell]]:
            cells = [
                [Cell(_tiled(pictures, side)), Cell(_tiled(drawn, side))]
                for pictures, drawn in zip(
                    map(pixels.of_images, array),
                    ([pixels.signed(signal) for signal in row] for row in deconvnet),
                    strict=True,
                )
            ]
            titled = [
                [Cell(pair[0].picture, f"channel {number}"), pair[1]]
                for pair, number in zip(cells, channels, strict=True)
            ]
            columns = max(LEAST_COLUMNS, math.ceil((len(titled) / 2) ** 0.5))
            return [
                list(itertools.chain.from_iterable(titled[i : i + columns]))
                for i in range(0, len(titled), columns)
            ]

        title = f"What excites the channels of '{layer}', and what of it does (deconvnet)"
        super().__init__(array, rows, title, cell=2.0, group=2)


def top_patches(
    model: Sequential,
    x: object,
    layer: str | Layer | None = None,
    channels: Sequence[int] | None = None,
    patches: int = 9,
) -> TopPatches:
    """Return the images that excite each channel most, cut to the receptive field of the unit.

    Each image counts once, with its strongest unit. What lies outside the image is 0.

    Args:
        model: The model.
        x: Images, an array or a Dataset.
        layer: The layer, its name or path; None for the last with feature maps that is neither a
            pooling nor Dropout.
        channels: Channels; None for the first ones.
        patches: How many images of each.

    Returns:
        The patches, and beside them what the deconvnet makes of each unit.

    Raises:
        ValueError: The images do not fit, the layer has no feature maps or no such channel.

    Shape:
        x [n, H, W, C] -> array [channels, patches, h, w, C], h x w the receptive field.

    References:
        Zeiler and Fergus, 2014: Visualizing and understanding convolutional networks.
    """
    model, images = inputs.pictures(model, x, "top_patches")
    count = min(arguments.whole("top_patches", "patches", patches, least=1), len(images))
    at = layer_choice.map_layer(model, layer, "top_patches")
    shown = _channels(at, channels)
    strongest, places = _strongest(model, images, at)
    program = model.program(fused=False, until=at.path)
    field = receptive_fields(program)[program.outputs_of[at.path]]
    best = np.argsort(-strongest[:, shown], axis=0, kind="stable")[:count].T
    cut, signals = [], []
    for channel, positions in zip(shown, best, strict=True):
        at_places = places[positions, channel]
        units = np.unravel_index(at_places, at.output_shape[:2])
        factors = np.zeros((count, *at.output_shape), np.float32)
        factors[np.arange(count), units[0], units[1], channel] = strongest[positions, channel]
        signal = model.input_gradient(images[positions], (at, factors), relu=DECONVNET)
        corners = list(zip(*units, strict=True))
        cut.append(_cut(images[positions], field, corners))
        signals.append(_cut(signal, field, corners))
    activations = np.take_along_axis(strongest[:, shown].T, best, axis=1)
    return TopPatches(np.stack(cut), np.stack(signals), best, activations, shown, at.path)


def _channels(layer: Layer, channels: Sequence[int] | None) -> list[int]:
    count = layer.output_shape[-1]
    shown = list(range(min(count, SHOWN))) if channels is None else list(channels)
    if not shown or not all(arguments.is_whole(c) and 0 <= c < count for c in shown):
        raise ValueError(
            f"top_patches: channels must be numbers below {count}, the channels of {layer.label}. "
            f"Received {channels!r}."
        )
    return shown


def _strongest(
    model: Sequential, images: Images, layer: Layer
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return how much each image excites each channel at most, and at which place."""
    values, places = [], []
    for start in range(0, len(images), BATCH):
        maps = model.features(images[start : start + BATCH], layer, batch_size=BATCH)
        flat = maps.reshape(len(maps), -1, maps.shape[-1])
        at = flat.argmax(axis=1)
        places.append(at)
        values.append(np.take_along_axis(flat, at[:, None], axis=1)[:, 0])
    return np.concatenate(values), np.concatenate(places)


def _cut(images: Images, field: Field, units: list[tuple[Any, ...]]) -> NDArray[np.float32]:
    """Return the receptive field of a unit of each image; 0 outside the image."""
    height, width = images.shape[1:3]
    size = min(field[0].size, height), min(field[1].size, width)
    patches = np.zeros((len(images), *size, images.shape[-1]), np.float32)
    for patch, image, (i, j) in zip(patches, images, units, strict=True):
        rows, columns = field[0].at(int(i))[0], field[1].at(int(j))[0]
        top, left = (0 if size[0] == height else rows), (0 if size[1] == width else columns)
        bottom, right = min(top + size[0], height), min(left + size[1], width)
        y, x = max(top, 0), max(left, 0)
        patch[y - top : bottom - top, x - left : right - left] = image[y:bottom, x:right]
    return patches


def _tiled(pictures: Sequence[pixels.Picture], columns: int) -> pixels.Picture:
    """Return pictures of one size as one, with white lines between them."""
    height, width = pictures[0].shape[:2]
    rows = -(-len(pictures) // columns)
    line = max(1, height // 16)
    tiled = np.ones((rows * (height + line) - line, columns * (width + line) - line, 3), np.float32)
    for number, picture in enumerate(pictures):
        i, j = divmod(number, columns)
        top, left = i * (height + line), j * (width + line)
        tiled[top : top + height, left : left + width] = picture
    return tiled
