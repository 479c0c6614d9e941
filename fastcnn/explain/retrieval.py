"""The images of a data set that are nearest to an image by a layer's features."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastcnn.explain import inputs, layer_choice, pixels
from fastcnn.explain.inputs import Images
from fastcnn.explain.methods import DISTANCES
from fastcnn.explain.mosaic import Cell, Mosaic
from fastcnn.layers.base import Layer
from fastcnn.models.sequential import Sequential
from fastcnn.utils import arguments

SHOWN = 10
"""Queries that a picture shows at most."""
BLOCK = 256
"""Queries whose distances are held at once."""


class Retrieval(Mosaic):
    """Images, and those nearest to each of them.

    Args:
        array: The nearest ones' positions, nearest first, [queries, k].
        distances: How far they are, [queries, k].
        average_precision: Of the whole ranking of each query, NaN where no image has its label;
            None without labels.
        right: Whether each of the nearest has the query's label, [queries, k]; None without.
        queries: The images that are asked for.
        gallery: Those that are searched.
        names: Of the labels of queries and of the gallery, one an image; empty without labels.
        title: Stands above all.
    """

    def __init__(
        self,
        array: NDArray[np.int64],
        distances: NDArray[np.float64],
        average_precision: NDArray[np.float64] | None,
        right: NDArray[np.bool_] | None,
        queries: Images,
        gallery: Images,
        names: tuple[list[str], list[str]],
        title: str,
    ):
        self.distances = distances
        self.average_precision = average_precision
        self.right = right
        shown = array[:SHOWN]

        def rows() -> Iterator[list[Cell]]:
            nearest = gallery[shown.ravel()]
            drawn = pixels.of_images(np.concatenate([queries[: len(shown)], nearest]))
            for row, positions in enumerate(shown):
                first = len(shown) + row * len(positions)
                neighbours = drawn[first : first + len(positions)]
                if right is None:
                    yield [Cell(drawn[row]), *map(Cell, neighbours)]
                    continue
                framed = map(pixels.judged, neighbours, right[row])
                titles = [names[1][position] for position in positions]
                yield [Cell(drawn[row], names[0][row]), *map(Cell, framed, titles)]

        columns = ["query", *(str(place) for place in range(1, array.shape[1] + 1))]
        super().__init__(
            array, lambda: list(rows()), self._title_with_figures(title), (), columns, cell=1.1
        )

    @property
    def precision(self) -> float | None:
        """The share of the nearest that have their query's label: precision at k."""
        return None if self.right is None else float(self.right.mean())

    @property
    def mean_average_precision(self) -> float | None:
        """The mean of `average_precision`, over the queries whose label some image has."""
        each = self.average_precision
        if each is None or np.isnan(each).all():
            return None
        return float(np.nanmean(each))

    def _title_with_figures(self, title: str) -> str:
        if self.right is None or self.mean_average_precision is None:
            return title
        share = f"{100 * self.right.mean():.1f} %"
        return (
            f"{title}\nprecision at {self.right.shape[1]}: {share}, mean average precision: "
            f"{self.mean_average_precision:.3f}; blue frames: the same class, crossed out: another"
        )


