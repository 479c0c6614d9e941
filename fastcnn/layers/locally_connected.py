"""A convolution that does not share its kernels between pixels."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Unpack

from fastcnn import initializers, regularizers
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
class LocallyConnected2D(Convolution):
    """A convolution with kernels of its own for each output pixel.

    Args:
        filters: The number F of kernels of each pixel, at least 1.
        kernel_size: A kernel's (height, width) in pixels, or one integer for both.
        padding: "valid" (none), "same" (zeros, TensorFlow's rule), or zeros in pixels: an integer,
            (rows, columns) or ((top, bottom), (left, right)).
        use_bias: Whether a bias is added, which differs from pixel to pixel too.
        kernel_initializer: What the kernels begin with, a name, a class, a {"class_name", "config"}
            or an object of `fastcnn.initializers`. As in Keras 2, its fans count the output pixels.
        kernel_regularizer: The penalty of the kernels, likewise of `fastcnn.regularizers`; None for
            none.

    Raises:
        ValueError: A number is out of its range, a name is unknown (the message has the nearest),
            or, when the model is built, the window does not fit the input.
        TypeError: A whole number is none, or an argument is of a wrong type.

    Shape:
        Input: [N, H, W, C].
        Output: [N, OH, OW, F], OH and OW as `Conv2D`'s.
        Kernel: [OH * OW, KH * KW * C, F]; bias: [OH, OW, F].

    References:
        Taigman et al., 2014: DeepFace: Closing the gap to human-level performance in face
        verification.
    """

    settings = (
        *("filters", "kernel_size", "strides", "padding", "activation", "use_bias"),
        *("kernel_initializer", "bias_initializer", "kernel_regularizer", "bias_regularizer"),
    )

    def __init__(
        self,
        filters: int,
        kernel_size: PairLike,
        strides: PairLike = (1, 1),
        padding: PaddingLike = "valid",
        activation: str | None = None,
        use_bias: bool = True,
        kernel_initializer: initializers.InitializerLike = "glorot_uniform",
        bias_initializer: initializers.InitializerLike = "zeros",
        kernel_regularizer: regularizers.RegularizerLike = None,
        bias_regularizer: regularizers.RegularizerLike = None,
        **common: Unpack[LayerOptions],
    ):
        super().__init__(
            *(kernel_size, strides, padding, (1, 1), activation, use_bias),
            *(bias_initializer, bias_regularizer, "zeros"),
            **common,
        )
        self.filters = arguments.whole(
            self, "filters", filters, least=1, most=arguments.MOST_CHANNELS
        )
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)

    def _problem(self, shape: Shape) -> Problem:
        return self.problem(shape, self.filters, 1)

    def shape_after(self, shape: Shape) -> Shape:
        problem = self._problem(shape)
        return problem.out_height, problem.out_width, self.filters

    def make_parameters(self, shape: Shape) -> list[Parameter]:
        height, width, filters = self.shape_after(shape)
        kernels = (height * width, prod(self.kernel_size) * shape[2], filters)
        kernel = Parameter(
            self, "kernel", kernels, self.kernel_initializer, self.kernel_regularizer
        )
        if not self.use_bias:
            return [kernel]
        biases = (height, width, filters)
        bias = Parameter(self, "bias", biases, self.bias_initializer, self.bias_regularizer)
        return [kernel, bias]

    def lower(self, program: Program, x: Buffer) -> Buffer:
        problem = self._problem(self.input_shape)
        parameters = self.named_parameters()
        y = program.add("local_conv", [x], self.output_shape, parameters, problem=problem)
        return lower_activation(program, y, self.activation)

    def multiply_adds(self) -> int:
        return self._problem(self.input_shape).multiply_adds
