"""Layers that only move values: Flatten, Reshape, Permute, ZeroPadding2D and Cropping2D."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import TYPE_CHECKING, Unpack

from fastcnn.layers import window_arguments
from fastcnn.layers.base import Layer, LayerOptions, Shape
from fastcnn.layers.documented import documented
from fastcnn.layers.window_arguments import PaddingLike
from fastcnn.utils.arguments import is_whole

if TYPE_CHECKING:
    from fastcnn.graph.program import Buffer, Program


class Flatten(Layer):
    """Makes one row of numbers of each image.

    Args:
        name: Text without "/"; None makes one from the class.
        trainable: Without effect: it has no weights.

    Shape:
        Input: [N, H, W, C].
        Output: [N, H * W * C], channels fastest.
    """

    def shape_after(self, shape: Shape) -> Shape:
        return (prod(shape),)

    def lower(self, program: Program, x: Buffer) -> Buffer:
        return program.add("reshape", [x], self.output_shape)


@documented
class Reshape(Layer):
    """Gives the numbers of each image another shape, in their order.

    Args:
        target_shape: One image's, of whole numbers of at least 1; one may be -1, for what is left.

    Raises:
        ValueError: `target_shape` is no such shape, or, when the model is built, has another count
            of numbers than the input.

    Shape:
        Input: [N, ...], any shape.
        Output: [N, *target_shape].
    """

    settings = ("target_shape",)

    def __init__(self, target_shape: Sequence[int], **common: Unpack[LayerOptions]):
        super().__init__(**common)
        self.target_shape = self._checked(target_shape)

    def _checked(self, value: object) -> Shape:
        if isinstance(value, tuple | list) and value and all(is_whole(size) for size in value):
            sizes = tuple(int(size) for size in value)
            if all(size >= 1 or size == -1 for size in sizes) and sizes.count(-1) <= 1:
                return sizes
        raise ValueError(
            f"{self.label}: target_shape must be a shape of whole numbers of at least 1, of which "
            f"one may be -1. Received {value!r}."
        )

    def shape_after(self, shape: Shape) -> Shape:
        count, stated = prod(shape), prod(size for size in self.target_shape if size != -1)
        if count % stated or (-1 not in self.target_shape and count != stated):
            raise ValueError(
                f"{self.label}: an input of shape {shape}, {count} numbers, cannot take the shape "
                f"{self.target_shape}."
            )
        return tuple(count // stated if size == -1 else size for size in self.target_shape)

    def lower(self, program: Program, x: Buffer) -> Buffer:
        return program.add("reshape", [x], self.output_shape)


@documented
class Permute(Layer):
    """Puts the axes of each image into another order.

    Args:
        dims: The axes in their new order, counted from 1 as the batch is 0: (2, 1, 3) exchanges
            rows and columns. At most four.

    Raises:
        ValueError: `dims` is no order of the numbers from 1 on, or, when the model is built, the
            input has another number of axes.

    Shape:
        Input: [N, ...], any shape.
        Output: [N, ...], the same sizes in the order of `dims`.
    """

    settings = ("dims",)

    def __init__(self, dims: Sequence[int], **common: Unpack[LayerOptions]):
        super().__init__(**common)
        self.dims = self._checked(dims)

    def _checked(self, value: object) -> Shape:
        if isinstance(value, tuple | list) and 1 <= len(value) <= 4:
            numbers = range(1, len(value) + 1)
            if all(is_whole(axis) for axis in value) and sorted(value) == list(numbers):
                return tuple(int(axis) for axis in value)
        raise ValueError(
            f"{self.label}: dims must be the numbers from 1 on in some order, four at most, such "
            f"as (2, 1, 3). Received {value!r}."
        )

    def shape_after(self, shape: Shape) -> Shape:
        if len(shape) != len(self.dims):
            raise ValueError(
                f"{self.label}: dims={self.dims} are {len(self.dims)} axes. "
                f"Received an input of shape {shape}."
            )
        return tuple(shape[axis - 1] for axis in self.dims)

    def lower(self, program: Program, x: Buffer) -> Buffer:
        order = tuple(axis - 1 for axis in self.dims)
        return program.add("permute", [x], self.output_shape, order=order)


@documented
class ZeroPadding2D(Layer):
    """Zeros around the image.

    Args:
        padding: Pixels: an integer, (rows, columns) or ((top, bottom), (left, right)).

    Raises:
        ValueError: `padding` has none of these forms or is negative.

    Shape:
        Input: [N, H, W, C].
        Output: [N, top + H + bottom, left + W + right, C].
    """

    settings = ("padding",)
    rank = 3

    def __init__(self, padding: PaddingLike = (1, 1), **common: Unpack[LayerOptions]):
        super().__init__(**common)
        self.padding = window_arguments.pixels(self, "padding", padding)

    def shape_after(self, shape: Shape) -> Shape:
        rows, columns = self.padding
        return shape[0] + sum(rows), shape[1] + sum(columns), shape[2]

    def lower(self, program: Program, x: Buffer) -> Buffer:
        return program.add("pad", [x], self.output_shape, padding=self.padding)


@documented
class Cropping2D(Layer):
    """Cuts the border of the image off.

    Args:
        cropping: Pixels: an integer, (rows, columns) or ((top, bottom), (left, right)).

    Raises:
        ValueError: `cropping` has none of these forms or is negative, or, when the model is built,
            nothing of the image is left.

    Shape:
        Input: [N, H, W, C].
        Output: [N, H - top - bottom, W - left - right, C].
    """

    settings = ("cropping",)
    rank = 3

    def __init__(self, cropping: PaddingLike = ((0, 0), (0, 0)), **common: Unpack[LayerOptions]):
        super().__init__(**common)
        self.cropping = window_arguments.pixels(self, "cropping", cropping)

    def shape_after(self, shape: Shape) -> Shape:
        rows, columns = self.cropping
        height, width = shape[0] - sum(rows), shape[1] - sum(columns)
        if min(height, width) < 1:
            raise ValueError(
                f"{self.label}: cropping {self.cropping} leaves nothing of an input of "
                f"{shape[0]}x{shape[1]} pixels."
            )
        return height, width, shape[2]

    def lower(self, program: Program, x: Buffer) -> Buffer:
        return program.add("crop", [x], self.output_shape, padding=self.cropping)
