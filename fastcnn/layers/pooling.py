"""Pooling over windows and over whole images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

from fastcnn.graph.problem import Problem
from fastcnn.layers import window_arguments
from fastcnn.layers.base import Layer, LayerOptions, Shape
from fastcnn.layers.window_arguments import PaddingLike, PairLike
from fastcnn.utils import arguments

if TYPE_CHECKING:
    from fastcnn.graph.program import Buffer, Program


class _Pooling(Layer):
    """A window that slides over each channel by itself."""

    settings = ("pool_size", "strides", "padding")
    rank = 3
    kind = ""

    def __init__(
        self,
        pool_size: PairLike = (2, 2),
        strides: PairLike | None = None,
        padding: PaddingLike = "valid",
        **common: Unpack[LayerOptions],
    ):
        super().__init__(**common)
        self.pool_size = window_arguments.pair(self, "pool_size", pool_size)
        self.strides = (
            self.pool_size if strides is None else window_arguments.pair(self, "strides", strides)
        )
        self.padding = window_arguments.padding(self, padding)

    def _problem(self, shape: Shape) -> Problem:
        pad = window_arguments.resolve_padding(
            self.padding, shape, self.pool_size, self.strides, (1, 1)
        )
        window_arguments.window_output(self, shape, self.pool_size, self.strides, pad)
        for axis, name in enumerate(("height", "width")):
            if max(pad[axis]) >= self.pool_size[axis]:
                raise ValueError(
                    f"{self.label}: padding must be smaller than the window, or a window could "
                    f"lie wholly outside. Received padding {pad} for a {name} of "
                    f"{self.pool_size[axis]}."
                )
        height, width, channels = shape
        window = (self.pool_size, self.strides, pad)
        return Problem(height, width, channels, channels, *window, groups=channels)

    def unread(self) -> tuple[int, int]:
        shape, window = self.input_shape, (self.pool_size, self.strides)
        pad = window_arguments.resolve_padding(self.padding, shape, *window, (1, 1))
        return window_arguments.unread(shape, *window, pad)

    def shape_after(self, shape: Shape) -> Shape:
        problem = self._problem(shape)
        return problem.out_height, problem.out_width, shape[2]

    def lower(self, program: Program, x: Buffer) -> Buffer:
        return program.add(
            self.kind, [x], self.output_shape, problem=self._problem(self.input_shape)
        )


class MaxPooling2D(_Pooling):
    """The largest value of each window.

    Args:
        pool_size: The window's (height, width) in pixels, or one integer for both.
        strides: Steps of the window in pixels, likewise; None takes `pool_size`.
        padding: "valid" (none), "same" (zeros, TensorFlow's rule), or zeros in pixels: an integer,
            (rows, columns) or ((top, bottom), (left, right)).
        **common: `name`, text without "/" (None makes one from the class), and `trainable`, by
            default True.

    Raises:
        ValueError: An argument has none of these forms, or, when the model is built, the window
            does not fit the input or its padding is as large as the window.

    Shape:
        Input: [N, H, W, C].
        Output: [N, OH, OW, C]; for "valid" OH = (H - KH) // SH + 1 with window KH and stride SH.
    """

    kind = "max_pool"


class AveragePooling2D(_Pooling):
    """The mean of each window; padding counts neither in the sum nor in the number.

    Args:
        pool_size: The window's (height, width) in pixels, or one integer for both.
        strides: Steps of the window in pixels, likewise; None takes `pool_size`.
        padding: "valid" (none), "same" (zeros, TensorFlow's rule), or zeros in pixels: an integer,
            (rows, columns) or ((top, bottom), (left, right)).
        **common: `name`, text without "/" (None makes one from the class), and `trainable`, by
            default True.

    Raises:
        ValueError: An argument has none of these forms, or, when the model is built, the window
            does not fit the input or its padding is as large as the window.

    Shape:
        Input: [N, H, W, C].
        Output: [N, OH, OW, C]; for "valid" OH = (H - KH) // SH + 1 with window KH and stride SH.
    """

    kind = "average_pool"


class _GlobalPooling(Layer):
    """A window as large as the image; [H, W, C] becomes [C], or [1, 1, C] with `keepdims`."""

    settings = ("keepdims",)
    rank = 3
    kind = ""

    def __init__(self, keepdims: bool = False, **common: Unpack[LayerOptions]):
        super().__init__(**common)
        self.keepdims = arguments.flag(self, "keepdims", keepdims)

    def shape_after(self, shape: Shape) -> Shape:
        return (1, 1, shape[2]) if self.keepdims else (shape[2],)

    def lower(self, program: Program, x: Buffer) -> Buffer:
        height, width, channels = self.input_shape
        whole = (height, width)
        problem = Problem(height, width, channels, channels, whole, whole, groups=channels)
        return program.add(self.kind, [x], self.output_shape, problem=problem)


class GlobalAveragePooling2D(_GlobalPooling):
    """The mean of each channel.

    Args:
        keepdims: Whether height and width stay, as 1.
        **common: `name`, text without "/" (None makes one from the class), and `trainable`, by
            default True.

    Shape:
        Input: [N, H, W, C].
        Output: [N, C], or [N, 1, 1, C] with `keepdims`.

    References:
        Lin et al., 2014: Network in network.
    """

    kind = "average_pool"


class GlobalMaxPooling2D(_GlobalPooling):
    """The largest value of each channel.

    Args:
        keepdims: Whether height and width stay, as 1.
        **common: `name`, text without "/" (None makes one from the class), and `trainable`, by
            default True.

    Shape:
        Input: [N, H, W, C].
        Output: [N, C], or [N, 1, 1, C] with `keepdims`.
    """

    kind = "max_pool"
