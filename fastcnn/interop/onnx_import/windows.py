"""Convolutions and poolings of ONNX as layers."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastcnn.graph.problem import NO_PADDING, Padding, Pair, same_padding
from fastcnn.interop.onnx_import.model_file import Array, OnnxNode
from fastcnn.interop.onnx_import.translator import Tensor, Translator
from fastcnn.layers import (
    AveragePooling2D,
    Conv2D,
    Conv2DTranspose,
    DepthwiseConv2D,
    GlobalAveragePooling2D,
    GlobalMaxPooling2D,
    Layer,
    LpPooling2D,
    MaxPooling2D,
)


def convolution(t: Translator, node: OnnxNode) -> Tensor:
    x = t.image(t.tensor(node))
    kernel = t.weight(node, 1, "the kernel")
    groups, channels = node.attributes.get("group", 1), x.shape[2]
    if kernel.ndim != 4 or kernel.size == 0:
        raise ValueError(f"a kernel of maps has 4 axes, and this one the shape {kernel.shape}")
    filters = kernel.shape[0]
    _check_groups(groups, filters)
    if kernel.shape[1] * groups != channels:
        raise ValueError(
            f"the kernel has the shape {kernel.shape} with {groups} groups, and the input "
            f"{channels} channels"
        )
    window = _window(node, x, kernel.shape[2:])
    dilation = _pair(node, "dilations", (1, 1))
    mode = {}
    border = t.borders.get(node.inputs[0])
    if border is not None:
        window["padding"], mode["padding_mode"] = border
    bias = _bias(t, node, filters)
    settings = {**window, **mode, **t.options(), "use_bias": bias is not None}
    moved = kernel.transpose(2, 3, 1, 0)  # to [KH, KW, C / groups, F]
    layer: Layer
    if groups == channels > 1:
        multiplier = filters // channels
        layer = DepthwiseConv2D(depth_multiplier=multiplier, dilation_rate=dilation, **settings)
        moved = moved.reshape(*kernel.shape[2:], channels, multiplier)
    else:
        layer = Conv2D(filters, groups=groups, dilation_rate=dilation, **settings)
    return t.add(x, t.give(layer, kernel=moved, bias=bias))


def transposed(t: Translator, node: OnnxNode) -> Tensor:
    x = t.image(t.tensor(node))
    kernel = t.weight(node, 1, "the kernel")
    groups = node.attributes.get("group", 1)
    if kernel.ndim != 4 or kernel.size == 0 or kernel.shape[0] != x.shape[2]:
        raise ValueError(
            f"the kernel has the shape {kernel.shape}, and the input {x.shape[2]} channels"
        )
    filters = kernel.shape[1] * groups
    _check_groups(groups, filters)
    size, dilation = kernel.shape[2:], _pair(node, "dilations", (1, 1))
    strides, more = _pair(node, "strides", (1, 1)), _pair(node, "output_padding", (0, 0))
    pads = _explicit_pads(node)
    wanted = _wanted_size(node, x, strides)
    if wanted is not None:
        totals = [
            stride * (extent - 1) + extra + dilated * (taps - 1) + 1 - out
            for stride, extent, extra, dilated, taps, out in zip(
                strides, x.shape, more, dilation, size, wanted, strict=False
            )
        ]
        if min(totals) < 0:
            more = tuple(extra + max(-total, 0) for extra, total in zip(more, totals, strict=True))
            totals = [max(total, 0) for total in totals]
        upper = node.attributes.get("auto_pad") == "SAME_UPPER"
        first = [total // 2 if upper else total - total // 2 for total in totals]
        rows, columns = ((a, total - a) for a, total in zip(first, totals, strict=True))
        pads = rows, columns
    bias = _bias(t, node, filters)
    layer = Conv2DTranspose(
        *(filters, size, strides, pads, more, dilation, groups),
        use_bias=bias is not None,
        **t.options(),
    )
    t.give(layer, kernel=kernel.transpose(2, 3, 1, 0), bias=bias)
    return t.add(x, layer)


def _wanted_size(node: OnnxNode, x: Tensor, strides: Pair) -> Any:
    if "output_shape" in node.attributes:
        return _pair(node, "output_shape", (1, 1))
    if node.attributes.get("auto_pad", "NOTSET") in ("SAME_UPPER", "SAME_LOWER"):
        return x.shape[0] * strides[0], x.shape[1] * strides[1]
    return None


def max_pool(t: Translator, node: OnnxNode) -> Tensor:
    x = t.image(t.tensor(node))
    return t.add(x, MaxPooling2D(**_pooling(node, x), **t.options()))


def average_pool(t: Translator, node: OnnxNode) -> Tensor:
    x = t.image(t.tensor(node))
    counted = bool(node.attributes.get("count_include_pad", 0))
    settings = _pooling(node, x)
    return t.add(x, AveragePooling2D(count_include_pad=counted, **settings, **t.options()))


def lp_pool(t: Translator, node: OnnxNode) -> Tensor:
    x = t.image(t.tensor(node))
    norm = float(node.attributes.get("p", 2))
    return t.add(x, LpPooling2D(norm=norm, **_pooling(node, x), **t.options()))


def global_average_pool(t: Translator, node: OnnxNode) -> Tensor:
    return t.add(t.image(t.tensor(node)), GlobalAveragePooling2D(keepdims=True, **t.options()))


def global_max_pool(t: Translator, node: OnnxNode) -> Tensor:
    return t.add(t.image(t.tensor(node)), GlobalMaxPooling2D(keepdims=True, **t.options()))


def reduction(t: Translator, node: OnnxNode) -> Tensor:
    """A mean or largest value over height and width."""
    x = t.image(t.tensor(node))
    axes = t.integers(node, 1, "axes") or [0, 1, 2, 3]
    if sorted(axis % 4 for axis in axes) != [2, 3] or node.attributes.get("keepdims", 1) not in (
        0,
        1,
    ):
        raise ValueError(f"it goes along the axes {axes}, and fastcnn's along height and width")
    kind = GlobalAveragePooling2D if node.kind == "ReduceMean" else GlobalMaxPooling2D
    keep = bool(node.attributes.get("keepdims", 1))
    return t.add(x, kind(keepdims=keep, **t.options()))


def _pooling(node: OnnxNode, x: Tensor) -> dict[str, Any]:
    if _pair(node, "dilations", (1, 1)) != (1, 1):
        raise ValueError("fastcnn's poolings have no dilation")
    if "kernel_shape" not in node.attributes:
        raise ValueError("it says no kernel_shape")
    window = _window(node, x, (1, 1))
    window["pool_size"] = window.pop("kernel_size")
    return {**window, "ceil_mode": bool(node.attributes.get("ceil_mode", 0))}


def _window(node: OnnxNode, x: Tensor, size: tuple[int, ...]) -> dict[str, Any]:
    """Return a window's size, strides and padding."""
    taps = _pair(node, "kernel_shape", (size[0], size[1]))
    strides = _pair(node, "strides", (1, 1))
    return {"kernel_size": taps, "strides": strides, "padding": _padding(node, x, taps, strides)}


