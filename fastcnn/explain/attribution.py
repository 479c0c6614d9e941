"""Images beside what a method says of their pixels."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastcnn.explain import pixels
from fastcnn.explain.inputs import Images
from fastcnn.explain.mosaic import Cell, Mosaic
from fastcnn.explain.pixels import Picture

SHOWN = 12
"""Images that a picture shows at most."""

Show = Callable[[Picture, NDArray[Any]], Sequence[Picture]]
"""Makes pictures of an image and what a method says of it."""


class Attribution(Mosaic):
    """A row for each image: the image, and pictures of what a method says of its pixels.

    Args:
        array: What it says, [n, ...].
        images: The images.
        names: What stands above each image.
        title: Stands above all.
        show: Makes the pictures.
    """

    def __init__(
        self, array: NDArray[Any], images: Images, names: Sequence[str], title: str, show: Show
    ):
        def rows() -> list[list[Cell]]:
            drawn = pixels.of_images(images[:SHOWN])
            cells = [
                [Cell(picture, name), *map(Cell, show(picture, relevance))]
                for picture, relevance, name in zip(drawn, array, names, strict=False)
            ]
            pair = 2 if len(cells) > 3 else 1  # two images a row where there are many
            return [
                list(itertools.chain.from_iterable(cells[i : i + pair]))
                for i in range(0, len(cells), pair)
            ]

        super().__init__(array, rows, title, cell=1.6)


def magnitudes(picture: Picture, relevance: NDArray[Any]) -> list[Picture]:
    """Return a map of how large numbers are at each pixel, and the same above the image.

    Args:
        picture: The image.
        relevance: Numbers of its pixels.

    Returns:
        Two pictures.

    Shape:
        relevance [H, W, C].
    """
    largest = _clipped(np.abs(relevance).max(axis=-1))
    return [pixels.heat(largest), pixels.over(picture, largest)]


def places(picture: Picture, relevance: NDArray[Any]) -> list[Picture]:
    """Return a map of another size above the image.

    Args:
        picture: The image.
        relevance: Numbers from 0 on of its places.

    Returns:
        Two pictures.

    Shape:
        relevance [h, w].
    """
    fitted = pixels.resized(relevance, *picture.shape[:2])
    return [pixels.heat(fitted), pixels.over(picture, fitted)]


def evidence(picture: Picture, relevance: NDArray[Any]) -> list[Picture]:
    """Return what speaks for a class in red, and what speaks against it in blue.

    Args:
        picture: The image.
        relevance: Signed numbers of its pixels.

    Returns:
        Two pictures.

    Shape:
        relevance [H, W, C] or [H, W].
    """
    summed = relevance.sum(axis=-1) if relevance.ndim == 3 else relevance
    most = float(np.percentile(np.abs(summed), 99.5)) or float(np.abs(summed).max())
    return [pixels.diverging(summed, most), pixels.over(picture, _clipped(np.maximum(summed, 0)))]


def gradients(picture: Picture, relevance: NDArray[Any]) -> list[Picture]:
    """Return a gradient as a picture in which 0 is grey.

    Args:
        picture: The image.
        relevance: Its gradient.

    Returns:
        One picture.

    Shape:
        relevance [H, W, C].
    """
    most = float(np.percentile(np.abs(relevance), 99.5)) or 1.0
    return [pixels.signed(np.clip(relevance, -most, most))]


def _clipped(values: NDArray[Any]) -> NDArray[Any]:
    """Return numbers of which few very large ones do not make all others dark."""
    most = float(np.percentile(values, 99.5))
    return np.minimum(values, most) if most > 0 else values
