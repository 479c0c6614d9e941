"""Affine maps of a batch: which place of an image each pixel of its result shows."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from fastcnn.data.counter_rng import Doubles

# An entry of the maps of a batch: one number for all images, or float64 [n].
Entry = Any


class Affine(NamedTuple):
    """row of the image = yy row + yx column + y; column of the image = xy row + xx column + x."""

    yy: Entry = 1.0
    yx: Entry = 0.0
    y: Entry = 0.0
    xy: Entry = 0.0
    xx: Entry = 1.0
    x: Entry = 0.0

    def after(self, first: Affine) -> Affine:
        """The map that goes back through ``self``, the later one, and then through ``first``."""
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
        """The map with its own terms added to one that leaves the place (row, column) alone."""
        return self._replace(
            y=self.y + (row - (self.yy * row + self.yx * column)),
            x=self.x + (column - (self.xy * row + self.xx * column)),
        )

    def matrices(self, count: int) -> Doubles:
        """float64 [count, 2, 3]."""
        table = np.empty((count, 6))
        for place, entry in enumerate(self):
            table[:, place] = entry
        return table.reshape(count, 2, 3)


def _is_number(entry: Entry, value: float) -> bool:
    return isinstance(entry, float) and entry == value


def _product(a: Entry, b: Entry) -> Entry:
    """a b, without arithmetic where one of them is 0 or 1 for all images."""
    if _is_number(a, 0.0) or _is_number(b, 1.0):
        return a
    if _is_number(b, 0.0) or _is_number(a, 1.0):
        return b
    return a * b


def _sum(a: Entry, b: Entry) -> Entry:
    if _is_number(a, 0.0):
        return b
    return a if _is_number(b, 0.0) else a + b
