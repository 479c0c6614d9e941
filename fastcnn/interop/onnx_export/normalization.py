"""Normalizations of each image by itself, as ONNX's nodes."""

from __future__ import annotations

from math import prod

import numpy as np

from fastcnn.graph.program import Buffer, Op
from fastcnn.interop.onnx_export.graph_builder import Attributes, GraphBuilder


def group_norm(builder: GraphBuilder, op: Op) -> None:
    """Group normalization, or of the last axes, which an image is seen as rows of."""
    (x,), y = op.inputs, op.outputs[0]
    rows, groups, channels = (op.attributes[name] for name in ("rows", "groups", "channels"))
    gamma, beta = builder.weight(op, "gamma"), builder.weight(op, "beta")
    gamma = np.ones(channels, np.float32) if gamma is None else gamma
    beta = np.zeros(channels, np.float32) if beta is None else beta
    settings = {"epsilon": op.attributes["epsilon"]}
    if rows == 1 and channels == x.shape[-1]:
        constants = builder.constant("gamma", gamma), builder.constant("beta", beta)
        settings["num_groups"] = groups
        image = builder.as_map(x)
        normalized = builder.add("GroupNormalization", image, *constants, opset=21, **settings)
        builder.bind_map(y, normalized)
        return
    axes = _last_axes(op, x, channels)
    shape = x.shape[-axes:]
    constants = (
        builder.constant("gamma", gamma.reshape(shape)),
        builder.constant("beta", beta.reshape(shape)),
    )
    normalized = builder.add(
        "LayerNormalization", builder.channels_last(x), *constants, axis=-axes, opset=17, **settings
    )
    builder.bind_channels_last(y, normalized)


def _last_axes(op: Op, x: Buffer, channels: int) -> int:
    """Return how many of the last axes together have so many numbers."""
    for count in range(1, len(x.shape) + 1):
        if prod(x.shape[-count:]) == channels and op.attributes["groups"] == 1:
            return count
    raise ValueError(
        f"Layer '{op.layer}': it normalizes parts of {channels} numbers of an input of shape "
        f"{x.shape}, which are no last axes of it, so that ONNX has no operation for them."
    )


def response_norm(builder: GraphBuilder, op: Op) -> None:
    (x,), size = op.inputs, op.attributes["size"]
    alpha, beta, k = (op.attributes[name] for name in ("alpha", "beta", "k"))
    image = builder.as_map(x)
    if size % 2:
        y = builder.add("LRN", image, size=size, alpha=alpha, beta=beta, bias=k)
    else:  # ONNX's has one channel more behind the middle, and not before it
        squares = builder.add("Mul", image, image)
        height, width = x.shape[:2] if len(x.shape) == 3 else (x.size // x.shape[-1], 1)
        columns = builder.reshaped(squares, (1, x.shape[-1], height * width))
        pads = [size // 2, 0, size // 2 - 1, 0]
        window: Attributes = {"kernel_shape": [size, 1], "strides": [1, 1], "pads": pads}
        mean = builder.add("AveragePool", columns, count_include_pad=1, **window)
        mean = builder.reshaped(mean, (x.shape[-1], height, width))
        scaled = builder.add("Mul", mean, builder.constant("alpha", alpha))
        base = builder.add("Add", scaled, builder.constant("k", k))
        divisor = builder.add("Pow", base, builder.constant("beta", beta))
        y = builder.add("Div", image, divisor)
    builder.bind_map(op.outputs[0], y)


def contrast_norm(builder: GraphBuilder, op: Op) -> None:
    (x,), image = op.inputs, builder.tensor(op.inputs[0])
    centered = builder.add("Sub", image, _weighted_mean(builder, op, x, image))
    squares = builder.add("Mul", centered, centered)
    variance = builder.add("Relu", _weighted_mean(builder, op, x, squares))
    deviation = builder.add("Sqrt", variance)
    least = builder.constant("epsilon", op.attributes["epsilon"])
    average = builder.add("GlobalAveragePool", deviation)
    divisor = builder.add("Max", deviation, average, least)
    builder.bind(op.outputs[0], builder.add("Div", centered, divisor))


def _weighted_mean(builder: GraphBuilder, op: Op, x: Buffer, image: str) -> str:
    """Append the means over all channels and a window around each pixel, by a Gaussian's weights,
    of what of the window is inside the image."""
    height, width, channels = x.shape
    weights = [_gaussian(op, extent) for extent in (height, width)]
    window = np.multiply.outer(*weights)
    kernel = np.broadcast_to(window / channels, (1, channels, *window.shape))
    halves = [len(weight) // 2 for weight in weights]
    blurred = builder.add(
        "Conv",
        image,
        builder.constant("gaussian", kernel),
        kernel_shape=list(window.shape),
        pads=halves * 2,
    )
    inside = [
        np.convolve(np.ones(extent), weight)[len(weight) // 2 :][:extent]
        for extent, weight in zip((height, width), weights, strict=True)
    ]
    share = builder.constant("inside", 1 / np.multiply.outer(*inside)[None])
    return builder.add("Mul", blurred, share)


def _gaussian(op: Op, extent: int) -> np.ndarray:
    """Return the weights of a window along an axis, as far as it reaches within an image."""
    half = min(op.attributes["size"] // 2, extent - 1)
    distance = np.arange(-half, half + 1)
    return np.exp(-(distance**2) / (2 * op.attributes["sigma"] ** 2))
