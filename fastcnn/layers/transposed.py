"""Conv2DTranspose: the input gradient of a convolution as a layer, which makes maps larger."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

from fastcnn import initializers, regularizers, strategies
from fastcnn.graph.parameter import Parameter
from fastcnn.graph.problem import Pair, Problem
from fastcnn.layers import window_arguments
from fastcnn.layers.activation import lower_activation
from fastcnn.layers.base import LayerOptions, Shape
from fastcnn.layers.convolution import Convolution
from fastcnn.layers.documented import documented
from fastcnn.layers.window_arguments import PaddingLike, PairLike
from fastcnn.utils import arguments

if TYPE_CHECKING:
    from fastcnn.graph.program import Buffer, Program


@documented
class Conv2DTranspose(Convolution):
    """What a `Conv2D` of the same window does to gradients, done to images.

    Each pixel of the input adds a window of the output, weighted by the kernels; windows lie
    `strides` apart.

    Args:
        filters: The number F of the output's channels, a multiple of `groups`.
        strides: Steps of the window in the output in pixels, (rows, columns) or one integer.
        padding: What of the windows is cut off: "valid" (nothing), "same" (so that the output is
            `strides` times the input), or pixels: an integer, (rows, columns) or ((top, bottom),
            (left, right)).
        output_padding: Pixels more at the end, where several sizes have windows for the same input,
            below `strides`; None for Keras's size.
        strategy: How it is computed, as `Conv2D`'s of the convolution from output to input: "dx"
            computes this layer's output, "forward" the gradient of its input.

    Raises:
        ValueError: A number is out of its range, a name is unknown (the message has the nearest),
            or, when the model is built, nothing is left of the windows or a named strategy cannot
            compute it.
        TypeError: A whole number is none, or an argument is of a wrong type.

    Shape:
        Input: [N, H, W, C].
        Output: [N, OH, OW, F]; with kernel KH, stride SH, dilation DH and a reach of
        R = DH * (KH - 1) + 1, OH = (H - 1) * SH + max(R, SH) for "valid", H * SH for "same" and
        (H - 1) * SH + R - top - bottom + output_padding otherwise ("same" with an output_padding
        cuts 2 * (R // 2) off).
        Kernel: [KH, KW, F / groups, C]; bias: [F].

    References:
        Zeiler et al., 2010: Deconvolutional networks.
    """

    settings = (
        *("filters", "kernel_size", "strides", "padding", "output_padding", "dilation_rate"),
        *("groups", "activation", "use_bias", "kernel_initializer", "bias_initializer"),
        *("kernel_regularizer", "bias_regularizer", "strategy"),
    )

    def __init__(
        self,
        filters: int,
        kernel_size: PairLike,
        strides: PairLike = (1, 1),
        padding: PaddingLike = "valid",
        output_padding: PairLike | None = None,
        dilation_rate: PairLike = (1, 1),
        groups: int = 1,
        activation: str | None = None,
        use_bias: bool = True,
        kernel_initializer: initializers.InitializerLike = "glorot_uniform",
        bias_initializer: initializers.InitializerLike = "zeros",
        kernel_regularizer: regularizers.RegularizerLike = None,
        bias_regularizer: regularizers.RegularizerLike = None,
        strategy: strategies.StrategyLike = "auto",
        **common: Unpack[LayerOptions],
    ):
        super().__init__(
            *(kernel_size, strides, padding, dilation_rate, activation, use_bias),
            *(bias_initializer, bias_regularizer, "zeros"),
            **common,
        )
        self.strategy = strategies.wish(self.label, strategy, sparse=False)
        most = arguments.MOST_CHANNELS
        self.filters = arguments.whole(self, "filters", filters, least=1, most=most)
        self.groups = arguments.whole(self, "groups", groups, least=1, most=most)
        if self.filters % self.groups:
            raise ValueError(
                f"{self.label}: filters must be a multiple of groups. "
                f"Received filters={filters}, groups={groups}."
            )
        self.output_padding = self._checked(output_padding)
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)

    def _checked(self, output_padding: PairLike | None) -> Pair | None:
        if output_padding is None:
            return None
        pair = window_arguments.pair(self, "output_padding", output_padding, least=0)
        if any(more >= stride for more, stride in zip(pair, self.strides, strict=True)):
            raise ValueError(
                f"{self.label}: output_padding must be below strides, {self.strides}. "
                f"Received {output_padding!r}."
            )
        return pair

    def _axis(self, axis: int, size: int) -> tuple[int, Pair]:
        """Return the output's size along an axis, and what is cut off the windows there."""
        stride = self.strides[axis]
        reach = (self.kernel_size[axis] - 1) * self.dilation_rate[axis] + 1
        span = (size - 1) * stride + reach
        more = None if self.output_padding is None else self.output_padding[axis]
        if not isinstance(self.padding, str):
            before, after = self.padding[axis]
            return span - before - after + (more or 0), (before, after)
        if self.padding == "valid":
            return span + (max(stride - reach, 0) if more is None else more), (0, 0)
        output = size * stride if more is None else span - 2 * (reach // 2) + more
        cut = max(span - output, 0)
        return output, (cut // 2, cut - cut // 2)

    def _problem(self, shape: Shape) -> Problem:
        """Return the convolution from the output to the input."""
        if shape[2] % self.groups:
            raise ValueError(
                f"{self.label}: the input's channels must be a multiple of groups. "
                f"Received {shape[2]} channels, groups={self.groups}."
            )
        (height, rows), (width, columns) = (self._axis(axis, shape[axis]) for axis in range(2))
        if min(height, width) < 1:
            raise ValueError(
                f"{self.label}: the padding {self.padding!r} leaves nothing of the windows of an "
                f"input of {shape[0]}x{shape[1]} pixels."
            )
        window = (self.kernel_size, self.strides, (rows, columns), self.dilation_rate)
        problem = Problem(height, width, self.filters, shape[2], *window, self.groups)
        strategies.check(self.label, self.strategy, problem)
        return problem

    def unread(self) -> Pair:
        return 0, 0

    def shape_after(self, shape: Shape) -> Shape:
        problem = self._problem(shape)
        return problem.height, problem.width, self.filters

    def make_parameters(self, shape: Shape) -> list[Parameter]:
        kernel_shape = (*self.kernel_size, self.filters // self.groups, shape[2])
        kernel = Parameter(
            self, "kernel", kernel_shape, self.kernel_initializer, self.kernel_regularizer
        )
        return [kernel, *self.bias(self.filters)]

    def lower(self, program: Program, x: Buffer) -> Buffer:
        parameters = self.named_parameters()
        y = program.add(
            "conv2d_dx",
            [x],
            self.output_shape,
            {"kernel": parameters["kernel"]},
            problem=self._problem(self.input_shape),
            strategy=self.strategy,
        )
        if self.use_bias:
            y = program.add("bias", [y], y.shape, {"bias": parameters["bias"]})
        return lower_activation(program, y, self.activation)

    def multiply_adds(self) -> int:
        return self._problem(self.input_shape).multiply_adds
