"""Images side by side, each below the name of its class; those that were taken for others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastcnn.data.dataset import is_dataset, read
from fastcnn.plots.figure import INK, WRONG, Save, class_titles, finished, panels, titled

if TYPE_CHECKING:
    from matplotlib.figure import Figure


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

    Above each image stand its true class, then the predicted one and its probability.

    Args:
        x: Images, or a Dataset with `image_shape`, of which only what is shown is read.
        y_true: Their labels.
        probabilities: What `predict` returned for them.
        class_names: A name for each class; None for the classes' numbers.
        rows: The most rows of images.
        columns: The most images in a row.
        save: The file to write; its ending says the format.

    Returns:
        The figure, and its axes in an array.

    Raises:
        ValueError: Shapes do not fit each other, or there are not as many names as classes.
        ImportError: matplotlib is not installed.

    Shape:
        x [n, H, W, C] with C 1 or 3, or [n, H, W]; y_true [n]; probabilities [n, classes];
        axes [rows, columns].
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
    names = class_titles(class_names, shares.shape[1], "plots.mistakes")
    predicted = shares.argmax(axis=1)
    wrong = surest_mistakes(labels, shares)
    shown = wrong[: rows * columns]
    pictures = np.asarray(x)[shown] if held else read(x, shown)
    # Few images make a smaller picture, wide enough for its title.
    columns = min(columns, max(4, len(shown)))
    rows = max(1, min(rows, -(-len(shown) // columns)))
    figure, axes = panels(columns, width=1.55, height=1.95 * rows + 0.5, rows=rows)
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
    return finished(figure, save), axes.reshape(rows, columns)


def surest_mistakes(y_true: ArrayLike, probabilities: ArrayLike) -> NDArray[np.int64]:
    """Return the positions of wrongly classified images, the surest first.

    Args:
        y_true: Labels of images.
        probabilities: What `predict` returned for them.

    Returns:
        Positions among the images.

    Shape:
        y_true [n], probabilities [n, classes] -> int64 [mistakes].
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

    Images of uint8 are drawn as they are; of other types the least value of all images is black and
    the largest white.

    Args:
        x: Images.
        labels: Their labels; None for images without a title.
        class_names: A name for each class; None for the classes' numbers.
        columns: The most images in a row.
        save: The file to write; its ending says the format.
        scale_each: Draw each image's own least value black and its largest white, uint8 or not.

    Returns:
        The figure, and its axes in an array.

    Raises:
        ValueError: x is empty or of another shape.
        ImportError: matplotlib is not installed.

    Shape:
        x [n, H, W, C] with C 1, 3 or 4, or [n, H, W]; labels [n]; axes [rows, columns].
    """
    shown = np.asarray(x)
    if shown.ndim not in (3, 4) or not len(shown) or shown.shape[3:] not in ((), (1,), (3,), (4,)):
        raise ValueError(
            "plots.images: x must be images of shape (n, H, W, 1), (n, H, W, 3) or (n, H, W, 4). "
            f"Received shape {shown.shape}."
        )
    columns = min(columns, len(shown))
    rows = -(-len(shown) // columns)
    figure, axes = panels(columns, width=1.4, height=1.6 * rows, rows=rows)
    common = _range(shown)
    for number, axis in enumerate(axes[: len(shown)]):
        low, high = _extremes(shown[number]) if scale_each else common
        picture = np.clip((shown[number] - low) / (high - low), 0.0, 1.0)
        axis.imshow(picture.squeeze(), cmap="gray", vmin=0.0, vmax=1.0)
        if labels is not None:
            label = int(np.asarray(labels)[number])
            name = str(label) if class_names is None else titled(class_names[label])
            axis.set_title(name, fontsize=9, color=INK)
    for axis in axes:
        axis.set_axis_off()
    return finished(figure, save), axes.reshape(rows, columns)


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
