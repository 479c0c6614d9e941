"""UpSampling2D: images made larger by whole numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

from fastcnn.layers import window_arguments
from fastcnn.layers.base import Layer, LayerOptions, Shape
from fastcnn.layers.documented import documented
from fastcnn.layers.window_arguments import PairLike
from fastcnn.utils import naming

if TYPE_CHECKING:
    from fastcnn.graph.program import Buffer, Program

INTERPOLATIONS = ("nearest", "bilinear")


@documented
class UpSampling2D(Layer):
    """Makes images `size` times as large, by repeated or interpolated pixels.

    Args:
        size: How many times, (rows, columns) or one integer for both.
        interpolation: "nearest" repeats each pixel; "bilinear" interpolates between the centres of
            the nearest four.

    Raises:
        ValueError: `size` is below 1, or there is no such interpolation.

    Shape:
        Input: [N, H, W, C].
        Output: [N, size[0] * H, size[1] * W, C].
    """

    settings = ("size", "interpolation")
    rank = 3

    def __init__(
        self,
        size: PairLike = (2, 2),
        interpolation: str = "nearest",
        **common: Unpack[LayerOptions],
    ):
        super().__init__(**common)
        self.size = window_arguments.pair(self, "size", size)
        names = {name: name for name in INTERPOLATIONS}
        self.interpolation = naming.entry(self.label, "interpolation", interpolation, names)

    def shape_after(self, shape: Shape) -> Shape:
        return shape[0] * self.size[0], shape[1] * self.size[1], shape[2]

    def lower(self, program: Program, x: Buffer) -> Buffer:
        return program.add(
            "upsample", [x], self.output_shape, size=self.size, interpolation=self.interpolation
        )
