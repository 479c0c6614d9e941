"""Activations, as settings of other layers and as layers of their own."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Unpack

from fastcnn.layers.base import Layer, LayerOptions
from fastcnn.layers.documented import documented
from fastcnn.utils import arguments, naming

if TYPE_CHECKING:
    from fastcnn.graph.program import Buffer, Program

# Name -> the default of its one constant (slope of leaky_relu, scale of elu).
ACTIVATIONS: dict[str, float] = {
    "linear": 0.0,
    "relu": 0.0,
    "leaky_relu": 0.2,
    "relu6": 0.0,
    "elu": 1.0,
    "selu": 0.0,
    "gelu": 0.0,
    "gelu_tanh": 0.0,
    "sigmoid": 0.0,
    "hard_sigmoid": 0.0,
    "tanh": 0.0,
    "softplus": 0.0,
    "swish": 0.0,
    "silu": 0.0,
    "hard_swish": 0.0,
    "hard_silu": 0.0,
    "mish": 0.0,
    "softmax": 0.0,
}
# Keras has two names for each of these.
FUNCTION_OF = {"silu": "swish", "hard_silu": "hard_swish"}


def activation_name(layer: Layer, name: str | None) -> str | None:
    """Return a known activation's name; None and "linear" are none."""
    if name is None:
        return None
    if not isinstance(name, str) or name not in ACTIVATIONS:
        raise ValueError(f"{layer.label}: {naming.unknown('activation', str(name), ACTIVATIONS)}")
    return None if name == "linear" else name


def lower_activation(
    program: Program, x: Buffer, name: str | None, constant: float | None = None
) -> Buffer:
    """Add an activation's op and return its output; x itself where there is none."""
    if name is None:
        return x
    if name == "softmax":
        return program.add("softmax", [x], x.shape)
    default = naming.entry(f"Layer '{program.layer}'", "activation", name, ACTIVATIONS)
    constant = default if constant is None else constant
    function = FUNCTION_OF.get(name, name)
    return program.add("activation", [x], x.shape, function=function, constant=constant)


def _lower_clipped(
    program: Program, x: Buffer, max_value: float | None, slope: float, threshold: float
) -> Buffer:
    """Add the rectifier that has bounds and return its output."""
    limit = math.inf if max_value is None else max_value
    return program.add(
        "activation",
        [x],
        x.shape,
        function="clipped_relu",
        slope=slope,
        limit=limit,
        threshold=threshold,
    )


@documented
class Activation(Layer):
    """An activation by name, element by element (softmax: along the last axis).

    Args:
        activation: "linear", "relu", "relu6", "leaky_relu" (slope 0.2), "elu", "selu", "gelu",
            "gelu_tanh" (Keras's `gelu(approximate=True)`), "sigmoid", "hard_sigmoid", "tanh",
            "softplus", "swish" or "silu", "hard_swish" or "hard_silu", "mish" or "softmax".

    Raises:
        ValueError: There is no such activation; the message has the nearest.

    Shape:
        Input and output: [N, ...], any shape.

    References:
        Klambauer et al., 2017: Self-normalizing neural networks (selu).
        Hendrycks and Gimpel, 2016: Gaussian error linear units (gelu, gelu_tanh).
        Ramachandran et al., 2017: Searching for activation functions (swish).
        Howard et al., 2019: Searching for MobileNetV3 (hard_swish, hard_sigmoid).
        Misra, 2020: Mish, a self regularized non-monotonic activation function.
    """

    settings = ("activation",)

    def __init__(self, activation: str, **common: Unpack[LayerOptions]):
        super().__init__(**common)
        self.activation = activation_name(self, activation) or "linear"

    def lower(self, program: Program, x: Buffer) -> Buffer:
        return lower_activation(program, x, activation_name(self, self.activation))


@documented
class ReLU(Layer):
    """max(x, 0), or, between and beyond other bounds, what Keras's has.

    It is x above `threshold`, at most `max_value`, and negative_slope * (x - threshold) below.

    Args:
        max_value: The largest output, at least 0; None for no limit.
        negative_slope: The slope below the threshold, at least 0.
        threshold: Up to where x is not let through, at least 0.

    Shape:
        Input and output: [N, ...], any shape.

    References:
        Nair and Hinton, 2010: Rectified linear units improve restricted Boltzmann machines.
    """

    settings = ("max_value", "negative_slope", "threshold")

    def __init__(
        self,
        max_value: float | None = None,
        negative_slope: float = 0.0,
        threshold: float = 0.0,
        **common: Unpack[LayerOptions],
    ):
        super().__init__(**common)
        bounded = max_value is not None
        self.max_value = (
            arguments.float32(self, "max_value", max_value, least=0) if bounded else None
        )
        self.negative_slope = arguments.float32(self, "negative_slope", negative_slope, least=0)
        self.threshold = arguments.float32(self, "threshold", threshold, least=0)

    def lower(self, program: Program, x: Buffer) -> Buffer:
        if self.threshold == 0 and self.negative_slope == 0 and self.max_value in (None, 6):
            return lower_activation(program, x, "relu" if self.max_value is None else "relu6")
        if self.threshold == 0 and self.max_value is None:
            return lower_activation(program, x, "leaky_relu", self.negative_slope)
        return _lower_clipped(program, x, self.max_value, self.negative_slope, self.threshold)


@documented
class LeakyReLU(Layer):
    """x above zero, negative_slope * x below.

    Args:
        negative_slope: The slope below zero, at least 0.

    Shape:
        Input and output: [N, ...], any shape.

    References:
        Maas et al., 2013: Rectifier nonlinearities improve neural network acoustic models.
    """

    settings = ("negative_slope",)

    def __init__(self, negative_slope: float = 0.3, **common: Unpack[LayerOptions]):
        super().__init__(**common)
        self.negative_slope = arguments.float32(self, "negative_slope", negative_slope, least=0)

    def lower(self, program: Program, x: Buffer) -> Buffer:
        return lower_activation(program, x, "leaky_relu", self.negative_slope)


@documented
class ThresholdedReLU(Layer):
    """x above theta, else 0.

    Args:
        theta: The threshold, at least 0.

    Shape:
        Input and output: [N, ...], any shape.

    References:
        Konda et al., 2015: Zero-bias autoencoders and the benefits of co-adapting features.
    """

    settings = ("theta",)

    def __init__(self, theta: float = 1.0, **common: Unpack[LayerOptions]):
        super().__init__(**common)
        self.theta = arguments.float32(self, "theta", theta, least=0)

    def lower(self, program: Program, x: Buffer) -> Buffer:
        return _lower_clipped(program, x, None, 0.0, self.theta)


@documented
class ELU(Layer):
    """x above zero, alpha * (exp(x) - 1) below.

    Args:
        alpha: Minus the limit far below zero, at least 0.

    Shape:
        Input and output: [N, ...], any shape.

    References:
        Clevert et al., 2016: Fast and accurate deep network learning by exponential linear units.
    """

    settings = ("alpha",)

    def __init__(self, alpha: float = 1.0, **common: Unpack[LayerOptions]):
        super().__init__(**common)
        self.alpha = arguments.float32(self, "alpha", alpha, least=0)

    def lower(self, program: Program, x: Buffer) -> Buffer:
        return lower_activation(program, x, "elu", self.alpha)


class Softmax(Layer):
    """exp(x) normalised to sum 1 along the last axis.

    Args:
        name: Text without "/"; None makes one from the class.
        trainable: Without effect: it has no weights.

    Shape:
        Input and output: [N, ...], any shape.
    """

    def lower(self, program: Program, x: Buffer) -> Buffer:
        return lower_activation(program, x, "softmax")
