"""Activations, sums and products of ONNX as layers."""

from __future__ import annotations

from collections.abc import Callable
from math import inf, isclose
from typing import Any

import numpy as np

from fastcnn.interop.onnx_import.model_file import OnnxNode, finite
from fastcnn.interop.onnx_import.translator import Handler, Tensor, Translator
from fastcnn.interop.onnx_package import SELU
from fastcnn.layers import (
    ELU,
    Activation,
    Flatten,
    Layer,
    LeakyReLU,
    PReLU,
    ReLU,
    Rescaling,
    Softmax,
    ThresholdedReLU,
)
from fastcnn.layers import Reshape as ReshapeLayer

GATED = {"sigmoid": "swish", "hard_sigmoid": "hard_swish"}
"""What x times a function of x is called."""


def identity(t: Translator, node: OnnxNode) -> Tensor:
    return t.tensor(node)


def dropout(t: Translator, node: OnnxNode) -> Tensor:
    if node.has_input(2) and bool(t.constant(node, 2, "training_mode").any()):
        raise ValueError("it is for training")
    return t.tensor(node)


def cast(t: Translator, node: OnnxNode) -> Tensor:
    if node.attributes.get("to") not in (1, 10, 11, 16):
        raise ValueError("it makes other numbers than floating-point ones of the images")
    return t.tensor(node)


def _each(make: Callable[[Translator, OnnxNode], list[Layer]]) -> Handler:
    """Return what appends layers that go number by number, in whichever order."""

    def handle(t: Translator, node: OnnxNode) -> Tensor:
        return t.add(t.tensor(node), *make(t, node), keep_source=True)

    return handle


def _named(name: str) -> Handler:
    return _each(lambda t, node: [Activation(name, **t.options())])


def _leaky_relu(t: Translator, node: OnnxNode) -> list[Layer]:
    return [LeakyReLU(node.attributes.get("alpha", 0.01), **t.options())]


def _elu(t: Translator, node: OnnxNode) -> list[Layer]:
    return [ELU(node.attributes.get("alpha", 1.0), **t.options())]


def _celu(t: Translator, node: OnnxNode) -> list[Layer]:
    alpha = node.attributes.get("alpha", 1.0)
    if alpha == 1:
        return [ELU(1.0, **t.options())]
    return [Rescaling(1 / alpha), ELU(1.0, **t.options()), Rescaling(alpha)]


def _selu(t: Translator, node: OnnxNode) -> list[Layer]:
    constants = {name: node.attributes.get(name, usual) for name, usual in SELU.items()}
    if all(isclose(constants[name], SELU[name], rel_tol=1e-6) for name in SELU):
        return [Activation("selu", **t.options())]
    return [ELU(constants["alpha"], **t.options()), Rescaling(constants["gamma"])]


def _hard_sigmoid(t: Translator, node: OnnxNode) -> list[Layer]:
    alpha, beta = node.attributes.get("alpha", 0.2), node.attributes.get("beta", 0.5)
    if isclose(alpha, 1 / 6, rel_tol=1e-6) and beta == 0.5:
        return [Activation("hard_sigmoid", **t.options())]
    return [Rescaling(6 * alpha, 6 * beta), Activation("relu6", **t.options()), Rescaling(1 / 6)]


def _thresholded_relu(t: Translator, node: OnnxNode) -> list[Layer]:
    return [ThresholdedReLU(node.attributes.get("alpha", 1.0), **t.options())]


def _gelu(t: Translator, node: OnnxNode) -> list[Layer]:
    tanh = node.attributes.get("approximate", "none") == "tanh"
    return [Activation("gelu_tanh" if tanh else "gelu", **t.options())]


def _swish(t: Translator, node: OnnxNode) -> list[Layer]:
    if node.attributes.get("alpha", 1.0) != 1:
        raise ValueError("fastcnn's swish has an alpha of 1")
    return [Activation("swish", **t.options())]


def _negative(t: Translator, node: OnnxNode) -> list[Layer]:
    return [Rescaling(-1.0, **t.options())]


