"""Where a layer puts images: its features in the plane, with the images themselves."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastcnn.explain import inputs, layer_choice, pixels
from fastcnn.explain.inputs import Images
from fastcnn.explain.methods import PROJECTIONS
from fastcnn.explain.projections import PERPLEXITY, neighbour_embedding, principal_components
from fastcnn.explain.result import Result
from fastcnn.layers.base import Layer
from fastcnn.models.sequential import Sequential
from fastcnn.plots.figure import INK, MARKERS, MUTED, PALETTE, colour_of, titled
from fastcnn.utils import arguments

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

PANEL = 6.0
"""The side of a panel, in inches."""
GAP = 0.06
"""Between panels, whose side is 1."""
TITLE = 0.05
"""The height of a panel's title."""
MOST_CLASSES = len(PALETTE) * len(MARKERS)
"""Above so many, points have no colours."""


class Embedding(Result):
    """Images in the plane.

    Args:
        array: Their places, [projections, n, 2].
        images: The images.
        labels: Their classes; None where they are not known.
        names: Of the classes that there are, by label.
        titles: Of the projections.
        layer: The layer's path.
    """

    def __init__(
        self,
        array: NDArray[np.float64],
        images: Images,
        labels: NDArray[np.int64] | None,
        names: dict[int, str],
        titles: Sequence[str],
        layer: str,
    ):
        super().__init__(array)
        self._places = [_scaled(points) for points in array]
        self._images = images
        self._labels = labels if len(names) <= MOST_CLASSES else None
        self._names = names
        self._titles = list(titles)
        self._layer = layer

    @property
    def size(self) -> tuple[float, float]:
        left, right, bottom, top = self._extent
        return PANEL * (right - left) + 0.3, PANEL * (top - bottom) + 0.6 + 0.25 * self._legend_rows

    @property
    def _thumbnail(self) -> float:
        """The side of a thumbnail, where that of a panel is 1."""
        return float(np.clip(0.6 / len(self._images) ** 0.5, 0.045, 0.13))

    @property
    def _extent(self) -> tuple[float, float, float, float]:
        """Left, right, bottom and top of all, in sides of a panel."""
        margin = self._thumbnail / 2 + 0.01
        right = len(self.array) * (1 + GAP) - GAP
        top = max(points[:, 1].max() for points in self._places)
        return -margin, right + margin, -margin, float(top) + margin + TITLE

    @property
    def _columns(self) -> int:
        """Classes in a row of the legend."""
        letters = max(map(len, self._names.values()), default=1)
        return max(1, int(12.5 * PANEL * len(self.array) / (letters + 6)))

    @property
    def _legend_rows(self) -> int:
        return 0 if self._labels is None else -(-len(self._names) // self._columns)

    def draw(self, axes: Axes) -> None:
        drawn = pixels.of_images(self._images)
        margins = self._extent
        for number, (points, title) in enumerate(zip(self._places, self._titles, strict=True)):
            left = number * (1 + GAP)
            places = points + np.array([left, 0])
            self._draw_points(axes, places, legend=number == 0)
            self._draw_thumbnails(axes, places, drawn)
            axes.text(left, margins[3], title, color=MUTED, fontsize=10, ha="left", va="top")
        axes.set_xlim(*margins[:2])
        axes.set_ylim(*margins[2:])
        axes.set_aspect("equal", anchor="NW")
        axes.set_axis_off()
        title = f"Where '{self._layer}' puts {len(self._images):,} images"
        axes.set_title(title, loc="left", fontsize=12, fontweight="bold", color=INK)
        if self._labels is not None:
            columns = min(self._columns, len(self._names))
            axes.legend(
                loc="upper left",
                bbox_to_anchor=(0, 0),
                ncols=columns,
                frameon=False,
                fontsize=9,
                labelcolor=INK,
                handletextpad=0.3,
                columnspacing=1.2,
                handles=_by_row(axes.get_legend_handles_labels()[0], columns),
            )

    def _draw_points(self, axes: Axes, places: NDArray[Any], legend: bool) -> None:
        if self._labels is None:
            axes.scatter(places[:, 0], places[:, 1], s=10, color=MUTED, linewidths=0)
            return
        for label, name in self._names.items():
            mine = places[self._labels == label]
            marker = _marker(label)
            shown = titled(name) if legend else None
            axes.plot(
                mine[:, 0], mine[:, 1], marker, color=colour_of(label), ms=4, mew=0, label=shown
            )

    def _draw_thumbnails(
        self, axes: Axes, places: NDArray[Any], drawn: Sequence[pixels.Picture]
    ) -> None:
        """Images at their points, as many as have room, framed in the colour of their class, whose
        marker is on a corner: colours alone are the same for several of many classes."""
        side = self._thumbnail
        for index in _apart(places, side):
            picture = drawn[index]
            height, width = (
                picture.shape[0] / max(picture.shape),
                picture.shape[1] / max(picture.shape),
            )
            (x, y), half = places[index], side / 2.3
            extent = (x - half * width, x + half * width, y - half * height, y + half * height)
            axes.imshow(picture, extent=extent, interpolation="antialiased", zorder=3)
            colour = MUTED if self._labels is None else colour_of(int(self._labels[index]))
            axes.plot(
                np.array(extent)[[0, 1, 1, 0, 0]],
                np.array(extent)[[2, 2, 3, 3, 2]],
                color=colour,
                linewidth=1.4,
                zorder=4,
                solid_joinstyle="miter",
            )
            if self._labels is not None:
                marker = _marker(int(self._labels[index]))
                axes.plot(
                    extent[1], extent[3], marker, color=colour, ms=6.5, mec="white", mew=1, zorder=5
                )


def embedding(
    model: Sequential,
    x: object,
    y: ArrayLike | None = None,
    layer: str | Layer | None = None,
    projection: str | None = None,
    perplexity: float = PERPLEXITY,
    seed: int = 0,
) -> Embedding:
    """Return where images are in the plane by a layer's features, of feature maps by their means.

    Args:
        model: The model.
        x: Images, an array or a Dataset.
        y: Their labels; None for points without colours.
        layer: The layer, its name or path; None for the one before the scores.
        projection: "pca", the two directions in which the features vary most, or "tsne", in which
            neighbours stay neighbours and distances mean little; None for both.
        perplexity: Of t-SNE: how many neighbours count.
        seed: Of t-SNE.

    Returns:
        A result whose `array` has the places.

    Raises:
        ValueError: The images do not fit, are fewer than four, or there is no such layer.
        ImportError: t-SNE is asked for and scikit-learn is not installed.

    Shape:
        x [n, H, W, C]; y [n] -> array float64 [projections, n, 2].

    References:
        van der Maaten and Hinton, 2008: Visualizing data using t-SNE.
    """
    arguments.choice("embedding", "projection", projection, (None, *PROJECTIONS))
    model, images = inputs.pictures(model, x, "embedding")
    if len(images) < 4:
        raise ValueError(f"embedding: expected at least 4 images. Received {len(images)}.")
    labels = None if y is None else inputs.image_labels(y, len(images), "embedding")
    at = layer_choice.feature_layer(model, layer, "embedding")
    features = layer_choice.mean_features(model, images, at, "embedding")
    places, titles = [], []
    for name in PROJECTIONS if projection is None else (projection,):
        if name == "pca":
            points, shares = principal_components(features)
            title = f"PCA: {100 * shares.sum():.0f} % of the variance"
        else:
            neighbours = arguments.number("embedding", "perplexity", perplexity, least=1)
            points = neighbour_embedding(features, neighbours, seed)
            title = "t-SNE: neighbours stay neighbours"
        places.append(points)
        titles.append(title)
    names: dict[int, str] = {}
    if labels is not None:
        every = inputs.label_names(model, int(labels.max()) + 1)
        names = {label: every[label] for label in np.unique(labels).tolist()}
    return Embedding(np.stack(places).astype(np.float64), images, labels, names, titles, at.path)


def _marker(label: int) -> str:
    return MARKERS[label % len(MARKERS)]


def _by_row(handles: Sequence[Artist], columns: int) -> list[Artist]:
    """What a legend shows, so that its rows are in order: it fills column after column."""
    return [handle for column in range(columns) for handle in handles[column::columns]]


def _scaled(points: NDArray[Any]) -> NDArray[np.float64]:
    """Return points from 0 on along both axes, and to 1 along the one on which they extend more."""
    low, high = points.min(axis=0), points.max(axis=0)
    scaled: NDArray[np.float64] = (points - low) / max((high - low).max(), 1e-12)
    return scaled


def _apart(places: NDArray[Any], side: float) -> Iterator[int]:
    """Positions of points whose squares do not overlap, from many places."""
    taken = np.empty((0, 2))
    for index in np.random.default_rng(0).permutation(len(places)):
        if (np.abs(taken - places[index]).max(axis=1) > side).all():
            taken = np.concatenate([taken, places[index][None]])
            yield int(index)
