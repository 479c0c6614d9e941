"""Layers that only move values: Flatten and ZeroPadding2D."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Unpack

from fastcnn.layers import window_arguments
from fastcnn.layers.base import Layer, LayerOptions, Shape
from fastcnn.layers.window_arguments import PaddingLike

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


class ZeroPadding2D(Layer):
    """Zeros around the image.

    Args:
        padding: Pixels: an integer, (rows, columns) or ((top, bottom), (left, right)).
        **common: `name`, text without "/" (None makes one from the class), and `trainable`, by
            default True.

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
