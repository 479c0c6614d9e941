"""Pictures of a training: its curves, the confusion matrix, the images taken for others.

Each function returns the figure and its axes, and writes the file named by `save=`.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastcnn.data.dataset import is_dataset, read
from fastcnn.utils import atomic_file

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, MUTED, GRID = "#1f2933", "#6b7785", "#dfe4ea"
TRAIN, VALIDATION, WRONG = "#8a97a8", "#1f6fb4", "#b3261e"
SHOWN_CLASSES = 25
"""Above so many classes, a confusion matrix shows colours alone."""

Save = str | os.PathLike[str] | None


class FitHistory(Protocol):
    """What `fit` returns: the values of each epoch by name, and the numbers of the epochs."""

    history: dict[str, list[float]]
    epoch: list[int]


def curves(
    history: FitHistory | Mapping[str, Sequence[float]], save: Save = None
) -> tuple[Figure, NDArray[Any]]:
    """Draw the loss and each metric by epoch: training dashed, validation solid, the best marked.

    history: what fit returned, or its dict of lists. The best epoch is that of the lowest
    validation loss (training loss where there was no validation); epochs count from 1.
    """
    values = history.history if hasattr(history, "history") else history
    if "loss" not in values or not len(values["loss"]):
        raise ValueError(
            "plots.curves: history must hold at least one epoch's 'loss'. "
            f"Received {', '.join(values) or 'an empty history'}."
        )
    first = (getattr(history, "epoch", None) or [0])[0] + 1
    epochs = np.arange(first, first + len(values["loss"]))
    names = [n for n in values if not n.startswith("val_") and n != "learning_rate"]
    figure, axes = _figure(len(names), width=5.2, height=3.6)
    watched = np.asarray(values.get("val_loss", values["loss"]), float)
    best = None if np.isnan(watched).all() else int(np.nanargmin(watched))
    for axis, name in zip(axes, names, strict=True):
        _curve(axis, epochs, name, values, best)
    return _finish(figure, save), axes


def _curve(
    axis: Axes, epochs: NDArray[Any], name: str, values: Mapping[str, object], best: int | None
) -> None:
    """One panel: a value in training and, if there, in validation."""
    validated = f"val_{name}" in values
    train = np.asarray(values[name], float)
    # A single epoch has no line: show its points.
    marker = "o" if len(epochs) == 1 else None
    axis.plot(epochs, train, "--", color=TRAIN, marker=marker, label="training", linewidth=1.6)
    watched = np.asarray(values[f"val_{name}"], float) if validated else train
    if validated:
        measured = ~np.isnan(watched)  # not after each epoch, perhaps
        marker = "o" if measured.sum() == 1 else None
        (line,) = axis.plot(epochs[measured], watched[measured], "-", marker=marker, linewidth=2)
        line.set(color=VALIDATION, label="validation")
    if best is not None and best < len(watched):
        colour = VALIDATION if validated else TRAIN
        axis.axvline(epochs[best], color=GRID, linewidth=1, zorder=0)
        label = f"best epoch, {epochs[best]}: {watched[best]:.4g}"
        axis.plot(epochs[best], watched[best], "o", color=colour, markersize=7, label=label)
    axis.set_title(name.replace("_", " "), loc="left", color=INK, fontsize=11, fontweight="bold")
    axis.set_xlabel("epoch", color=MUTED)
    if len(epochs) == 1:
        axis.set_xticks(epochs)
    else:
        axis.locator_params(axis="x", integer=True)
    axis.grid(axis="y", color=GRID, linewidth=0.7)
    axis.set_axisbelow(True)
    axis.legend(frameon=False, labelcolor=INK, fontsize=9)
    _quiet(axis)


def confusion_matrix(
    matrix: ArrayLike,
    class_names: Sequence[str] | None = None,
    save: Save = None,
) -> tuple[Figure, Axes]:
    """Draw a confusion matrix (rows true, columns predicted), coloured by the share of its row."""
    counts = np.asarray(matrix)
    if counts.ndim != 2 or counts.shape[0] != counts.shape[1] or not counts.size:
        raise ValueError(
            "plots.confusion_matrix: the matrix must be square and not empty. "
            f"Received shape {counts.shape}."
        )
    names = _names(class_names, len(counts), "plots.confusion_matrix")
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    side = float(np.clip(1.8 + 0.55 * len(counts), 4.0, 12.0))
    figure, axes = _figure(1, width=side, height=side * 0.94)
    axis = axes[0]
    axis.imshow(share, cmap="Blues", vmin=0.0, vmax=1.0)
    if len(counts) <= SHOWN_CLASSES:
        _cells(axis, counts, share)
        slanted = max(map(len, names)) > 4
        turn = {"rotation": 45, "ha": "right", "rotation_mode": "anchor"} if slanted else {}
        axis.set_xticks(range(len(names)), names, **turn)
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
    return _finish(figure, save), axis


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


def mistakes(
    x: Any,
    y_true: ArrayLike,
    probabilities: ArrayLike,
    class_names: Sequence[str] | None = None,
    rows: int = 4,
    columns: int = 6,
    save: Save = None,
) -> tuple[Figure, NDArray[Any]]:
    """Draw a grid of wrongly classified images, the surest mistakes first.

    x: images [n, H, W, C] with C 1 or 3, or [n, H, W], or a Dataset with `image_shape`, of which
    only what is shown is read; y_true: labels [n]; probabilities [n, classes]. Above each image its
    true class, then the predicted one and its probability.
    """
    labels, shares = np.asarray(y_true), np.asarray(probabilities)
    held = not is_dataset(x)
    shape = np.shape(x) if held else (len(x), *x.image_shape)
    if len(shape) not in (3, 4) or (len(shape) == 4 and shape[-1] not in (1, 3)):
        raise ValueError(
            "plots.mistakes: x must be images of shape (n, H, W, 1) or (n, H, W, 3). "
            f"Received shape {shape}."
        )
    count = shape[0]
    if shares.ndim != 2 or labels.shape != (count,) or len(shares) != count:
        raise ValueError(
            f"plots.mistakes: y_true must have shape ({count},) and probabilities "
            f"({count}, classes), as there are {count} images. "
            f"Received {labels.shape} and {shares.shape}."
        )
    names = _names(class_names, shares.shape[1], "plots.mistakes")
    predicted = shares.argmax(axis=1)
    wrong = surest_mistakes(labels, shares)
    shown = wrong[: rows * columns]
    pictures = np.asarray(x)[shown] if held else read(x, shown)
    # Few images make a smaller picture, wide enough for its title.
    columns = min(columns, max(4, len(shown)))
    rows = max(1, min(rows, -(-len(shown) // columns)))
    figure, axes = _figure(columns, width=1.55, height=1.95 * rows + 0.5, rows=rows)
    low, high = _range(np.asarray(x) if held else pictures)
    for axis, index, image in zip(axes, shown, pictures, strict=False):
        picture = np.clip((image - low) / (high - low), 0.0, 1.0)
        axis.imshow(picture.squeeze(), cmap="gray", vmin=0.0, vmax=1.0)
        axis.set_title(names[labels[index]], fontsize=9, color=INK, pad=16)
        guess = f"{names[predicted[index]]} {shares[index, predicted[index]]:.0%}"
        guess = guess.replace("%", " %")
        axis.text(0.5, 1.03, guess, transform=axis.transAxes, ha="center", fontsize=9, color=WRONG)
    for axis in axes:
        axis.set_axis_off()
    figure.suptitle(
        f"{len(wrong):,} of {count:,} images taken for others: true above, predicted below",
        x=0.01,
        ha="left",
        fontsize=11,
        fontweight="bold",
        color=INK,
    )
    return _finish(figure, save), axes.reshape(rows, columns)


def surest_mistakes(y_true: ArrayLike, probabilities: ArrayLike) -> NDArray[np.int64]:
    """Return the positions of wrongly classified images, the surest first.

    y_true: labels [n]; probabilities [n, classes].
    """
    labels, shares = np.asarray(y_true), np.asarray(probabilities)
    predicted = shares.argmax(axis=1)
    wrong = np.flatnonzero(predicted != labels)
    return wrong[np.argsort(-shares[wrong, predicted[wrong]], kind="stable")]


def images(
    x: ArrayLike,
    labels: ArrayLike | None = None,
    class_names: Sequence[str] | None = None,
    columns: int = 8,
    save: Save = None,
    scale_each: bool = False,
) -> tuple[Figure, NDArray[Any]]:
    """Draw a grid of images, each below the name of its class.

    x: images [n, H, W, C] with C 1, 3 or 4, or [n, H, W], n > 0; labels: [n], or None. uint8 is
    drawn as it is, of other types the least value of all images black and the largest white. With
    scale_each it is each image's own least and largest value, uint8 or not.
    """
    shown = np.asarray(x)
    if shown.ndim not in (3, 4) or not len(shown) or shown.shape[3:] not in ((), (1,), (3,), (4,)):
        raise ValueError(
            "plots.images: x must be images of shape (n, H, W, 1), (n, H, W, 3) or (n, H, W, 4). "
            f"Received shape {shown.shape}."
        )
    columns = min(columns, len(shown))
    rows = -(-len(shown) // columns)
    figure, axes = _figure(columns, width=1.4, height=1.6 * rows, rows=rows)
    common = _range(shown)
    for number, axis in enumerate(axes[: len(shown)]):
        low, high = _extremes(shown[number]) if scale_each else common
        picture = np.clip((shown[number] - low) / (high - low), 0.0, 1.0)
        axis.imshow(picture.squeeze(), cmap="gray", vmin=0.0, vmax=1.0)
        if labels is not None:
            label = int(np.asarray(labels)[number])
            name = str(label) if class_names is None else class_names[label]
            axis.set_title(name, fontsize=9, color=INK)
    for axis in axes:
        axis.set_axis_off()
    return _finish(figure, save), axes.reshape(rows, columns)


def _range(images: NDArray[Any]) -> tuple[float, float]:
    """What is black and what is white, of all images alike: 0 and 255 of uint8, else the least and
    the largest value; grey where there is one value alone.
    """
    if images.dtype == np.uint8:
        return 0.0, 255.0
    return _extremes(images)


def _extremes(images: NDArray[Any]) -> tuple[float, float]:
    """The least and the largest value that is finite; around it where there is one alone."""
    finite = images[np.isfinite(images)]
    if not finite.size:
        return 0.0, 1.0
    low, high = float(finite.min()), float(finite.max())
    return (low, high) if high > low else (low - 0.5, low + 0.5)


def _names(class_names: Sequence[str] | None, classes: int, where: str) -> list[str]:
    if class_names is None:
        return [str(label) for label in range(classes)]
    if len(class_names) != classes:
        raise ValueError(
            f"{where}: class_names must hold {classes} names. Received {len(class_names)}."
        )
    return [str(name) for name in class_names]


def _figure(
    columns: int, width: float, height: float, rows: int = 1
) -> tuple[Figure, NDArray[Any]]:
    """A figure with rows x columns panels, `width` inches each; the axes in one flat array."""
    pyplot = _pyplot()
    figure, axes = pyplot.subplots(
        rows, columns, figsize=(width * columns, height), squeeze=False, layout="constrained"
    )
    figure.get_layout_engine().set(w_pad=0.1, h_pad=0.08)
    return figure, axes.ravel()


def _pyplot() -> Any:
    """matplotlib.pyplot, drawing to files where there is no display."""
    try:
        import matplotlib
    except ImportError as error:
        raise ImportError(
            "Pictures need matplotlib, which is not installed: pip install matplotlib."
        ) from error
    displays = ("DISPLAY", "WAYLAND_DISPLAY", "MPLBACKEND")
    headless = sys.platform.startswith("linux") and not any(map(os.environ.get, displays))
    if headless and "matplotlib.pyplot" not in sys.modules:
        matplotlib.use("Agg")
    from matplotlib import pyplot

    return pyplot


def _quiet(axis: Axes) -> None:
    """No box, soft ticks."""
    axis.spines[["top", "right", "left"]].set_visible(False)
    axis.spines["bottom"].set_color(GRID)
    axis.tick_params(colors=MUTED, labelsize=9, length=0)


def _finish(figure: Figure, save: Save) -> Figure:
    """Write the file; a figure that went to a file is not also shown by pyplot.show()."""
    if save is not None:
        write(figure, save, dpi=130)
        _pyplot().close(figure)
    return figure


def write(figure: Figure, path: str | os.PathLike[str], dpi: int) -> Path:
    """Write a picture as a whole or not at all, in the format that its name ends in (PNG where it
    has no ending), and makes the folder where there is none.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    drawn = io.BytesIO()
    kind = target.suffix.removeprefix(".").lower() or "png"
    figure.savefig(drawn, format=kind, dpi=dpi, facecolor="white")
    with atomic_file.replacing(target) as file:
        file.write(drawn.getvalue())
    return target
