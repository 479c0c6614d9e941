"""Sums, products and what is done to each channel by itself, as ONNX's nodes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastcnn.graph.program import Buffer, Op
from fastcnn.interop.onnx_export.graph_builder import GraphBuilder

Doubles = NDArray[np.float64]


def copy(builder: GraphBuilder, op: Op) -> None:
    builder.alias(op.outputs[0], op.inputs[0])


def add(builder: GraphBuilder, op: Op) -> None:
    total, *others = (builder.tensor(x) for x in op.inputs)
    for other in others:
        total = builder.add("Add", total, other)
    builder.bind(op.outputs[0], total)


def multiply(builder: GraphBuilder, op: Op) -> None:
    x, gate = op.inputs
    factor = builder.tensor(gate)
    if len(x.shape) == 3 and len(gate.shape) == 1:
        factor = builder.reshaped(factor, (*gate.shape, 1, 1))
    elif gate.shape != x.shape and len(x.shape) != 3 and len(gate.shape) != 3:
        factor = builder.reshaped(factor, (*(1,) * (len(x.shape) - 1), x.shape[-1]))
    builder.bind(op.outputs[0], builder.add("Mul", builder.tensor(x), factor))


def affine(builder: GraphBuilder, op: Op) -> None:
    """scale * x + offset, with fixed numbers."""
    (x,) = op.inputs
    y = builder.tensor(x)
    scale, offset = (np.array(op.attributes[name]) for name in ("scale", "offset"))
    if (scale != 1).any():
        y = builder.add("Mul", y, builder.per_channel("scale", scale, x))
    if offset.any():
        y = builder.add("Add", y, builder.per_channel("offset", offset, x))
    if y == builder.tensor(x):
        builder.alias(op.outputs[0], x)
    else:
        builder.bind(op.outputs[0], y)


def bias(builder: GraphBuilder, op: Op) -> None:
    (x,) = op.inputs
    constant = builder.per_channel("bias", builder.weight(op, "bias"), x)
    builder.bind(op.outputs[0], builder.add("Add", builder.tensor(x), constant))


def prelu(builder: GraphBuilder, op: Op) -> None:
    (x,), alpha = op.inputs, builder.weight(op, "alpha")
    slopes: NDArray[Any] = np.asarray(alpha)
    if len(x.shape) == 3:
        slopes = slopes.reshape((1,) * (3 - slopes.ndim) + slopes.shape).transpose(2, 0, 1)
    constant = builder.constant("alpha", slopes)
    builder.bind(op.outputs[0], builder.add("PRelu", builder.tensor(x), constant))


def moving_scale_shift(builder: GraphBuilder, op: Op) -> None:
    """Nothing yet: `scale_shift` asks for what the statistics make."""


def scale_shift(builder: GraphBuilder, op: Op) -> None:
    """Batch normalization by moving statistics."""
    x = op.inputs[0]
    statistics = _statistics(builder, op)
    if statistics is None:
        raise ValueError(
            f"Layer '{op.layer}': it scales and shifts by what it computes from the images, which "
            "ONNX has no single operation for."
        )
    channels = x.shape[-1]
    gamma, beta = builder.weight(statistics, "gamma"), builder.weight(statistics, "beta")
    constants = (
        builder.constant("gamma", np.ones(channels) if gamma is None else gamma),
        builder.constant("beta", np.zeros(channels) if beta is None else beta),
        builder.constant("moving_mean", builder.weight(statistics, "moving_mean")),
        builder.constant("moving_variance", builder.weight(statistics, "moving_variance")),
    )
    settings = {name: statistics.attributes[name] for name in ("epsilon", "momentum")}
    # Up to version 13 it was a matter of interpretation whether a node is for training.
    y = builder.add("BatchNormalization", builder.as_map(x), *constants, opset=14, **settings)
    builder.bind_map(op.outputs[0], y)


def _statistics(builder: GraphBuilder, op: Op) -> Op | None:
    """Return the op that makes scale and shift of moving statistics; None where another does."""
    maker = builder.program.producer(op.inputs[1])
    fixed = maker is not None and maker.kind == "moving_scale_shift"
    return maker if fixed and maker is builder.program.producer(op.inputs[2]) else None


def fixed_affine_behind(
    builder: GraphBuilder, buffer: Buffer
) -> tuple[tuple[Doubles, Doubles] | None, Buffer]:
    """Return scale and shift of the biases, and of the normalizations where they are folded, that
    alone read a buffer, None where there are none; and the buffer behind them, whose ops are done.
    """
    scale, shift = np.ones(buffer.shape[-1]), np.zeros(buffer.shape[-1])
    end = buffer
    while (op := builder.only_reader(end)) is not None and op.inputs[0] is end:
        if op.kind == "bias":
            shift = shift + np.asarray(builder.weight(op, "bias"), np.float64)
        elif op.kind == "scale_shift" and builder.fold_batch_norm:
            statistics = _statistics(builder, op)
            if statistics is None:
                break
            own_scale, own_shift = _scale_and_shift(builder, statistics)
            scale, shift = scale * own_scale, shift * own_scale + own_shift
        else:
            break
        builder.done.add(op)
        end = op.outputs[0]
    return (None if end is buffer else (scale, shift)), end


def _scale_and_shift(builder: GraphBuilder, statistics: Op) -> tuple[Doubles, Doubles]:
    mean, variance = (
        np.asarray(builder.weight(statistics, name), np.float64)
        for name in ("moving_mean", "moving_variance")
    )
    gamma, beta = builder.weight(statistics, "gamma"), builder.weight(statistics, "beta")
    scale = 1 / np.sqrt(variance + statistics.attributes["epsilon"])
    if gamma is not None:
        scale = scale * gamma
    shift = -mean * scale
    return scale, shift if beta is None else shift + beta
