"""Ops on each number, channel or row by itself."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod

from fastcnn.backends.lowering.arguments import has_relu, rows
from fastcnn.backends.lowering.regions import Regions
from fastcnn.graph.program import Op
from fastcnn.kernels.call import IMAGE, DeviceKernel, Region
from fastcnn.utils import naming

# What some activation functions depend on, besides the number.
CONSTANTS = ("constant", "slope", "limit", "threshold")


def _emit_function(
    low: Regions,
    op: Op,
    kernels: dict[str, DeviceKernel],
    writes: str,
    places: Mapping[str, Region],
) -> None:
    """Emit the call of an activation, or of its gradient, by the function's name."""
    kernel = naming.entry(op.where, "activation function", op.attributes.get("function"), kernels)
    values: dict[str, int | float] = {"size": op.outputs[0].size}
    for constant in CONSTANTS:
        if constant in kernel.fields:
            values[constant] = float(op.attributes.get(constant, 0.0))
    low.emit(kernel, IMAGE, writes, places, **values)


def activation(low: Regions, op: Op) -> None:
    places = {"x": low.region(op.inputs[0]), "y": low.output(op)}
    _emit_function(low, op, low.kernels.activation_functions.FORWARD, "y", places)


def activation_dx(low: Regions, op: Op) -> None:
    saved, dy = (low.region(buffer) for buffer in op.inputs)
    places = {"saved": saved, "dy": dy, "dx": low.output(op)}
    _emit_function(low, op, low.kernels.activation_functions.BACKWARD, "dx", places)


def softmax(low: Regions, op: Op) -> None:
    places = {"x": low.region(op.inputs[0]), "y": low.output(op)}
    low.emit(low.kernels.activation.softmax, IMAGE, "y", places, **rows(op))


def softmax_dx(low: Regions, op: Op) -> None:
    y, dy = (low.region(buffer) for buffer in op.inputs)
    places = {"y": y, "dy": dy, "dx": low.output(op)}
    low.emit(low.kernels.activation.softmax_dx, IMAGE, "dx", places, **rows(op))


def add(low: Regions, op: Op) -> None:
    first, *rest = (low.region(buffer) for buffer in op.inputs)
    y = low.output(op)
    for i, other in enumerate(rest):
        relu = has_relu(op) and i == len(rest) - 1
        places = {"a": first, "b": other, "y": y}
        low.emit(low.kernels.activation.add, IMAGE, "y", places, size=op.outputs[0].size, relu=relu)
        first = y


def _channelwise(
    low: Regions, op: Op, scale: Region, offset: Region, residual: Region | None = None
) -> None:
    shape = op.outputs[0].shape
    x, y = low.region(op.inputs[0]), low.output(op)
    places = {"x": x, "scale": scale, "offset": offset, "residual": residual, "y": y}
    low.emit(
        low.kernels.activation.affine,
        IMAGE,
        "y",
        places,
        pixels=prod(shape[:-1]),
        channels=shape[-1],
        relu=has_relu(op),
    )


def affine(low: Regions, op: Op) -> None:
    scale, offset = (low.constant(op.attributes[name]) for name in ("scale", "offset"))
    _channelwise(low, op, scale, offset)


def bias(low: Regions, op: Op) -> None:
    ones = low.constant([1.0] * op.outputs[0].shape[-1])
    _channelwise(low, op, ones, low.parameter(op.parameters["bias"]))


def bias_dw(low: Regions, op: Op) -> None:
    (name,), dy = op.gradient_of, op.inputs[0]
    parameter = op.parameters[name]
    pixels, gradient = dy.size // parameter.size, low.parameter(parameter, "gradients")
    low.kernels.bias.bias_dw(low.calls, pixels, parameter.size, low.region(dy), gradient)


def scale_shift(low: Regions, op: Op) -> None:
    residual = low.region(op.inputs[3]) if len(op.inputs) == 4 else None
    _channelwise(low, op, low.region(op.inputs[1]), low.region(op.inputs[2]), residual)


def scale_dx(low: Regions, op: Op) -> None:
    zeros = low.constant([0.0] * op.inputs[1].size)
    _channelwise(low, op, low.region(op.inputs[1]), zeros)


def dropout(low: Regions, op: Op) -> None:
    rate = op.attributes["rate"]
    places = {"x": low.region(op.inputs[0]), "y": low.output(op), "random": Region(24, "random")}
    low.emit(
        low.kernels.activation.dropout,
        IMAGE,
        "y",
        places,
        size=op.outputs[0].size,
        decisions=op.attributes.get("decisions", op.outputs[0].size),
        stream=op.attributes["stream"],
        threshold=min(round(rate * 2**32), 2**32 - 1),
        scale=1 / (1 - rate),
    )