def _padding(node: OnnxNode, x: Tensor, taps: Pair, strides: Pair) -> str | Padding:
    auto = node.attributes.get("auto_pad", "NOTSET")
    if auto == "VALID":
        return "valid"
    if auto == "SAME_UPPER":
        return "same"
    if auto == "SAME_LOWER":
        dilation = _pair(node, "dilations", (1, 1))
        rows, columns = (
            same_padding(x.shape[i], taps[i], strides[i], dilation[i])[::-1] for i in range(2)
        )
        return (rows[0], rows[1]), (columns[0], columns[1])
    if auto not in ("NOTSET", ""):
        raise ValueError(f"auto_pad is '{auto}'")
    pads = _explicit_pads(node)
    return "valid" if pads == NO_PADDING else pads


def _explicit_pads(node: OnnxNode) -> Padding:
    pads = node.attributes.get("pads", [0] * 4)
    if not isinstance(pads, list) or len(pads) != 4:
        raise ValueError(f"pads of maps are 4 numbers, and there are {pads!r}")
    top, left, bottom, right = pads
    return (top, bottom), (left, right)


def _pair(node: OnnxNode, name: str, default: Pair) -> Pair:
    value = node.attributes.get(name, list(default))
    if not isinstance(value, list) or len(value) != 2:
        raise ValueError(f"{name} of maps are 2 numbers, and there are {value!r}")
    return int(value[0]), int(value[1])


def _check_groups(groups: object, filters: int) -> None:
    if not isinstance(groups, int) or groups < 1 or filters % groups:
        raise ValueError(f"{filters} filters cannot be divided into {groups} groups")


def _bias(t: Translator, node: OnnxNode, filters: int) -> Array | None:
    """Return the bias of a convolution, its own or one that is added behind it."""
    if node.has_input(2):
        bias = t.weight(node, 2, "the bias")
        if bias.shape != (filters,):
            raise ValueError(
                f"the bias has the shape {bias.shape}, and there are {filters} filters"
            )
        return bias
    return bias_behind(t, node, filters, (filters, 1, 1))


def bias_behind(t: Translator, node: OnnxNode, units: int, spread: tuple[int, ...]) -> Array | None:
    """Return the numbers that alone are added to a node's output, which then are part of it."""
    addition = t.only_reader(node.outputs[0])
    if addition is None or addition.kind != "Add" or len(addition.inputs) != 2:
        return None
    name = next((n for n in addition.inputs if n != node.outputs[0]), "")
    if name not in t.constants:
        return None
    values = t.constants.array(name)
    shape = values.shape[1:] if values.ndim == len(spread) + 1 and values.shape[0] == 1 else None
    if spread not in (values.shape, shape) or values.dtype.kind != "f":
        return None
    if not np.isfinite(values).all():
        return None
    t.absorbed.add(id(addition))
    return values.reshape(units)
