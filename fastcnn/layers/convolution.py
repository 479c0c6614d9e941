"""Convolutions: Conv2D, DepthwiseConv2D and SeparableConv2D."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastcnn import initializers, regularizers, strategies
from fastcnn.graph.parameter import Parameter
from fastcnn.graph.problem import Problem
from fastcnn.layers import window_arguments
from fastcnn.layers.activation import activation_name, lower_activation
from fastcnn.layers.base import Layer, Shape
from fastcnn.utils import arguments

if TYPE_CHECKING:
    from fastcnn.graph.program import Buffer, Program


class _Convolution(Layer):
    """What the three convolutions share: the window, the bias, the activation."""

    rank = 3

    def __init__(
        self,
        kernel_size: Any,
        strides: Any,
        padding: Any,
        dilation_rate: Any,
        activation: str | None,
        use_bias: bool,
        bias_initializer: Any,
        bias_regularizer: Any,
        **common: Any,
    ):
        super().__init__(**common)
        self.kernel_size = window_arguments.pair(self, "kernel_size", kernel_size)
        self.strides = window_arguments.pair(self, "strides", strides)
        self.padding = window_arguments.padding(self, padding)
        self.dilation_rate = window_arguments.pair(self, "dilation_rate", dilation_rate)
        self.activation = activation_name(self, activation)
        self.use_bias = bool(use_bias)
        self.bias_initializer = initializers.get(bias_initializer)
        self.bias_regularizer = regularizers.get(bias_regularizer)

    def problem(self, shape: Shape, filters: int, groups: int) -> Problem:
        """Return the convolution's problem for an input of a given shape."""
        pad = window_arguments.resolve_padding(
            self.padding, shape, self.kernel_size, self.strides, self.dilation_rate
        )
        window_arguments.window_output(
            self, shape, self.kernel_size, self.strides, pad, self.dilation_rate
        )
        height, width, channels = shape
        window = (self.kernel_size, self.strides, pad, self.dilation_rate)
        return Problem(height, width, channels, filters, *window, groups)

    def unread(self) -> tuple[int, int]:
        shape, window = self.input_shape, (self.kernel_size, self.strides)
        pad = window_arguments.resolve_padding(self.padding, shape, *window, self.dilation_rate)
        return window_arguments.unread(shape, *window, pad, self.dilation_rate)

    def bias(self, filters: int) -> list[Parameter]:
        if not self.use_bias:
            return []
        return [Parameter(self, "bias", (filters,), self.bias_initializer, self.bias_regularizer)]