def retrieval(
    model: Sequential,
    x: object,
    y: ArrayLike | None = None,
    gallery: object = None,
    gallery_labels: ArrayLike | None = None,
    layer: str | Layer | None = None,
    distance: str = "cosine",
    k: int = 8,
) -> Retrieval:
    """Return for each image those of a data set that are nearest to it by a layer's features, of
    feature maps by their means.

    Args:
        model: The model.
        x: The images that are asked for, an array or a Dataset.
        y: Their labels; None for neighbours that are not judged.
        gallery: The images that are searched; None for x, of each image without itself.
        gallery_labels: Their labels, where there is a gallery and y.
        layer: The layer, its name or path; None for the one before the scores.
        distance: "cosine", 1 minus the cosine of the angle between features, or "euclidean".
        k: How many of the nearest are returned.

    Returns:
        A result whose `array` has their positions, with `distances` and, where there are labels,
        `right`, `precision` at k, the `average_precision` of each query's whole ranking and the
        `mean_average_precision`.

    Raises:
        ValueError: The images do not fit, labels are missing, or there is no such layer.

    Shape:
        x [n, H, W, C]; y [n] -> array int64 [n, k].

    References:
        Manning, Raghavan and Schütze, 2008: Introduction to information retrieval, chapter 8.
    """
    arguments.choice("retrieval", "distance", distance, DISTANCES)
    wanted = arguments.whole("retrieval", "k", k, least=1)
    plain, queries = inputs.pictures(model, x, "retrieval")
    searched = queries if gallery is None else inputs.pictures(model, gallery, "retrieval")[1]
    labels = _labels(y, gallery_labels, len(queries), None if gallery is None else len(searched))
    at = layer_choice.feature_layer(plain, layer, "retrieval")
    features = layer_choice.mean_features(plain, queries, at, "retrieval")
    of_gallery = features
    if gallery is not None:
        of_gallery = layer_choice.mean_features(plain, searched, at, "retrieval")
    others = len(searched) - (gallery is None)
    if others < 1:
        raise ValueError("retrieval: expected images to search. Received none beside the query.")
    count = min(wanted, others)
    positions, distances, precisions = [], [], []
    for start in range(0, len(queries), BLOCK):
        apart = _distances(features[start : start + BLOCK], of_gallery, distance)
        if gallery is None:
            rows = np.arange(len(apart))
            apart[rows, start + rows] = np.inf
        ranking = np.argsort(apart, axis=1, kind="stable")[:, :others]
        positions.append(ranking[:, :count])
        distances.append(np.take_along_axis(apart, ranking[:, :count], axis=1))
        if labels is not None:
            relevant = labels[1][ranking] == labels[0][start : start + BLOCK, None]
            precisions.append(average_precisions(relevant))
    nearest = np.concatenate(positions)
    right = None if labels is None else labels[1][nearest] == labels[0][:, None]
    named: tuple[list[str], list[str]] = ([], [])
    if labels is not None:
        names = inputs.label_names(model, int(max(map(np.max, labels))) + 1)
        named = [names[n] for n in labels[0]], [names[n] for n in labels[1]]
    return Retrieval(
        nearest,
        np.concatenate(distances),
        np.concatenate(precisions) if precisions else None,
        right,
        queries,
        searched,
        named,
        f"The nearest by '{at.path}' ({distance})",
    )


def average_precisions(relevant: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the mean, over the places with a relevant image, of the precision up to there.

    Args:
        relevant: Whether images are, in the order of a ranking.

    Returns:
        The average precisions; NaN of rankings without a relevant image.

    Shape:
        relevant [queries, n] -> float64 [queries].
    """
    precision = relevant.cumsum(axis=1) / np.arange(1, relevant.shape[1] + 1)
    count = relevant.sum(axis=1)
    total = (precision * relevant).sum(axis=1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _labels(
    y: ArrayLike | None, gallery_labels: ArrayLike | None, queries: int, gallery: int | None
) -> tuple[NDArray[np.int64], NDArray[np.int64]] | None:
    """Return the labels of queries and of what is searched; `gallery` is None where it is the
    queries."""
    if y is None and gallery_labels is None:
        return None
    if y is None or (gallery_labels is None) != (gallery is None):
        raise ValueError(
            "retrieval: neighbours are judged by y, the queries' labels, and gallery_labels, those "
            "of the gallery where there is one. Received one of them."
        )
    own = inputs.image_labels(y, queries, "retrieval")
    if gallery is None or gallery_labels is None:
        return own, own
    return own, inputs.image_labels(gallery_labels, gallery, "retrieval")


def _distances(
    queries: NDArray[np.float32], gallery: NDArray[np.float32], distance: str
) -> NDArray[np.float64]:
    a, b = queries.astype(np.float64), gallery.astype(np.float64)
    if distance == "cosine":
        return 1 - _unit(a) @ _unit(b).T
    squares = (a**2).sum(axis=1)[:, None] + (b**2).sum(axis=1) - 2 * a @ b.T
    apart: NDArray[np.float64] = np.sqrt(np.maximum(squares, 0))
    return apart


def _unit(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit: NDArray[np.float64] = vectors / np.maximum(lengths, 1e-30)
    return unit
