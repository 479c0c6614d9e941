"""Which classes are taken for which others, and the images of the worst of these confusions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastcnn import metrics
from fastcnn.explain import inputs, pixels
from fastcnn.explain.inputs import BATCH, Images
from fastcnn.explain.mosaic import Cell, Mosaic
from fastcnn.explain.result import Result
from fastcnn.models.probabilities import class_probabilities
from fastcnn.models.sequential import Sequential
from fastcnn.plots import surest_mistakes
from fastcnn.plots.confusion import draw_matrix, matrix_side
from fastcnn.utils import arguments

if TYPE_CHECKING:
    from matplotlib.axes import Axes

GAP = 0.4
"""Between matrix and pictures, in inches."""


class Confusions(Result):
    """A confusion matrix, and images of the confusions that are most frequent.

    Args:
        array: Counts, a row for each true class, [classes, classes].
        pairs: The most frequent confusions, (true, predicted), worst first.
        positions: The images of each of them, the surest mistakes first.
        images: All images.
        names: Of the classes.
        most: Images of a confusion that are drawn.
    """

    def __init__(
        self,
        array: NDArray[np.int64],
        pairs: Sequence[tuple[int, int]],
        positions: Sequence[NDArray[np.int64]],
        images: Images,
        names: Sequence[str],
        most: int,
    ):
        super().__init__(array)
        self.pairs = list(pairs)
        self.positions = list(positions)
        self._names = list(names)
        shown = [rows[:most] for rows in positions]

        def rows() -> list[list[Cell]]:
            drawn = iter(pixels.of_images(images[np.concatenate(shown)]))
            return [[Cell(next(drawn)) for _ in row] for row in shown]

        titles = [
            f"{names[true]} for {names[predicted]}\n{array[true, predicted]:,} of "
            f"{array[true].sum():,}"
            for true, predicted in self.pairs
        ]
        title = "The worst confusions: a class taken for another, the surest mistakes first"
        self._pictures = Mosaic(array, rows, title, titles, cell=0.9) if shown else None

    @property
    def size(self) -> tuple[float, float]:
        side = matrix_side(len(self.array))
        if self._pictures is None:
            return side, side
        width, height = self._pictures.size
        return side + GAP + width, max(side, height)

    def draw(self, axes: Axes) -> None:
        axes.set_axis_off()
        side = matrix_side(len(self.array))
        width, height = self.size
        draw_matrix(
            axes.inset_axes((0, 1 - side / height, side / width, side / height)),
            self.array,
            self._names,
        )
        if self._pictures is not None:
            wide, high = self._pictures.size
            place = ((side + GAP) / width, 1 - high / height, wide / width, high / height)
            self._pictures.draw(axes.inset_axes(place))


def confusions(
    model: Sequential, x: object, y: ArrayLike, pairs: int = 6, images: int = 8
) -> Confusions:
    """Return how often each class was taken for each other, and images of the worst confusions.

    Args:
        model: A model with one score a class.
        x: Images, an array or a Dataset.
        y: Their labels.
        pairs: How many pairs of classes are shown, those with the most mistakes.
        images: How many images of each.

    Returns:
        A result whose `array` is the confusion matrix, with `pairs` and the `positions` of their
        images.

    Raises:
        ValueError: The images or labels do not fit.

    Shape:
        x [n, H, W, C]; y [n] -> array int64 [classes, classes].
    """
    many = arguments.whole("confusions", "pairs", pairs, least=1)
    most = arguments.whole("confusions", "images", images, least=1)
    plain, shown = inputs.pictures(model, x, "confusions")
    labels = inputs.class_labels(model, y, len(shown), "confusions")
    classes = inputs.class_count(model, "confusions")
    shares = class_probabilities(model, plain.predict(shown, batch_size=BATCH))
    matrix = metrics.confusion_matrix(labels, shares, classes)
    wrong = surest_mistakes(labels, shares)
    worst = _worst(matrix)[:many]
    predicted = shares.argmax(axis=1)
    positions = [wrong[(labels[wrong] == t) & (predicted[wrong] == p)] for t, p in worst]
    return Confusions(matrix, worst, positions, shown, inputs.label_names(model, classes), most)


def _worst(matrix: NDArray[np.int64]) -> list[tuple[int, int]]:
    """Return pairs of a true class and another that it was taken for, the most frequent first."""
    mistakes = matrix - np.diag(matrix.diagonal())
    order = np.argsort(-mistakes, axis=None, kind="stable")
    pairs = zip(*np.unravel_index(order[: np.count_nonzero(mistakes)], matrix.shape), strict=True)
    return [(int(true), int(predicted)) for true, predicted in pairs]
