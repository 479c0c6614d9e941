"""How an array of a layer lies in PyTorch's memory: channels first, outputs before inputs.

O, I, H, W are outputs, inputs, rows and columns: a convolution's kernel is [O, I, H, W] there and
[H, W, I, O] here. Caffe's is as PyTorch's.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np
from numpy.typing import NDArray

from fastcnn.layers.base import Shape
from fastcnn.layers.connections import Connections

Array = NDArray[np.float32]
Places = NDArray[np.intp]
Order = Places | None
"""For each number of a row here its place in PyTorch's row; None where the places are the same."""


def flattened(shape: Shape) -> Places:
    """Return the order of a flattened map [H, W, C], which PyTorch flattens as [C, H, W]."""
    places = np.arange(prod(shape), dtype=np.intp).reshape(shape[-1], *shape[:-1])
    return np.moveaxis(places, 0, -1).ravel()


class Layout:
    """An array here and there.

    Args:
        shapes: PyTorch's, the usual one first; all have the numbers in the same order.
        split: One more such shape, with an axis for each of `axes`.
        axes: The axes of `split` in the order that they have here.
        shape: The array's here.
    """

    def __init__(
        self, shapes: tuple[Shape, ...], split: Shape, axes: tuple[int, ...], shape: Shape
    ) -> None:
        self.shapes = shapes
        self.shape = shape
        self._split = split
        self._axes = axes

    def fits(self, shape: Shape) -> bool:
        """Return whether an array of PyTorch's may be this one."""
        return shape in self.shapes

    def from_torch(self, array: Array) -> Array:
        """Return the array as it is here."""
        return array.reshape(self._split).transpose(self._axes).reshape(self.shape)

    def to_torch(self, array: Array) -> Array:
        """Return the array as PyTorch has it, in the usual shape."""
        permuted = array.reshape([self._split[axis] for axis in self._axes])
        split = permuted.transpose(np.argsort(self._axes))
        return np.ascontiguousarray(split).reshape(self.shapes[0])


class Matrix(Layout):
    """A dense layer's kernel, whose inputs and outputs are rows in PyTorch's order.

    PyTorch may have it as a convolution over all of a map, too: the numbers are the same.
    """

    def __init__(self, shape: Shape, inputs: Order, outputs: Order) -> None:
        super().__init__((shape[::-1],), shape[::-1], (1, 0), shape)
        self._orders = (inputs, outputs)

    def fits(self, shape: Shape) -> bool:
        return len(shape) in (2, 4) and (shape[0], prod(shape[1:])) == self.shapes[0]

    def from_torch(self, array: Array) -> Array:
        return _reordered(super().from_torch(array), self._orders)

    def to_torch(self, array: Array) -> Array:
        return super().to_torch(_reordered(array, [_inverse(order) for order in self._orders]))


class Row(Layout):
    """A vector with a number for each of a row in PyTorch's order."""

    def __init__(self, shape: Shape, order: Order) -> None:
        super().__init__((shape,), shape, (0,), shape)
        self._order = order

    def from_torch(self, array: Array) -> Array:
        return _reordered(array, [self._order])

    def to_torch(self, array: Array) -> Array:
        return _reordered(array, [_inverse(self._order)])


def _reordered(array: Array, orders: Sequence[Order]) -> Array:
    """Return an array whose axes are in other orders."""
    for axis, order in enumerate(orders):
        array = array if order is None else array.take(order, axis)
    return array


def _inverse(order: Order) -> Order:
    return None if order is None else np.argsort(order)


class Connected(Layout):
    """The kernel of a convolution that sees some channels alone; PyTorch's has zeros for others."""

    def __init__(self, layout: Layout, table: Connections) -> None:
        self._full = layout
        self._table = np.array(table, bool)
        self.shapes = layout.shapes

    def from_torch(self, array: Array) -> Array:
        full = self._full.from_torch(array)
        if full[:, :, ~self._table].any():
            raise ValueError("it has weights other than 0 where the layer's table has none")
        return full[:, :, self._table]

    def to_torch(self, array: Array) -> Array:
        full = np.zeros(self._full.shape, np.float32)
        full[:, :, self._table] = array
        return self._full.to_torch(full)


class Slopes(Layout):
    """PReLU's: one for all channels where PyTorch's module has a single one."""

    def from_torch(self, array: Array) -> Array:
        return super().from_torch(np.broadcast_to(array.ravel(), (prod(self.shape),)))
