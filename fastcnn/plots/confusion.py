"""The confusion matrix as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastcnn.plots.figure import INK, MUTED, Save, class_titles, finished, panels

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SHOWN_CLASSES = 25
"""Above so many classes, a confusion matrix shows colours alone."""


def confusion_matrix(
    matrix: ArrayLike,
    class_names: Sequence[str] | None = None,
    save: Save = None,
) -> tuple[Figure, Axes]:
    """Draw a confusion matrix (rows true, columns predicted), coloured by the share of its row.

    Args:
        matrix: Counts, as `fastcnn.metrics.confusion_matrix` returns them.
        class_names: A name for each class; None for the classes' numbers.
        save: The file to write; its ending says the format.

    Returns:
        The figure and its axes.

    Raises:
        ValueError: The matrix is not square or empty, or there are not as many names.
        ImportError: matplotlib is not installed.

    Shape:
        matrix [classes, classes].
    """
    counts = np.asarray(matrix)
    if counts.ndim != 2 or counts.shape[0] != counts.shape[1] or not counts.size:
        raise ValueError(
            "plots.confusion_matrix: the matrix must be square and not empty. "
            f"Received shape {counts.shape}."
        )
    names = class_titles(class_names, len(counts), "plots.confusion_matrix")
    side = matrix_side(len(counts))
    figure, axes = panels(1, width=side, height=side * 0.94)
    draw_matrix(axes[0], counts, names)
    return finished(figure, save), axes[0]


def matrix_side(classes: int) -> float:
    """Return the width of a matrix, in inches.

    Args:
        classes: How many there are.
    """
    return float(np.clip(1.8 + 0.55 * classes, 4.0, 12.0))


def draw_matrix(axis: Axes, counts: NDArray[Any], names: Sequence[str]) -> None:
    """Draw a confusion matrix, coloured by the share of its row.

    Args:
        axis: Where to.
        counts: Images, a row for each true class.
        names: The classes.
    """
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axis.imshow(share, cmap="Blues", vmin=0.0, vmax=1.0)
    if len(counts) <= SHOWN_CLASSES:
        _cells(axis, counts, share)
        slanted = max(map(len, names)) > 4
        slant: dict[str, Any] = {"rotation": 45, "ha": "right", "rotation_mode": "anchor"}
        axis.set_xticks(range(len(names)), names, **(slant if slanted else {}))
        axis.set_yticks(range(len(names)), names)
    accuracy = counts.diagonal().sum() / max(counts.sum(), 1)
    axis.set_title(
        f"{accuracy:.2%} of {counts.sum():,} images right".replace("%", " %"),
        loc="left",
        color=INK,
        fontsize=11,
        fontweight="bold",
    )
    axis.set_xlabel("predicted", color=MUTED)
    axis.set_ylabel("true", color=MUTED)
    axis.tick_params(length=0, labelcolor=INK, labelsize=9)
    axis.spines[:].set_visible(False)


def _cells(axis: Axes, counts: NDArray[Any], share: NDArray[Any]) -> None:
    """The counts in their cells; zeros stay empty."""
    size = float(np.clip(110 / len(counts), 6, 10))
    for row, column in np.argwhere(counts > 0):
        colour = "white" if share[row, column] > 0.5 else INK
        axis.text(
            column,
            row,
            f"{counts[row, column]:,}",
            ha="center",
            va="center",
            color=colour,
            fontsize=size,
        )
    edges = np.arange(len(counts) + 1) - 0.5
    axis.set_xticks(edges, minor=True)
    axis.set_yticks(edges, minor=True)
    axis.grid(which="minor", color="white", linewidth=1.5)
    axis.tick_params(which="minor", length=0)
