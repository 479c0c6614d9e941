"""Matrix products and normalizations of ONNX as layers."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastcnn.interop.onnx_import.model_file import OnnxNode
from fastcnn.interop.onnx_import.translator import Tensor, Translator
from fastcnn.interop.onnx_import.windows import bias_behind
from fastcnn.layers import (
    BatchNormalization,
    Dense,
    GroupNormalization,
    Layer,
    LayerNormalization,
    LocalResponseNormalization,
)

Floats = NDArray[np.float32]


def gemm(t: Translator, node: OnnxNode) -> Tensor:
    x = t.tensor(node)
    if node.attributes.get("transA", 0):
        raise ValueError("it multiplies the images' transpose")
    kernel = t.weight(node, 1, "the matrix")
    if kernel.ndim != 2 or len(x.shape) != 1:
        raise ValueError(f"it multiplies {x.onnx_shape} by {kernel.shape}")
    if node.attributes.get("transB", 0):
        kernel = kernel.T
    kernel = kernel * np.float32(node.attributes.get("alpha", 1.0))
    if not node.has_input(2):
        return _dense(t, node, x, kernel, bias_behind(t, node, kernel.shape[1], kernel.shape[1:]))
    bias = t.weight(node, 2, "the bias") * np.float32(node.attributes.get("beta", 1.0))
    if bias.size not in (1, kernel.shape[1]) or bias.ndim > 2:
        raise ValueError(f"the bias has the shape {bias.shape} for {kernel.shape[1]} units")
    return _dense(t, node, x, kernel, np.broadcast_to(bias.ravel(), kernel.shape[1:]))


def matmul(t: Translator, node: OnnxNode) -> Tensor:
    x = t.tensor(node)
    kernel = t.weight(node, 1, "the matrix")
    if kernel.ndim != 2:
        raise ValueError(f"the matrix has the shape {kernel.shape}")
    if len(x.shape) > 1:
        x = t.plain(x)
    units = kernel.shape[1]
    spread = (units,)
    return _dense(t, node, x, kernel, bias_behind(t, node, units, spread))


def _dense(t: Translator, node: OnnxNode, x: Tensor, kernel: Floats, bias: Any) -> Tensor:
    if kernel.shape[0] != x.shape[-1]:
        raise ValueError(f"it multiplies {x.onnx_shape} by {kernel.shape}")
    layer = Dense(kernel.shape[1], use_bias=bias is not None, **t.options())
    t.give(layer, kernel=t.in_order(np.ascontiguousarray(kernel), x), bias=bias)
    return t.add(x, layer)


def batch_normalization(t: Translator, node: OnnxNode) -> Tensor:
    if node.attributes.get("training_mode", 0) or not node.attributes.get("spatial", 1):
        raise ValueError("it is for training, or for each pixel by itself")
    x = _channels_last(t, t.tensor(node))
    arrays = {}
    for place, name in enumerate(("gamma", "beta", "moving_mean", "moving_variance"), start=1):
        values = t.weight(node, place, name)
        if values.shape != x.shape[-1:]:
            raise ValueError(f"{name} has the shape {values.shape} for {x.shape[-1]} channels")
        arrays[name] = t.in_order(values, x)
    layer = BatchNormalization(
        node.attributes.get("momentum", 0.9), node.attributes.get("epsilon", 1e-5), **t.options()
    )
    return t.add(x, t.give(layer, **arrays), keep_source=True)


def _channels_last(t: Translator, x: Tensor) -> Tensor:
    if not x.shape:
        raise ValueError("it reads a single number")
    return t.image(x) if len(x.shape) == 3 else t.last(x, 0)


def instance_normalization(t: Translator, node: OnnxNode) -> Tensor:
    return _group_normalization(t, node, -1, t.weight(node, 1, "the scale"))


def group_normalization(t: Translator, node: OnnxNode) -> Tensor:
    groups = node.attributes.get("num_groups", 1)
    scale = t.weight(node, 1, "the scale")
    return _group_normalization(t, node, groups, scale)


def _group_normalization(t: Translator, node: OnnxNode, groups: int, scale: Floats) -> Tensor:
    x = _channels_last(t, t.tensor(node))
    if x.source is not None:
        x = t.plain(x)
    channels, bias = x.shape[-1], t.weight(node, 2, "the bias")
    arrays = {}
    for name, values in (("gamma", scale), ("beta", bias)):
        if values.shape == (groups,) != (channels,) and channels % groups == 0 and t.opset < 21:
            values = values.repeat(channels // groups)
        if values.shape != (channels,):
            raise ValueError(f"{name} has the shape {values.shape} for {channels} channels")
        arrays[name] = values
    epsilon = node.attributes.get("epsilon", 1e-5)
    return t.add(x, t.give(GroupNormalization(groups, epsilon, **t.options()), **arrays))


def layer_normalization(t: Translator, node: OnnxNode) -> Tensor:
    x = t.plain(t.tensor(node))
    rank, axis = len(x.shape), node.attributes.get("axis", -1)
    first = axis if axis < 0 else axis - rank - 1
    if not -rank <= first <= -1:
        raise ValueError(f"it normalizes from axis {axis} on, and with it across the images")
    shape = x.shape[first:]
    gamma = np.broadcast_to(t.weight(node, 1, "the scale"), shape)
    beta = np.broadcast_to(t.weight(node, 2, "the bias"), shape) if node.has_input(2) else None
    layer = LayerNormalization(
        tuple(range(first, 0)),
        node.attributes.get("epsilon", 1e-5),
        center=beta is not None,
        **t.options(),
    )
    return t.add(x, t.give(layer, gamma=gamma, beta=beta))


def response_normalization(t: Translator, node: OnnxNode) -> Tensor:
    x = t.image(t.tensor(node))
    size = node.attributes.get("size", 0)
    if not isinstance(size, int) or size % 2 == 0:
        raise ValueError(
            f"its window of {size} channels has one more behind the middle, and fastcnn's before it"
        )
    settings = {"alpha": 1e-4, "beta": 0.75, "bias": 1.0}
    alpha, beta, k = (node.attributes.get(name, value) for name, value in settings.items())
    layer: Layer = LocalResponseNormalization(size, alpha, beta, k, **t.options())
    return t.add(x, layer)