def _clip(t: Translator, node: OnnxNode) -> list[Layer]:
    least, most = (
        float(t.constant(node, place, name).item())
        if node.has_input(place)
        else float(node.attributes.get(name, default))
        for place, (name, default) in enumerate((("min", -inf), ("max", inf)), start=1)
    )
    extremes = np.finfo(np.float32)
    least = -inf if least <= extremes.min else least
    most = inf if most >= extremes.max else most
    if least > most:
        raise ValueError(f"it clips to numbers from {least:g} to {most:g}")
    if least == 0:
        return [ReLU(None if most == inf else most, **t.options())]
    if least == -inf and most == inf:
        return []
    if most == inf:
        return [Rescaling(1.0, -least), ReLU(**t.options()), Rescaling(1.0, least)]
    if least == -inf:
        return [Rescaling(-1.0, most), ReLU(**t.options()), Rescaling(-1.0, most)]
    if least == most:
        return [Rescaling(0.0, least, **t.options())]
    between = ReLU(most - least, **t.options())
    return [Rescaling(1.0, -least), between, Rescaling(1.0, least)]


def absolute(t: Translator, node: OnnxNode) -> Tensor:
    """|x|, a rectifier with a slope of -1 below zero."""
    x = t.tensor(node)
    layer = PReLU(shared_axes=tuple(range(1, len(x.shape) + 1)), trainable=False, **t.options())
    return t.add(x, t.give(layer, alpha=np.full((1,) * len(x.shape), -1.0)), keep_source=True)


def prelu(t: Translator, node: OnnxNode) -> Tensor:
    x, slope = t.tensor(node), t.weight(node, 1, "the slope")
    if slope.ndim > len(x.shape) and slope.shape[: -len(x.shape)] == (1,):
        slope = slope.reshape(slope.shape[1:])
    try:
        slopes = np.broadcast_to(slope, x.onnx_shape)
    except ValueError:
        raise ValueError(
            f"the slope has the shape {slope.shape} for images of {x.onnx_shape}"
        ) from None
    alpha = slopes.transpose(np.argsort(x.axes)) if len(x.shape) > 1 else t.in_order(slopes, x)
    shared = len(x.shape) - 1
    each = alpha.reshape(-1, alpha.shape[-1])
    if shared and (each == each[0]).all():
        layer = PReLU(shared_axes=tuple(range(1, shared + 1)), **t.options())
        alpha = each[0].reshape((1,) * shared + each.shape[1:])
    else:
        layer = PReLU(**t.options())
    return t.add(x, t.give(layer, alpha=alpha), keep_source=True)


def softmax(t: Translator, node: OnnxNode) -> Tensor:
    x = t.tensor(node)
    rank = len(x.shape)
    axis = node.attributes.get("axis", -1 if t.opset >= 13 else 1)
    axis = axis + rank + 1 if axis < 0 else axis
    if not 1 <= axis <= rank:
        raise ValueError(f"it goes along axis {axis}, which is that of the images")
    if t.opset >= 13 or rank == axis or sum(size > 1 for size in x.shape) <= 1 == axis:
        return t.add(t.last(x, axis - 1), Softmax(**t.options()), keep_source=True)
    if axis != 1:
        raise ValueError(f"it goes along all axes from {axis} on at once")
    row = t.add(x, Flatten(), Softmax(**t.options()), ReshapeLayer(x.shape))
    return Tensor(row.node, x.shape, x.axes)


def binary(t: Translator, node: OnnxNode) -> Tensor:
    """A sum, difference, product or quotient of two, of which one may be constant."""
    if len(node.inputs) != 2:
        raise ValueError(f"it reads {len(node.inputs)} inputs")
    if node.attributes.get("broadcast") or "axis" in node.attributes:
        raise ValueError("it spreads its second input as versions before 7 did")
    fixed = [name in t.constants for name in node.inputs]
    if any(fixed):
        return _with_constant(t, node, fixed.index(True))
    a, b = t.tensor(node, 0), t.tensor(node, 1)
    if node.kind == "Div":
        raise ValueError("it divides what is computed from the images by what is too")
    if node.kind == "Mul":
        return _product(t, a, b)
    if node.kind == "Sub":
        b = t.add(b, Rescaling(-1.0), keep_source=True)
    return total(t, [a, b])


def _with_constant(t: Translator, node: OnnxNode, place: int) -> Tensor:
    x = t.tensor(node, 1 - place)
    constant = finite(t.constants.array(node.inputs[place]), "the constant")
    values = t.channels(constant, x, "the constant").astype(np.float64)
    ones, zeros = np.ones_like(values), np.zeros_like(values)
    if node.kind == "Div":
        if place == 0 or not values.all():
            raise ValueError("it divides by what is computed from the images, or by zero")
        scale, offset = 1 / values, zeros
    elif node.kind == "Mul":
        scale, offset = values, zeros
    else:
        scale = -ones if node.kind == "Sub" and place == 0 else ones
        offset = -values if node.kind == "Sub" and place == 1 else values
    if (scale == 1).all() and not offset.any():
        return x
    return t.add(x, Rescaling(_brief(scale), _brief(offset), **t.options()), keep_source=True)


