"""Activations as ONNX's nodes."""

from __future__ import annotations

import math
from collections.abc import Callable

from fastcnn.graph.program import Op
from fastcnn.interop.onnx_export.graph_builder import GraphBuilder
from fastcnn.interop.onnx_package import SELU

Emitter = Callable[[GraphBuilder, str, float], str]


def activation(builder: GraphBuilder, op: Op) -> None:
    name = op.attributes["function"]
    if name == "clipped_relu":
        builder.bind(op.outputs[0], _clipped(builder, op))
        return
    if name not in FUNCTIONS:
        raise ValueError(
            f"Layer '{op.layer}': the activation '{name}' has no form in ONNX that fastcnn writes."
        )
    y = FUNCTIONS[name](builder, builder.tensor(op.inputs[0]), op.attributes["constant"])
    builder.bind(op.outputs[0], y)


def softmax(builder: GraphBuilder, op: Op) -> None:
    (x,) = op.inputs
    axis = 1 if len(x.shape) == 3 else -1
    builder.bind(op.outputs[0], builder.add("Softmax", builder.tensor(x), axis=axis))


def _clipped(builder: GraphBuilder, op: Op) -> str:
    """x above a threshold, up to a limit, and a slope times what is below the threshold."""
    slope, limit, threshold = (op.attributes[name] for name in ("slope", "limit", "threshold"))
    x = builder.tensor(op.inputs[0])
    if slope == threshold == 0:
        return _clip(0.0, limit)(builder, x, 0.0)
    above = builder.add("ThresholdedRelu", x, alpha=threshold)
    if limit < math.inf:
        above = builder.add("Clip", above, "", builder.constant("limit", limit))
    if slope == 0:
        return above
    distance = builder.add("Sub", x, builder.constant("threshold", threshold))
    below = builder.add("Clip", distance, "", builder.constant("zero", 0.0))
    return builder.add("Add", above, builder.add("Mul", below, builder.constant("slope", slope)))


def _clip(least: float, most: float) -> Emitter:
    def emit(builder: GraphBuilder, x: str, constant: float) -> str:
        low, high = builder.constant("least", least), builder.constant("most", most)
        return builder.add("Clip", x, low, high)

    return emit


def _gated(gate: str) -> Emitter:
    """Return what emits x times another function of x."""

    def emit(builder: GraphBuilder, x: str, constant: float) -> str:
        return builder.add("Mul", x, builder.add(gate, x))

    return emit


def _plain(kind: str, opset: int = 13, **attributes: float | str) -> Emitter:
    def emit(builder: GraphBuilder, x: str, constant: float) -> str:
        return builder.add(kind, x, opset=opset, **attributes)

    return emit


def _with_alpha(kind: str) -> Emitter:
    def emit(builder: GraphBuilder, x: str, constant: float) -> str:
        return builder.add(kind, x, alpha=constant)

    return emit


FUNCTIONS: dict[str, Emitter] = {
    "relu": _plain("Relu"),
    "leaky_relu": _with_alpha("LeakyRelu"),
    "relu6": _clip(0.0, 6.0),
    "elu": _with_alpha("Elu"),
    "selu": _plain("Selu", alpha=SELU["alpha"], gamma=SELU["gamma"]),
    "gelu": _plain("Gelu", opset=20, approximate="none"),
    "gelu_tanh": _plain("Gelu", opset=20, approximate="tanh"),
    "sigmoid": _plain("Sigmoid"),
    "hard_sigmoid": _plain("HardSigmoid", alpha=1 / 6, beta=0.5),
    "tanh": _plain("Tanh"),
    "softplus": _plain("Softplus"),
    "swish": _gated("Sigmoid"),
    "hard_swish": _plain("HardSwish", opset=14),
    "mish": _plain("Mish", opset=18),
    "thresholded_relu": _with_alpha("ThresholdedRelu"),
}
"""By fastcnn's names, what appends the nodes of a function and returns the last one's output."""
