"""Conv2D, and what all convolutions share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

from fastcnn import initializers, regularizers, strategies
from fastcnn.graph.parameter import Parameter
from fastcnn.graph.problem import NO_PADDING, Padding, Problem
from fastcnn.layers import window_arguments
from fastcnn.layers.activation import activation_name, lower_activation
from fastcnn.layers.base import Layer, LayerOptions, Shape
from fastcnn.layers.connections import ConnectedInitializer, ConnectionsLike
from fastcnn.layers.connections import connections as table_of
from fastcnn.layers.documented import documented
from fastcnn.layers.window_arguments import PaddingLike, PairLike
from fastcnn.utils import arguments

if TYPE_CHECKING:
    from fastcnn.graph.program import Buffer, Program


class Convolution(Layer):
    """What the three convolutions share: the window, the bias, the activation."""

    rank = 3

    def __init__(
        self,
        kernel_size: PairLike,
        strides: PairLike,
        padding: PaddingLike,
        dilation_rate: PairLike,
        activation: str | None,
        use_bias: bool,
        bias_initializer: initializers.InitializerLike,
        bias_regularizer: regularizers.RegularizerLike,
        padding_mode: str,
        **common: Unpack[LayerOptions],
    ):
        super().__init__(**common)
        self.kernel_size = window_arguments.pair(self, "kernel_size", kernel_size)
        self.strides = window_arguments.pair(self, "strides", strides)
        self.padding = window_arguments.padding(self, padding)
        self.dilation_rate = window_arguments.pair(self, "dilation_rate", dilation_rate)
        self.activation = activation_name(self, activation)
        self.use_bias = arguments.flag(self, "use_bias", use_bias)
        self.bias_initializer = initializers.get(bias_initializer)
        self.bias_regularizer = regularizers.get(bias_regularizer)
        self.padding_mode = window_arguments.padding_mode(self, padding_mode)

    def border(self, shape: Shape) -> Padding:
        """Return the padding in pixels for an input, whatever stands there."""
        window = (self.kernel_size, self.strides, self.dilation_rate)
        return window_arguments.resolve_padding(self.padding, shape, *window)

    def padded(self, program: Program, x: Buffer) -> Buffer:
        """Add the op that puts a border of other than zeros around the input; zeros are the
        convolution's own.
        """
        (top, bottom), (left, right) = border = self.border(self.input_shape)
        if self.padding_mode == "zeros" or border == NO_PADDING:
            return x
        height, width, channels = self.input_shape
        shape = (top + height + bottom, left + width + right, channels)
        return program.add("pad", [x], shape, padding=border, mode=self.padding_mode)

    def problem(self, shape: Shape, filters: int, groups: int) -> Problem:
        """Return what is to be computed.

        Args:
            shape: One input's, (height, width, channels).
            filters: The kernels' number.
            groups: The groups' number.
        """
        pad = self.border(shape)
        window_arguments.window_output(
            self, shape, self.kernel_size, self.strides, pad, self.dilation_rate
        )
        height, width, channels = shape
        if self.padding_mode == "reflect":
            for side, extent in zip(pad, (height, width), strict=True):
                if max(side) >= extent:
                    raise ValueError(
                        f"{self.label}: padding_mode='reflect' needs padding smaller than the "
                        f"image. Received padding {pad} for {height} x {width} pixels."
                    )
        if self.padding_mode != "zeros":  # an op of its own pads
            height, width, pad = height + sum(pad[0]), width + sum(pad[1]), NO_PADDING
        window = (self.kernel_size, self.strides, pad, self.dilation_rate)
        return Problem(height, width, channels, filters, *window, groups)

    def unread(self) -> tuple[int, int]:
        shape, window = self.input_shape, (self.kernel_size, self.strides)
        return window_arguments.unread(shape, *window, self.border(shape), self.dilation_rate)

    def bias(self, filters: int) -> list[Parameter]:
        if not self.use_bias:
            return []
        return [Parameter(self, "bias", (filters,), self.bias_initializer, self.bias_regularizer)]


@documented
class Conv2D(Convolution):
    """2-D convolution of an image with `filters` kernels, with a bias and an activation.

    Args:
        filters: The number F of kernels, a multiple of `groups`.
        strategy: How it is computed: "auto", a name of `fastcnn.strategies.STRATEGIES`, or a dict
            with one for each of "forward", "dx" and "dw"; for the last two "sparse" too, where max
            pooling follows.
        connections: Which channels each filter sees, as the third layer of LeNet-5 has it: a table
            of 0 and 1 with a row for each channel of the input and a column for each filter; None
            for all. Only the weights of what is connected exist.

    Raises:
        ValueError: A number is out of its range, a name is unknown (the message has the nearest),
            or, when the model is built, the window does not fit the input or a named strategy
            cannot compute it.
        TypeError: A whole number is none, or an argument is of a wrong type.

    Shape:
        Input: [N, H, W, C].
        Output: [N, OH, OW, F]; OH = (H + top + bottom - DH * (KH - 1) - 1) // SH + 1 with kernel
        KH, stride SH and dilation DH.
        Kernel: [KH, KW, C / groups, F], or with `connections` [KH, KW, their number], which is
        kernel[:, :, table] of a kernel for all; bias: [F].

    References:
        LeCun et al., 1998: Gradient-based learning applied to document recognition.
    """

    settings = (
        *("filters", "kernel_size", "strides", "padding", "dilation_rate", "groups", "activation"),
        *("use_bias", "kernel_initializer", "bias_initializer"),
        *("kernel_regularizer", "bias_regularizer", "strategy"),
        *("padding_mode", "connections"),
    )

    def __init__(
        self,
        filters: int,
        kernel_size: PairLike,
        strides: PairLike = (1, 1),
        padding: PaddingLike = "valid",
        dilation_rate: PairLike = (1, 1),
        groups: int = 1,
        activation: str | None = None,
        use_bias: bool = True,
        kernel_initializer: initializers.InitializerLike = "glorot_uniform",
        bias_initializer: initializers.InitializerLike = "zeros",
        kernel_regularizer: regularizers.RegularizerLike = None,
        bias_regularizer: regularizers.RegularizerLike = None,
        strategy: strategies.StrategyLike = "auto",
        padding_mode: str = "zeros",
        connections: ConnectionsLike | None = None,
        **common: Unpack[LayerOptions],
    ):
        super().__init__(
            *(kernel_size, strides, padding, dilation_rate, activation, use_bias),
            *(bias_initializer, bias_regularizer, padding_mode),
            **common,
        )
        self.strategy = strategies.wish(self.label, strategy)
        self.filters = arguments.whole(
            self, "filters", filters, least=1, most=arguments.MOST_CHANNELS
        )
        self.groups = arguments.whole(self, "groups", groups, least=1, most=arguments.MOST_CHANNELS)
        if self.filters % self.groups:
            raise ValueError(
                f"{self.label}: filters must be a multiple of groups. "
                f"Received filters={filters}, groups={groups}."
            )
        self.connections = table_of(self, connections, self.filters, self.groups)
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)

    def _problem(self, shape: Shape) -> Problem:
        if shape[2] % self.groups:
            raise ValueError(
                f"{self.label}: the input's channels must be a multiple of groups. "
                f"Received {shape[2]} channels, groups={self.groups}."
            )
        if self.connections is not None and shape[2] != len(self.connections):
            raise ValueError(
                f"{self.label}: connections must have a row for each channel of the input. "
                f"Received {len(self.connections)} rows and {shape[2]} channels."
            )
        problem = self.problem(shape, self.filters, self.groups)
        strategies.check(self.label, self.strategy, problem)
        return problem

    def shape_after(self, shape: Shape) -> Shape:
        problem = self._problem(shape)
        return problem.out_height, problem.out_width, self.filters

    def make_parameters(self, shape: Shape) -> list[Parameter]:
        pairs: tuple[int, ...] = (shape[2] // self.groups, self.filters)
        initializer = self.kernel_initializer
        if self.connections is not None:
            pairs = (sum(map(sum, self.connections)),)
            initializer = ConnectedInitializer(initializer, self.connections)
        kernel_shape = (*self.kernel_size, *pairs)
        kernel = Parameter(self, "kernel", kernel_shape, initializer, self.kernel_regularizer)
        return [kernel, *self.bias(self.filters)]

    def lower(self, program: Program, x: Buffer) -> Buffer:
        y = program.add(
            "conv2d",
            [self.padded(program, x)],
            self.output_shape,
            self.named_parameters(),
            problem=self._problem(self.input_shape),
            strategy=self.strategy,
            **({} if self.connections is None else {"connections": self.connections}),
        )
        return lower_activation(program, y, self.activation)

    def multiply_adds(self) -> int:
        every = self._problem(self.input_shape).multiply_adds
        if self.connections is None:
            return every
        pairs = len(self.connections) * self.filters
        return every // pairs * sum(map(sum, self.connections))