def _brief(values: np.ndarray) -> Any:
    same = values.size > 0 and (values == values.flat[0]).all()
    return float(values.flat[0]) if same else values


def total(t: Translator, inputs: list[Tensor]) -> Tensor:
    """Return the sum of tensors of one shape."""
    inputs = aligned(t, inputs)
    if any(x.onnx_shape != inputs[0].onnx_shape for x in inputs):
        shapes = ", ".join(str(x.onnx_shape) for x in inputs)
        raise ValueError(f"fastcnn adds what has one shape, and these are {shapes}")
    counts: dict[str, int] = {}
    for x in inputs:
        counts[x.node] = counts.get(x.node, 0) + 1
    by_node = {x.node: x for x in inputs}
    distinct = [
        x if counts[x.node] == 1 else t.add(x, Rescaling(float(counts[x.node])), keep_source=True)
        for x in by_node.values()
    ]
    return t.join("add", distinct) if len(distinct) > 1 else distinct[0]


def sum_of(t: Translator, node: OnnxNode) -> Tensor:
    result = total(t, [t.tensor(node, place) for place in range(len(node.inputs))])
    if node.kind == "Mean" and len(node.inputs) > 1:
        result = t.add(result, Rescaling(1 / len(node.inputs)), keep_source=True)
    return result


def aligned(t: Translator, inputs: list[Tensor]) -> list[Tensor]:
    """Return tensors whose axes lie alike, those of the first where they can."""
    first = inputs[0]
    if all((x.axes, x.source) == (first.axes, first.source) for x in inputs):
        return inputs
    if len({len(x.shape) for x in inputs}) > 1:
        raise ValueError("it joins what has not as many axes")
    if len(first.shape) == 1:
        return [t.plain(x) for x in inputs]
    return [t.with_axes(x, first.axes) for x in inputs]


def _product(t: Translator, a: Tensor, b: Tensor) -> Tensor:
    for x, gate in ((a, b), (b, a)):
        name = _gate_name(t, x, gate)
        if name:
            return t.add(x, Activation(name, **t.options()), keep_source=True)
    if a.node == b.node:
        raise ValueError("fastcnn has no layer that squares")
    if a.onnx_shape != b.onnx_shape and len(a.shape) == len(b.shape) == 3:
        a, b = t.image(a), t.image(b)
        x = a if a.shape[0] * a.shape[1] > 1 else b
    else:
        a, b = aligned(t, [a, b])
        x = a
    joined = t.join("multiply", [a, b])
    return Tensor(joined.node, x.shape, x.axes, x.source)


def _gate_name(t: Translator, x: Tensor, gate: Tensor) -> str | None:
    """Return what x times a function of x is called, None where it has no name."""
    names, node = [], t.nodes.get(gate.node)
    while node is not None and gate.node != x.node:
        if len(node.layers) != 1 or not isinstance(node.layers[0], Activation):
            return None
        names.append(node.layers[0].activation)
        if node.inputs == (x.node,):
            return (
                "mish"
                if names == ["tanh", "softplus"]
                else GATED.get(names[0] if len(names) == 1 else "")
            )
        node = t.nodes.get(node.inputs[0])
    return None


ACTIVATIONS: dict[str, Handler] = {
    "Relu": _each(lambda t, node: [ReLU(**t.options())]),
    "LeakyRelu": _each(_leaky_relu),
    "Elu": _each(_elu),
    "Celu": _each(_celu),
    "Selu": _each(_selu),
    "HardSigmoid": _each(_hard_sigmoid),
    "ThresholdedRelu": _each(_thresholded_relu),
    "Gelu": _each(_gelu),
    "Swish": _each(_swish),
    "Neg": _each(_negative),
    "Clip": _each(_clip),
    "Sigmoid": _named("sigmoid"),
    "Tanh": _named("tanh"),
    "Softplus": _named("softplus"),
    "HardSwish": _named("hard_swish"),
    "Mish": _named("mish"),
}
