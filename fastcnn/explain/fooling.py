"""What methods have in common that make images which a network is sure of, and nobody else."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastcnn.explain import inputs, pixels
from fastcnn.explain.inputs import Images
from fastcnn.explain.mosaic import Cell, Mosaic, in_columns
from fastcnn.models.sequential import Sequential

USUAL = 10
"""Classes or channels that images are made for where none is named."""


class Fooling(Mosaic):
    """Images that are none of anything, with what they are taken for.

    Args:
        array: The images.
        chances: How sure the model is of the class that each was made for.
        names: Of these classes.
        title: Stands above all.
    """

    def __init__(
        self, array: Images, chances: NDArray[np.float32], names: Sequence[str], title: str
    ):
        self.chances = chances

        def rows() -> list[list[Cell]]:
            texts = [f"{name}\n{chance:.2%}" for name, chance in zip(names, chances, strict=True)]
            pictures = pixels.of_images(array)
            return in_columns(list(map(Cell, pictures, (t.replace("%", " %") for t in texts))), 5)

        super().__init__(array, rows, title, cell=1.4)


def wanted(model: Sequential, target: ArrayLike | None, method: str) -> NDArray[np.int64]:
    """Return the classes to make images for.

    Args:
        model: The model.
        target: A class, or several; None for the first ten.
        method: Who asks, for errors.

    Returns:
        int64 [classes].

    Raises:
        ValueError: The model's inputs are no images, or there is no such class.
    """
    inputs.check_pictures(model, method)
    count = inputs.class_count(model, method)
    labels = np.arange(min(count, USUAL)) if target is None else np.atleast_1d(target)
    return inputs.classes(model, np.empty((len(labels), 0), np.float32), labels, method)


def noise(
    model: Sequential, images: int, bounds: tuple[float, float], random: np.random.Generator
) -> Images:
    """Return images whose numbers are drawn alike from their whole range.

    Args:
        model: The model.
        images: How many.
        bounds: The range.
        random: Draws them.
    """
    return random.uniform(*bounds, (images, *model.input_shape)).astype(np.float32)
