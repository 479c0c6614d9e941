"""Affine maps of a batch: which place of an image each pixel of its result shows."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from fastcnn.data.counter_rng import Doubles

# An entry of the maps of a batch: one number for all images, or float64 [n].
Entry = float | Doubles


class Affine(NamedTuple):
    """Where the pixel of a result comes from: an affine map of n images, of places in pixels.

    row of the image = yy row + yx column + y; column of the image = xy row + xx column + x.

    Args:
        yy: Factor of the row in the row, a number or one an image; so are all others.
        yx: Factor of the column in the row.
        y: What is added to the row.
        xy: Factor of the row in the column.
        xx: Factor of the column in the column.
        x: What is added to the column.
    """

    yy: Entry = 1.0
    yx: Entry = 0.0
    y: Entry = 0.0
    xy: Entry = 0.0
    xx: Entry = 1.0
    x: Entry = 0.0

    def after(self, first: Affine) -> Affine:
        """Return the map that goes back through this one, the later one, and then through the
        first.

        Args:
            first: The map that images go through before.
        """
        a, b = first, self
        return Affine(
            _sum(_product(a.yy, b.yy), _product(a.yx, b.xy)),
            _sum(_product(a.yy, b.yx), _product(a.yx, b.xx)),
            _sum(_sum(_product(a.yy, b.y), _product(a.yx, b.x)), a.y),
            _sum(_product(a.xy, b.yy), _product(a.xx, b.xy)),
            _sum(_product(a.xy, b.yx), _product(a.xx, b.xx)),
            _sum(_sum(_product(a.xy, b.y), _product(a.xx, b.x)), a.x),
        )

    def about(self, row: float, column: float) -> Affine:
        """Return the map with its own terms added to one that leaves a place alone.

        Args:
            row: The row that stays.
            column: The column that stays.
        """
        return self._replace(
            y=self.y + (row - (self.yy * row + self.yx * column)),
            x=self.x + (column - (self.xy * row + self.xx * column)),
        )

    def matrices(self, count: int) -> Doubles:
        """Return the map as a matrix for each image.

        Args:
            count: How many images, n.

        Shape:
            float64 [n, 2, 3].
        """
        table = np.empty((count, 6))
        for place, entry in enumerate(self):
            table[:, place] = entry
        return table.reshape(count, 2, 3)


def _is_number(entry: Entry, value: float) -> bool:
    return isinstance(entry, float) and entry == value


def _product(a: Entry, b: Entry) -> Entry:
    """A b, without arithmetic where one of them is 0 or 1 for all images."""
    if _is_number(a, 0.0) or _is_number(b, 1.0):
        return a
    if _is_number(b, 0.0) or _is_number(a, 1.0):
        return b
    return a * b


def _sum(a: Entry, b: Entry) -> Entry:
    if _is_number(a, 0.0):
        return b
    return a if _is_number(b, 0.0) else a + b
