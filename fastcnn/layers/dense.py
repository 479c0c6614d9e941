"""The fully connected layer."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Unpack

from fastcnn import initializers, regularizers, strategies
from fastcnn.graph.parameter import Parameter
from fastcnn.graph.problem import Problem
from fastcnn.layers.activation import activation_name, lower_activation
from fastcnn.layers.base import Layer, LayerOptions, Shape
from fastcnn.layers.documented import documented
from fastcnn.utils import arguments

if TYPE_CHECKING:
    from fastcnn.graph.program import Buffer, Program


@documented
class Dense(Layer):
    """The fully connected layer, y = activation(x @ kernel + bias), along the last axis.

    On a map it is a 1x1 convolution, as in Keras: each pixel's channels by themselves. To connect
    all pixels, put a Flatten before it.

    Args:
        units: The number of outputs, at least 1.
        strategy: How it is computed on a map, as `Conv2D`'s; of a row of numbers there is one way.

    Raises:
        ValueError: `units` is below 1, a name is unknown, or, when the model is built, a named
            strategy cannot compute it.
        TypeError: `units` is no whole number, or an argument is of a wrong type.

    Shape:
        Input: [N, ..., features].
        Output: [N, ..., units].
        Kernel: [features, units]; bias: [units].
    """

    settings = (
        *("units", "activation", "use_bias", "kernel_initializer", "bias_initializer"),
        *("kernel_regularizer", "bias_regularizer", "strategy"),
    )

    def __init__(
        self,
        units: int,
        activation: str | None = None,
        use_bias: bool = True,
        kernel_initializer: initializers.InitializerLike = "glorot_uniform",
        bias_initializer: initializers.InitializerLike = "zeros",
        kernel_regularizer: regularizers.RegularizerLike = None,
        bias_regularizer: regularizers.RegularizerLike = None,
        strategy: strategies.StrategyLike = "auto",
        **common: Unpack[LayerOptions],
    ):
        super().__init__(**common)
        self.units = arguments.whole(self, "units", units, least=1, most=arguments.MOST_CHANNELS)
        self.activation = activation_name(self, activation)
        self.use_bias = arguments.flag(self, "use_bias", use_bias)
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.bias_regularizer = regularizers.get(bias_regularizer)
        self.strategy = strategies.wish(self.label, strategy, sparse=False)

    def _problem(self, shape: Shape) -> Problem:
        """Return the 1x1 convolution of a map, whose axes before the last two count as one."""
        problem = Problem(prod(shape[:-2]), shape[-2], shape[-1], self.units, (1, 1))
        strategies.check(self.label, self.strategy, problem)
        return problem

    def shape_after(self, shape: Shape) -> Shape:
        if len(shape) > 1:
            self._problem(shape)
        return (*shape[:-1], self.units)

    def make_parameters(self, shape: Shape) -> list[Parameter]:
        kernel = Parameter(
            self,
            "kernel",
            (shape[-1], self.units),
            self.kernel_initializer,
            self.kernel_regularizer,
        )
        if not self.use_bias:
            return [kernel]
        bias = Parameter(self, "bias", (self.units,), self.bias_initializer, self.bias_regularizer)
        return [kernel, bias]

    def lower(self, program: Program, x: Buffer) -> Buffer:
        if len(x.shape) == 1:
            y = program.add("matmul", [x], self.output_shape, self.named_parameters())
        else:
            y = self._lower_on_map(program, x)
        return lower_activation(program, y, self.activation)

    def _lower_on_map(self, program: Program, x: Buffer) -> Buffer:
        problem = self._problem(x.shape)
        image = (problem.height, problem.width, problem.channels)
        if x.shape != image:
            x = program.add("reshape", [x], image)
        settings = {"problem": problem, "strategy": self.strategy}
        y = program.add(
            "conv2d", [x], (*image[:2], self.units), self.named_parameters(), **settings
        )
        return y if y.shape == self.output_shape else program.add("reshape", [y], self.output_shape)

    def multiply_adds(self) -> int:
        return prod(self.input_shape) * self.units
