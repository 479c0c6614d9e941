"""Pooling over windows and over whole images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Unpack

from fastcnn.graph.problem import Padding, Problem
from fastcnn.layers import window_arguments
from fastcnn.layers.base import Layer, LayerOptions, Shape
from fastcnn.layers.documented import documented
from fastcnn.layers.window_arguments import PaddingLike, PairLike
from fastcnn.utils import arguments

if TYPE_CHECKING:
    from fastcnn.graph.program import Buffer, Program


class _Pooling(Layer):
    """A window that slides over each channel by itself."""

    settings: ClassVar[tuple[str, ...]] = ("pool_size", "strides", "padding", "ceil_mode")
    rank = 3
    kind = ""

    def __init__(
        self,
        pool_size: PairLike = (2, 2),
        strides: PairLike | None = None,
        padding: PaddingLike = "valid",
        ceil_mode: bool = False,
        **common: Unpack[LayerOptions],
    ):
        super().__init__(**common)
        self.pool_size = window_arguments.pair(self, "pool_size", pool_size)
        self.strides = (
            self.pool_size if strides is None else window_arguments.pair(self, "strides", strides)
        )
        self.padding = window_arguments.padding(self, padding)
        self.ceil_mode = arguments.flag(self, "ceil_mode", ceil_mode)

    def _padding(self, shape: Shape) -> Padding:
        """Return the padding in pixels, without what `ceil_mode` adds."""
        window = (self.pool_size, self.strides)
        return window_arguments.resolve_padding(self.padding, shape, *window, (1, 1))

    def _reach(self, shape: Shape) -> Padding:
        """Return how far outside the image windows may reach."""
        pad = self._padding(shape)
        if not self.ceil_mode:
            return pad
        return window_arguments.ceil_padding(shape, self.pool_size, self.strides, pad)

    def _problem(self, shape: Shape) -> Problem:
        pad = self._reach(shape)
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
        shape = self.input_shape
        return window_arguments.unread(shape, self.pool_size, self.strides, self._reach(shape))

    def shape_after(self, shape: Shape) -> Shape:
        problem = self._problem(shape)
        return problem.out_height, problem.out_width, shape[2]

    def _attributes(self) -> dict[str, Any]:
        """Return what the op has beside its problem."""
        return {}

    def lower(self, program: Program, x: Buffer) -> Buffer:
        problem = self._problem(self.input_shape)
        attributes = self._attributes()
        return program.add(self.kind, [x], self.output_shape, problem=problem, **attributes)


@documented
class MaxPooling2D(_Pooling):
    """The largest value of each window.

    Args:
        strides: Steps of the window in pixels, likewise; None takes `pool_size`.

    Raises:
        ValueError: An argument has none of these forms, or, when the model is built, the window
            does not fit the input or its padding is as large as the window.

    Shape:
        Input: [N, H, W, C].
        Output: [N, OH, OW, C]; OH = (H + top + bottom - KH) // SH + 1 with window KH and stride SH.
    """

    kind = "max_pool"


@documented
class AveragePooling2D(_Pooling):
    """The mean of each window's pixels inside the image, or inside its padding too.

    Args:
        strides: Steps of the window in pixels, likewise; None takes `pool_size`.
        count_include_pad: Whether the pixels of `padding` count as zeros in the mean, as PyTorch's
            default is; what `ceil_mode` adds behind them never counts.

    Raises:
        ValueError: An argument has none of these forms, or, when the model is built, the window
            does not fit the input or its padding is as large as the window.

    Shape:
        Input: [N, H, W, C].
        Output: [N, OH, OW, C]; OH = (H + top + bottom - KH) // SH + 1 with window KH and stride SH.
    """

    settings = (*_Pooling.settings, "count_include_pad")
    kind = "average_pool"

    def __init__(
        self,
        pool_size: PairLike = (2, 2),
        strides: PairLike | None = None,
        padding: PaddingLike = "valid",
        ceil_mode: bool = False,
        count_include_pad: bool = False,
        **common: Unpack[LayerOptions],
    ):
        super().__init__(pool_size, strides, padding, ceil_mode, **common)
        self.count_include_pad = arguments.flag(self, "count_include_pad", count_include_pad)

    def _attributes(self) -> dict[str, Any]:
        return {"counted": self._padding(self.input_shape)} if self.count_include_pad else {}


@documented
class LpPooling2D(_Pooling):
    """The norm of each window's pixels inside the image: (the sum of |x|^norm)^(1 / norm).

    With a norm of 2 the square root of the sum of squares; the larger it is, the nearer to the
    largest magnitude. PyTorch's `LPPool2d` is the same but for windows that `ceil_mode` cuts, whose
    sum it scales up to that of a whole window.

    Args:
        strides: Steps of the window in pixels, likewise; None takes `pool_size`.
        norm: The exponent, a number from 1 on.

    Raises:
        ValueError: An argument has none of these forms, or, when the model is built, the window
            does not fit the input or its padding is as large as the window.
        TypeError: `norm` is no number.

    Shape:
        Input: [N, H, W, C].
        Output: [N, OH, OW, C], OH and OW as `MaxPooling2D`'s.

    References:
        Sermanet et al., 2012: Convolutional neural networks applied to house numbers digit
        classification.
    """

    settings = (*_Pooling.settings, "norm")
    kind = "lp_pool"

    def __init__(
        self,
        pool_size: PairLike = (2, 2),
        strides: PairLike | None = None,
        padding: PaddingLike = "valid",
        ceil_mode: bool = False,
        norm: float = 2.0,
        **common: Unpack[LayerOptions],
    ):
        super().__init__(pool_size, strides, padding, ceil_mode, **common)
        self.norm = arguments.float32(self, "norm", norm, least=1)

    def _attributes(self) -> dict[str, Any]:
        return {"norm": self.norm}


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


@documented
class GlobalAveragePooling2D(_GlobalPooling):
    """The mean of each channel.

    Shape:
        Input: [N, H, W, C].
        Output: [N, C], or [N, 1, 1, C] with `keepdims`.

    References:
        Lin et al., 2014: Network in network.
    """

    kind = "average_pool"


@documented
class GlobalMaxPooling2D(_GlobalPooling):
    """The largest value of each channel.

    Shape:
        Input: [N, H, W, C].
        Output: [N, C], or [N, 1, 1, C] with `keepdims`.
    """

    kind = "max_pool"
