"""What a classifier of points in the plane answers everywhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastcnn.explain import inputs
from fastcnn.explain.result import Result
from fastcnn.models.probabilities import class_probabilities
from fastcnn.models.sequential import Sequential
from fastcnn.plots.figure import INK, MARKERS, colour_of
from fastcnn.utils import arguments

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MARGIN = 0.15
"""Around the points, as a part of their extent."""
AT_ONCE = 4096
"""Points that go through a model at once."""


@dataclass(frozen=True)
class Plane:
    """Points with labels, and the grid of points around them that a model is asked for.

    Args:
        points: float32 [n, 2].
        labels: int64 [n].
        names: Of the classes, by label.
        across: The first coordinates of the grid.
        up: The second ones.
    """

    points: NDArray[np.float32]
    labels: NDArray[np.int64]
    names: list[str]
    across: NDArray[np.float32]
    up: NDArray[np.float32]

    def answers(self, model: Sequential) -> NDArray[np.float32]:
        """Return the probabilities of classes, float32 [rows, columns, classes]."""
        grid = np.stack(np.meshgrid(self.across, self.up), axis=-1)
        outputs = model.predict(grid.reshape(-1, 2), batch_size=AT_ONCE)
        shares = class_probabilities(model, outputs)
        return shares.reshape(*grid.shape[:2], -1)

    def accuracy(self, model: Sequential) -> float:
        """Return the share of points that are told rightly."""
        outputs = model.predict(self.points, batch_size=AT_ONCE)
        told = class_probabilities(model, outputs).argmax(axis=1)
        return float((told == self.labels).mean())

    def draw(self, axes: Axes, answers: NDArray[np.float32], title: str) -> None:
        """Draw the answers' regions, the boundaries between them, and the points."""
        from matplotlib.colors import to_rgb

        colours = np.array([to_rgb(colour_of(label)) for label in range(answers.shape[-1])])
        extent = (self.across[0], self.across[-1], self.up[0], self.up[-1])
        picture = 1 - 0.3 * (1 - colours[answers.argmax(axis=-1)])
        axes.imshow(picture, extent=extent, origin="lower", aspect="auto", interpolation="nearest")
        for label in range(answers.shape[-1] if answers.shape[-1] > 2 else 1):
            others = np.delete(answers, label, axis=-1).max(axis=-1)
            lead = answers[..., label] - others
            if lead.min() < 0 < lead.max():
                axes.contour(self.across, self.up, lead, [0.0], colors=INK, linewidths=1.2)
        for label in np.unique(self.labels).tolist():
            own = self.points[self.labels == label]
            axes.plot(
                own[:, 0],
                own[:, 1],
                MARKERS[label % len(MARKERS)],
                color=colour_of(label),
                ms=5,
                mec="white",
                mew=0.6,
                label=self.names[label],
            )
        axes.set_xlim(*extent[:2])
        axes.set_ylim(*extent[2:])
        axes.set_title(title, loc="left", fontsize=10, color=INK)
        axes.tick_params(labelsize=8)


class DecisionBoundary(Result):
    """A plane, and what a model answers there.

    Args:
        array: Probabilities, [rows, columns, classes].
        plane: The points, and where the answers are of.
        accuracy: The share of points that are told rightly.
    """

    def __init__(self, array: NDArray[np.float32], plane: Plane, accuracy: float):
        super().__init__(array)
        self.plane = plane
        self.accuracy = accuracy

    @property
    def size(self) -> tuple[float, float]:
        return 5.2, 5.2

    def draw(self, axes: Axes) -> None:
        points = f"{100 * self.accuracy:.0f} % of {len(self.plane.points):,} points right"
        self.plane.draw(axes, self.array, points)
        axes.legend(
            loc="upper left",
            bbox_to_anchor=(-0.02, -0.09),
            ncols=4,
            fontsize=9,
            frameon=False,
            labelcolor=INK,
            handletextpad=0.2,
        )


def decision_boundary(
    model: Sequential, points: ArrayLike, labels: ArrayLike, resolution: int = 200
) -> DecisionBoundary:
    """Return what a classifier of points in the plane answers everywhere around them.

    Args:
        model: A model of two numbers, with one score a class, or one of two classes.
        points: The points.
        labels: Their classes; of two also -1 and 1.
        resolution: Points of the grid along each side.

    Returns:
        A result whose `array` has the probabilities of the classes on the grid, `plane` its
        coordinates, `across` and `up`, and `accuracy` the share of points that are told rightly.

    Raises:
        ValueError: The model does not take two numbers, or points and labels do not fit.

    Shape:
        points [n, 2]; labels [n] -> array float32 [resolution, resolution, classes].
    """
    plane = plane_around(model, points, labels, resolution, "decision_boundary")
    return DecisionBoundary(plane.answers(model), plane, plane.accuracy(model))


def plane_around(
    model: Sequential, points: ArrayLike, labels: ArrayLike, resolution: int, method: str
) -> Plane:
    """Return a grid around points that a model is asked for.

    Args:
        model: The model.
        points: The points, [n, 2].
        labels: Their classes; of two also -1 and 1.
        resolution: Points of the grid along each side.
        method: Who asks, for errors.

    Returns:
        The plane.

    Raises:
        ValueError: The model does not take two numbers, or points and labels do not fit.
    """
    if tuple(model.input_shape) != (2,):
        raise ValueError(
            f"{method}: expected a model whose inputs have shape (2,), points in the plane. "
            f"Received one of {model.input_shape}."
        )
    count = arguments.whole(method, "resolution", resolution, least=2)
    array, classes = labelled_points(points, labels, method)
    scores = max(int(model.output_shape[-1]), 2)
    if classes.max() >= scores:
        raise ValueError(
            f"{method}: labels must be below {scores}, the model's classes. Received "
            f"{classes.max()}."
        )
    low, high = array.min(axis=0), array.max(axis=0)
    edge = MARGIN * np.maximum(high - low, 1e-6)
    across, up = (
        np.linspace(low[axis] - edge[axis], high[axis] + edge[axis], count, dtype=np.float32)
        for axis in (0, 1)
    )
    return Plane(array, classes, inputs.label_names(model, scores), across, up)


def labelled_points(
    points: ArrayLike, labels: ArrayLike, method: str
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return points and their classes from 0 on.

    Args:
        points: The points, [n, 2].
        labels: Their classes; of two also -1 and 1.
        method: Who asks, for errors.

    Returns:
        float32 [n, 2] and int64 [n].

    Raises:
        ValueError: They are no points in the plane, or have no labels.
    """
    array = np.asarray(points, np.float32)
    if array.ndim != 2 or array.shape[1] != 2 or not len(array):
        raise ValueError(
            f"{method}: points must have shape (n, 2), at least one. Received {array.shape}."
        )
    classes = np.asarray(labels)
    if classes.dtype.kind in "if" and classes.size and np.isin(classes, (-1, 1)).all():
        classes = (classes > 0).astype(np.int64) if (classes < 0).any() else classes.astype(int)
    return array, inputs.image_labels(classes, len(array), method)
