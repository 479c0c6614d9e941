"""Convolutions of each channel by itself: DepthwiseConv2D and SeparableConv2D."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

from fastcnn import initializers, regularizers, strategies
from fastcnn.graph.parameter import Parameter
from fastcnn.graph.problem import Problem
from fastcnn.layers.activation import lower_activation
from fastcnn.layers.base import LayerOptions, Shape
from fastcnn.layers.convolution import Convolution
from fastcnn.layers.documented import documented
from fastcnn.layers.window_arguments import PaddingLike, PairLike
from fastcnn.utils import arguments

if TYPE_CHECKING:
    from fastcnn.graph.program import Buffer, Program


@documented
class DepthwiseConv2D(Convolution):
    """Convolution of each channel by itself, with `depth_multiplier` kernels a channel.

    Args:
        depthwise_initializer: What the kernel begins with, a name, a class, a {"class_name",
            "config"} or an object of `fastcnn.initializers`.
        depthwise_regularizer: The penalty of the kernel, likewise of `fastcnn.regularizers`; None
            for none.
        strategy: How it is computed, as `Conv2D`'s.

    Raises:
        ValueError: A number is out of its range, a name is unknown (the message has the nearest),
            or, when the model is built, the window does not fit the input or a named strategy
            cannot compute it.
        TypeError: A whole number is none, or an argument is of a wrong type.

    Shape:
        Input: [N, H, W, C].
        Output: [N, OH, OW, C * depth_multiplier], OH and OW as `Conv2D`'s.
        Kernel: [KH, KW, C, depth_multiplier]; bias: [C * depth_multiplier].

    References:
        Howard et al., 2017: MobileNets: Efficient convolutional neural networks for mobile vision
        applications.
    """

    settings = (
        *("kernel_size", "strides", "padding", "depth_multiplier", "dilation_rate", "activation"),
        *("use_bias", "depthwise_initializer", "bias_initializer"),
        *("depthwise_regularizer", "bias_regularizer", "strategy"),
        "padding_mode",
    )

    def __init__(
        self,
        kernel_size: PairLike,
        strides: PairLike = (1, 1),
        padding: PaddingLike = "valid",
        depth_multiplier: int = 1,
        dilation_rate: PairLike = (1, 1),
        activation: str | None = None,
        use_bias: bool = True,
        depthwise_initializer: initializers.InitializerLike = "glorot_uniform",
        bias_initializer: initializers.InitializerLike = "zeros",
        depthwise_regularizer: regularizers.RegularizerLike = None,
        bias_regularizer: regularizers.RegularizerLike = None,
        strategy: strategies.StrategyLike = "auto",
        padding_mode: str = "zeros",
        **common: Unpack[LayerOptions],
    ):
        super().__init__(
            *(kernel_size, strides, padding, dilation_rate, activation, use_bias),
            *(bias_initializer, bias_regularizer, padding_mode),
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
        y = program.add(
            "conv2d", [self.padded(program, x)], self.output_shape, parameters, **settings
        )
        return lower_activation(program, y, self.activation)

    def multiply_adds(self) -> int:
        return self._problem(self.input_shape).multiply_adds


@documented
class SeparableConv2D(Convolution):
    """A depthwise convolution, then a 1x1 convolution to `filters` channels.

    Args:
        filters: The number F of 1x1 kernels, at least 1.
        depthwise_initializer: What the depthwise kernel begins with, a name, a class, a
            {"class_name", "config"} or an object of `fastcnn.initializers`.
        pointwise_initializer: What the 1x1 kernel begins with, a name, a class, a {"class_name",
            "config"} or an object of `fastcnn.initializers`.
        depthwise_regularizer: The penalty of the depthwise kernel, likewise of
            `fastcnn.regularizers`; None for none.
        pointwise_regularizer: The penalty of the 1x1 kernel, likewise of `fastcnn.regularizers`;
            None for none.
        depthwise_strategy: How the first is computed, as `Conv2D`'s `strategy`.
        pointwise_strategy: How the second is computed.

    Raises:
        ValueError: A number is out of its range, a name is unknown (the message has the nearest),
            or, when the model is built, the window does not fit the input or a named strategy
            cannot compute it.
        TypeError: A whole number is none, or an argument is of a wrong type.

    Shape:
        Input: [N, H, W, C].
        Output: [N, OH, OW, F], OH and OW as `Conv2D`'s.
        Kernels: [KH, KW, C, depth_multiplier] and [1, 1, C * depth_multiplier, F]; bias: [F].

    References:
        Chollet, 2017: Xception: Deep learning with depthwise separable convolutions.
    """

    settings = (
        *("filters", "kernel_size", "strides", "padding", "dilation_rate", "depth_multiplier"),
        *("activation", "use_bias", "depthwise_initializer", "pointwise_initializer"),
        *("bias_initializer", "depthwise_regularizer", "pointwise_regularizer"),
        *("bias_regularizer", "depthwise_strategy", "pointwise_strategy"),
        "padding_mode",
    )

    def __init__(
        self,
        filters: int,
        kernel_size: PairLike,
        strides: PairLike = (1, 1),
        padding: PaddingLike = "valid",
        dilation_rate: PairLike = (1, 1),
        depth_multiplier: int = 1,
        activation: str | None = None,
        use_bias: bool = True,
        depthwise_initializer: initializers.InitializerLike = "glorot_uniform",
        pointwise_initializer: initializers.InitializerLike = "glorot_uniform",
        bias_initializer: initializers.InitializerLike = "zeros",
        depthwise_regularizer: regularizers.RegularizerLike = None,
        pointwise_regularizer: regularizers.RegularizerLike = None,
        bias_regularizer: regularizers.RegularizerLike = None,
        depthwise_strategy: strategies.StrategyLike = "auto",
        pointwise_strategy: strategies.StrategyLike = "auto",
        padding_mode: str = "zeros",
        **common: Unpack[LayerOptions],
    ):
        super().__init__(
            *(kernel_size, strides, padding, dilation_rate, activation, use_bias),
            *(bias_initializer, bias_regularizer, padding_mode),
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
        x = program.add("conv2d", [self.padded(program, x)], middle, depthwise, **settings)
        pointwise = {"kernel": parameters["pointwise_kernel"]}
        if self.use_bias:
            pointwise["bias"] = parameters["bias"]
        settings = {"problem": second, "strategy": self.pointwise_strategy}
        y = program.add("conv2d", [x], self.output_shape, pointwise, **settings)
        return lower_activation(program, y, self.activation)

    def multiply_adds(self) -> int:
        shape = self.input_shape
        return self._depthwise(shape).multiply_adds + self._pointwise(shape).multiply_adds