class Conv2D(_Convolution):
    """2-D convolution of [H, W, C] with `filters` kernels of [KH, KW, C / groups].

    `padding` is "valid", "same" (TensorFlow's rule), an integer or ((top, bottom), (left, right)).
    `strategy` is how to compute it: "auto", a name of `fastcnn.strategies.STRATEGIES`, or one for
    each of {"forward", "dx", "dw"}; a named one that cannot do the problem raises ValueError.
    """

    settings = (
        *("filters", "kernel_size", "strides", "padding", "dilation_rate", "groups", "activation"),
        *("use_bias", "kernel_initializer", "bias_initializer"),
        *("kernel_regularizer", "bias_regularizer", "strategy"),
    )

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = (1, 1),
        padding: Any = "valid",
        dilation_rate: Any = (1, 1),
        groups: int = 1,
        activation: str | None = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        strategy: Any = "auto",
        **common: Any,
    ):
        super().__init__(
            *(kernel_size, strides, padding, dilation_rate, activation, use_bias),
            *(bias_initializer, bias_regularizer),
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
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)

    def _problem(self, shape: Shape) -> Problem:
        if shape[2] % self.groups:
            raise ValueError(
                f"{self.label}: the input's channels must be a multiple of groups. "
                f"Received {shape[2]} channels, groups={self.groups}."
            )
        problem = self.problem(shape, self.filters, self.groups)
        strategies.check(self.label, self.strategy, problem)
        return problem

    def shape_after(self, shape: Shape) -> Shape:
        problem = self._problem(shape)
        return problem.out_height, problem.out_width, self.filters

    def make_parameters(self, shape: Shape) -> list[Parameter]:
        kernel_shape = (*self.kernel_size, shape[2] // self.groups, self.filters)
        kernel = Parameter(
            self, "kernel", kernel_shape, self.kernel_initializer, self.kernel_regularizer
        )
        return [kernel, *self.bias(self.filters)]

    def lower(self, program: Program, x: Buffer) -> Buffer:
        y = program.add(
            "conv2d",
            [x],
            self.output_shape,
            self.named_parameters(),
            problem=self._problem(self.input_shape),
            strategy=self.strategy,
        )
        return lower_activation(program, y, self.activation)

    def multiply_adds(self) -> int:
        return self._problem(self.input_shape).multiply_adds


class DepthwiseConv2D(_Convolution):
    """Convolution of each channel by itself, with `depth_multiplier` kernels a channel.

    `strategy` is as Conv2D's.
    """

    settings = (
        *("kernel_size", "strides", "padding", "depth_multiplier", "dilation_rate", "activation"),
        *("use_bias", "depthwise_initializer", "bias_initializer"),
        *("depthwise_regularizer", "bias_regularizer", "strategy"),
    )

    def __init__(
        self,
        kernel_size: Any,
        strides: Any = (1, 1),
        padding: Any = "valid",
        depth_multiplier: int = 1,
        dilation_rate: Any = (1, 1),
        activation: str | None = None,
        use_bias: bool = True,
        depthwise_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        depthwise_regularizer: Any = None,
        bias_regularizer: Any = None,
        strategy: Any = "auto",
        **common: Any,
    ):
        super().__init__(
            *(kernel_size, strides, padding, dilation_rate, activation, use_bias),
            *(bias_initializer, bias_regularizer),
            **common,
        )
        self.strategy = strategies.wish(self.label, strategy)
        self.depth_multiplier = arguments.whole(
            self, "depth_multiplier", depth_multiplier, least=1, most=arguments.MOST_CHANNELS
        )
        self.depthwise_initializer = initializers.get(depthwise_initializer)
        self.depthwise_regularizer = regularizers.get(depthwise_regularizer)

    def _problem(self, shape: Shape) -> Problem:
        problem = self.problem(shape, shape[2] * self.depth_multiplier, shape[2])
        strategies.check(self.label, self.strategy, problem)
        return problem

    def shape_after(self, shape: Shape) -> Shape:
        problem = self._problem(shape)
        return problem.out_height, problem.out_width, problem.filters

    def make_parameters(self, shape: Shape) -> list[Parameter]:
        kernel_shape = (*self.kernel_size, shape[2], self.depth_multiplier)
        kernel = Parameter(
            self, "kernel", kernel_shape, self.depthwise_initializer, self.depthwise_regularizer
        )
        return [kernel, *self.bias(shape[2] * self.depth_multiplier)]

    def lower(self, program: Program, x: Buffer) -> Buffer:
        problem = self._problem(self.input_shape)
        parameters = self.named_parameters()
        settings = {"problem": problem, "strategy": self.strategy}
        y = program.add("conv2d", [x], self.output_shape, parameters, **settings)
        return lower_activation(program, y, self.activation)

    def multiply_adds(self) -> int:
        return self._problem(self.input_shape).multiply_adds


class SeparableConv2D(_Convolution):
    """A depthwise convolution, then a 1x1 convolution to `filters` channels (Chollet, 2017).

    `depthwise_strategy` and `pointwise_strategy` are as Conv2D's `strategy`.
    """

    settings = (
        *("filters", "kernel_size", "strides", "padding", "dilation_rate", "depth_multiplier"),
        *("activation", "use_bias", "depthwise_initializer", "pointwise_initializer"),
        *("bias_initializer", "depthwise_regularizer", "pointwise_regularizer"),
        *("bias_regularizer", "depthwise_strategy", "pointwise_strategy"),
    )

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = (1, 1),
        padding: Any = "valid",
        dilation_rate: Any = (1, 1),
        depth_multiplier: int = 1,
        activation: str | None = None,
        use_bias: bool = True,
        depthwise_initializer: Any = "glorot_uniform",
        pointwise_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        depthwise_regularizer: Any = None,
        pointwise_regularizer: Any = None,
        bias_regularizer: Any = None,
        depthwise_strategy: Any = "auto",
        pointwise_strategy: Any = "auto",
        **common: Any,
    ):
        super().__init__(
            *(kernel_size, strides, padding, dilation_rate, activation, use_bias),
            *(bias_initializer, bias_regularizer),
            **common,
        )
        self.filters = arguments.whole(
            self, "filters", filters, least=1, most=arguments.MOST_CHANNELS
        )
        self.depth_multiplier = arguments.whole(
            self, "depth_multiplier", depth_multiplier, least=1, most=arguments.MOST_CHANNELS
        )
        self.depthwise_initializer = initializers.get(depthwise_initializer)
        self.pointwise_initializer = initializers.get(pointwise_initializer)
        self.depthwise_regularizer = regularizers.get(depthwise_regularizer)
        self.depthwise_strategy = strategies.wish(self.label, depthwise_strategy)
        self.pointwise_strategy = strategies.wish(self.label, pointwise_strategy)
        self.pointwise_regularizer = regularizers.get(pointwise_regularizer)

    def _depthwise(self, shape: Shape) -> Problem:
        problem = self.problem(shape, shape[2] * self.depth_multiplier, shape[2])
        strategies.check(self.label, self.depthwise_strategy, problem)
        return problem

    def _pointwise(self, shape: Shape) -> Problem:
        first = self._depthwise(shape)
        problem = Problem(first.out_height, first.out_width, first.filters, self.filters, (1, 1))
        strategies.check(self.label, self.pointwise_strategy, problem)
        return problem

    def shape_after(self, shape: Shape) -> Shape:
        problem = self._pointwise(shape)
        return problem.height, problem.width, self.filters

    def make_parameters(self, shape: Shape) -> list[Parameter]:
        depthwise = Parameter(
            self,
            "depthwise_kernel",
            (*self.kernel_size, shape[2], self.depth_multiplier),
            self.depthwise_initializer,
            self.depthwise_regularizer,
        )
        pointwise = Parameter(
            self,
            "pointwise_kernel",
            (1, 1, shape[2] * self.depth_multiplier, self.filters),
            self.pointwise_initializer,
            self.pointwise_regularizer,
        )
        return [depthwise, pointwise, *self.bias(self.filters)]

    def lower(self, program: Program, x: Buffer) -> Buffer:
        parameters = self.named_parameters()
        first, second = self._depthwise(self.input_shape), self._pointwise(self.input_shape)
        middle = (first.out_height, first.out_width, first.filters)
        depthwise = {"kernel": parameters["depthwise_kernel"]}
        settings = {"problem": first, "strategy": self.depthwise_strategy}
        x = program.add("conv2d", [x], middle, depthwise, **settings)
        pointwise = {"kernel": parameters["pointwise_kernel"]}
        if self.use_bias:
            pointwise["bias"] = parameters["bias"]
        settings = {"problem": second, "strategy": self.pointwise_strategy}
        y = program.add("conv2d", [x], self.output_shape, pointwise, **settings)
        return lower_activation(program, y, self.activation)

    def multiply_adds(self) -> int:
        shape = self.input_shape
        return self._depthwise(shape).multiply_adds + self._pointwise(shape).multiply_adds
