"""The shortcut of a residual block that learns nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

from fastcnn.graph.problem import Problem
from fastcnn.layers import window_arguments
from fastcnn.layers.base import Layer, LayerOptions, Shape
from fastcnn.layers.documented import documented
from fastcnn.layers.window_arguments import PairLike
from fastcnn.utils import arguments

if TYPE_CHECKING:
    from fastcnn.graph.program import Buffer, Program


@documented
class IdentityShortcut(Layer):
    """The input, of which strides leave out pixels, with zeros as further channels.

    ResNet's option A: `Residual(body, shortcut=[IdentityShortcut(32, strides=2)])` where the body
    has 32 filters and a stride of 2. It has no weights.

    Args:
        filters: The number F of channels that come out: those of the input, then zeros.
        strides: Every which row and column stays, (rows, columns) or one integer for both, from the
            first on.
        zeros_before: How many of the further channels stand before those of the input; 0 puts all
            of them behind.

    Raises:
        ValueError: A number is out of its range, or, when the model is built, the input has more
            channels than `filters` leaves for it.
        TypeError: `filters` or `zeros_before` is no whole number.

    Shape:
        Input: [N, H, W, C], C at most F less `zeros_before`.
        Output: [N, OH, OW, F]; OH = (H - 1) // SH + 1 with stride SH.

    References:
        He et al., 2016: Deep residual learning for image recognition.
    """

    settings = ("filters", "strides", "zeros_before")
    rank = 3

    def __init__(
        self,
        filters: int,
        strides: PairLike = (1, 1),
        zeros_before: int = 0,
        **common: Unpack[LayerOptions],
    ) -> None:
        super().__init__(**common)
        self.filters = arguments.whole(
            self, "filters", filters, least=1, most=arguments.MOST_CHANNELS
        )
        self.strides = window_arguments.pair(self, "strides", strides)
        self.zeros_before = arguments.whole(self, "zeros_before", zeros_before, least=0)

    def _problem(self, shape: Shape) -> Problem:
        """Return the subsampling: a pooling of single pixels."""
        height, width, channels = shape
        return Problem(height, width, channels, channels, (1, 1), self.strides, groups=channels)

    def shape_after(self, shape: Shape) -> Shape:
        if shape[2] + self.zeros_before > self.filters:
            raise ValueError(
                f"{self.label}: filters must be at least the input's channels and zeros_before. "
                f"Received filters={self.filters}, zeros_before={self.zeros_before} and an input "
                f"of {shape[2]} channels."
            )
        problem = self._problem(shape)
        return problem.out_height, problem.out_width, self.filters

    def lower(self, program: Program, x: Buffer) -> Buffer:
        height, width, filters = self.output_shape
        channels = self.input_shape[2]
        if self.strides != (1, 1):
            problem = self._problem(self.input_shape)
            x = program.add("average_pool", [x], (height, width, channels), problem=problem)
        if filters == channels:
            return x
        pixels = height * width  # the rows of an image whose columns are the channels
        rows = program.add("reshape", [x], (pixels, channels, 1))
        zeros = ((0, 0), (self.zeros_before, filters - channels - self.zeros_before))
        padded = program.add("pad", [rows], (pixels, filters, 1), padding=zeros)
        return program.add("reshape", [padded], self.output_shape)
