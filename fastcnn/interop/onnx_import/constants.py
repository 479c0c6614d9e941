"""What a graph computes of constants and of shapes alone: exporters leave such nodes in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fastcnn.interop.onnx_import.model_file import Array, OnnxNode

BATCH = -1
"""Stands for the number of images in a shape."""
MOST_SHAPE = 64
"""Numbers of what is a shape, places or axes."""


class Constants:
    """Arrays by their names.

    Args:
        arrays: Those of the file.
    """

    def __init__(self, arrays: dict[str, Array]) -> None:
        self._arrays = dict(arrays)
        self._open: set[str] = set()  # those in which BATCH stands for the number of images

    def __contains__(self, name: str) -> bool:
        return name in self._arrays

    def array(self, name: str) -> Array:
        """Return an array."""
        return self._arrays[name]

    def add_shape(self, node: OnnxNode, shape: tuple[int, ...]) -> None:
        """Add the shape of a tensor, whose images have `shape`."""
        whole = [BATCH, *shape]
        start, end = node.attributes.get("start", 0), node.attributes.get("end", len(whole))
        self._arrays[node.outputs[0]] = np.array(whole[start:end], np.int64)
        self._open.add(node.outputs[0])

    def fold(self, node: OnnxNode) -> None:
        """Compute a node that reads constants alone; ValueError where it is not known how."""
        if node.kind not in FOLDED:
            raise ValueError("it computes something of constants that is not read")
        inputs = [self._arrays[name] if name else None for name in node.inputs]
        open_inputs = [name for name in node.inputs if name in self._open]
        if open_inputs and node.kind in ARITHMETIC:
            raise ValueError("it computes with the number of images in a batch")
        try:
            result = np.asarray(FOLDED[node.kind](inputs, node.attributes))
        except (ArithmeticError, AttributeError, IndexError, KeyError, MemoryError) as error:
            raise ValueError(f"its constants do not fit: {error}") from None
        self._arrays[node.outputs[0]] = result
        if open_inputs and result.size <= MOST_SHAPE and (result == BATCH).any():
            self._open.add(node.outputs[0])


def _constant(inputs: list[Any], attributes: dict[str, Any]) -> object:
    for name in ("value", "value_float", "value_int", "value_floats", "value_ints"):
        if name in attributes:
            value = attributes[name]
            if name == "value":
                return value
            return np.array(value, np.float32 if "float" in name else np.int64)
    raise ValueError("it has no numbers")


def _cast(inputs: list[Any], attributes: dict[str, Any]) -> object:
    (x,), to = inputs, attributes["to"]
    types = {1: np.float32, 6: np.int32, 7: np.int64, 9: np.bool_, 10: np.float16, 11: np.float64}
    return x.astype(types[to])


def _gather(inputs: list[Any], attributes: dict[str, Any]) -> object:
    x, places = inputs
    if places.size > MOST_SHAPE:
        raise ValueError("it gathers more than a shape")
    return np.take(x, places, axis=attributes.get("axis", 0))


def _slice(inputs: list[Any], attributes: dict[str, Any]) -> object:
    x, *others = inputs
    if "starts" in attributes:
        starts, ends = attributes["starts"], attributes["ends"]
        axes, steps = attributes.get("axes", range(len(starts))), [1] * len(starts)
    else:
        starts, ends = others[0].tolist(), others[1].tolist()
        axes = others[2].tolist() if len(others) > 2 and others[2] is not None else range(x.ndim)
        steps = others[3].tolist() if len(others) > 3 else [1] * len(starts)
    window = [slice(None)] * x.ndim
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=False):
        window[axis] = slice(start, end, step)
    return x[tuple(window)]


def _axes(inputs: list[Any], attributes: dict[str, Any]) -> tuple[int, ...] | None:
    if "axes" in attributes:
        return tuple(attributes["axes"])
    return tuple(inputs[1].tolist()) if len(inputs) > 1 and inputs[1] is not None else None


def _unsqueeze(inputs: list[Any], attributes: dict[str, Any]) -> object:
    return np.expand_dims(inputs[0], _axes(inputs, attributes) or ())


def _reshape(inputs: list[Any], attributes: dict[str, Any]) -> object:
    shape = attributes["shape"] if "shape" in attributes else inputs[1].tolist()
    x = inputs[0]
    return x.reshape([x.shape[i] if size == 0 else size for i, size in enumerate(shape)])


def _broadcast(function: Callable[[Array, Array], Array]) -> Callable[..., Array]:
    def compute(inputs: list[Any], attributes: dict[str, Any]) -> Array:
        a, b = inputs
        shape = np.broadcast_shapes(a.shape, b.shape)
        if np.prod(shape, dtype=float) > a.size + b.size:
            raise ValueError("its result is larger than what it reads")
        with np.errstate(all="ignore"):
            return function(a, b)

    return compute


def _divided(a: Array, b: Array) -> Array:
    result: Array = a // b if a.dtype.kind in "iu" else a / b
    return result


ARITHMETIC: dict[str, Callable[..., Any]] = {
    "Add": _broadcast(np.add),
    "Sub": _broadcast(np.subtract),
    "Mul": _broadcast(np.multiply),
    "Div": _broadcast(_divided),
    "ReduceProd": lambda inputs, attributes: np.prod(inputs[0], keepdims=True),
    "Sqrt": lambda inputs, attributes: np.sqrt(np.abs(inputs[0])),
    "Neg": lambda inputs, attributes: -inputs[0],
}
FOLDED: dict[str, Callable[..., Any]] = ARITHMETIC | {
    "Constant": _constant,
    "Identity": lambda inputs, attributes: inputs[0],
    "Cast": _cast,
    "Concat": lambda inputs, attributes: np.concatenate(inputs, attributes["axis"]),
    "Gather": _gather,
    "Slice": _slice,
    "Shape": lambda inputs, attributes: np.array(inputs[0].shape, np.int64),
    "Squeeze": lambda inputs, attributes: np.squeeze(inputs[0], _axes(inputs, attributes)),
    "Unsqueeze": _unsqueeze,
    "Reshape": _reshape,
    "Transpose": lambda inputs, attributes: np.transpose(inputs[0], attributes.get("perm")),
}
