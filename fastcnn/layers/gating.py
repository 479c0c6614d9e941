"""Layers that multiply a map by what they make of it: Scale and SqueezeExcite."""

from __future__ import annotations

from typing import Unpack

from fastcnn.graph.program import Buffer, Program
from fastcnn.layers.activation import activation_name
from fastcnn.layers.base import LayerOptions, Shape, name_layers
from fastcnn.layers.containers import Branches, Chain, LayersLike
from fastcnn.layers.convolution import Conv2D
from fastcnn.layers.documented import documented
from fastcnn.layers.pooling import GlobalAveragePooling2D
from fastcnn.utils import arguments


@documented
class Scale(Chain):
    """x * body(x): what a body makes of x decides how much of x goes on.

    The body ends in a number for each channel, which counts for all pixels, or in the shape of x.

    Args:
        body: A list of layers.

    Raises:
        TypeError: `body` is no list of layers.
        ValueError: Layers lie within each other too deep, or, when the model is built, the body
            ends in another shape.

    Shape:
        Input and output: [N, H, W, C] or [N, C].
        The body's output: [N, C], [N, 1, 1, C] or that of the input.
    """

    argument = "body"

    def __init__(self, body: LayersLike, **common: Unpack[LayerOptions]):
        super().__init__(body, **common)

    def shape_after(self, shape: Shape) -> Shape:
        gate, channels = self.shapes[0], shape[-1]
        if gate not in ((channels,), (1, 1, channels), shape):
            raise ValueError(
                f"{self.label}: the body must end in a number for each channel, ({channels},) or "
                f"(1, 1, {channels}), or in the shape of the input, {shape}. Received {gate}."
            )
        return shape

    def lower(self, program: Program, x: Buffer) -> Buffer:
        (gate,) = self.lower_chains(program, x)
        return program.add("multiply", [x, gate], x.shape)


@documented
class SqueezeExcite(Branches):
    """Weighs the channels of a map by what is in all of them, as SENet does.

    A `Scale` whose body is GlobalAveragePooling2D(keepdims=True), then Conv2D(units, 1, activation)
    and Conv2D(C, 1, gate_activation), which are its layers once the model is built.

    Args:
        ratio: How many channels share one of the units between the two convolutions; there is at
            least one.
        activation: That of the units, a name.
        gate_activation: That of the channels' weights, a name.
        units: How many units there are, whatever the channels; None for as `ratio` says.

    Raises:
        TypeError: `ratio` or `units` is no whole number.
        ValueError: It is below 1, or there is no such activation.

    Shape:
        Input and output: [N, H, W, C].

    References:
        Hu, Shen and Sun, 2018: Squeeze-and-excitation networks.
    """

    settings = ("ratio", "activation", "gate_activation", "units")
    rank = 3

    def __init__(
        self,
        ratio: int = 16,
        activation: str | None = "relu",
        gate_activation: str | None = "sigmoid",
        units: int | None = None,
        **common: Unpack[LayerOptions],
    ):
        super().__init__([], **common)
        self.ratio = arguments.whole(self, "ratio", ratio, least=1)
        self.activation = activation_name(self, activation) or "linear"
        self.gate_activation = activation_name(self, gate_activation) or "linear"
        most = arguments.MOST_CHANNELS
        self.units = (
            None if units is None else arguments.whole(self, "units", units, least=1, most=most)
        )

    def build(self, input_shape: Shape, prefix: str = "") -> None:
        if not self.built and len(input_shape) == 3:
            channels = input_shape[-1]
            body = (
                GlobalAveragePooling2D(keepdims=True),
                Conv2D(self.units or max(1, channels // self.ratio), 1, activation=self.activation),
                Conv2D(channels, 1, activation=self.gate_activation),
            )
            name_layers(body)
            self.chains = (body,)
            self.trainable = self.trainable  # theirs too
        super().build(input_shape, prefix)

    def lower(self, program: Program, x: Buffer) -> Buffer:
        (gate,) = self.lower_chains(program, x)
        return program.add("multiply", [x, gate], x.shape)
