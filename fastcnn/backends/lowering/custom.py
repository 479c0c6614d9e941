"""What a user's own code computes: calls of functions on the host."""

from __future__ import annotations

from collections.abc import Callable
from math import prod

import numpy as np

from fastcnn.backends import nested_call
from fastcnn.backends.lowering.regions import Regions
from fastcnn.graph.program import Buffer, Op
from fastcnn.kernels.call import GLOBAL, HostArray, Region
from fastcnn.kernels.shared.compiled_loss import loss_of_image
from fastcnn.layers.compiled import CompiledLayer
from fastcnn.losses import CompiledLoss

Arrays = dict[str, np.ndarray]
ORDER = ("x", "y", "dy", "dx")
"""Of a compiled function's arguments; weights follow, and their gradients."""


def custom(low: Regions, op: Op) -> None:
    code, training = op.attributes["code"], op.attributes["training"]
    names = _names(op)

    def forward(arrays: Arrays) -> None:
        weights = [arrays[name] for name in names]
        code.compute(arrays["x"], weights, training, arrays["y"])

    arrays = {"x": _images(low, op.inputs[0]), **_weights(low, op, names)}
    arrays["y"] = _images(low, op.outputs[0], written=True)
    _emit(low, op, "forward", arrays, forward)


def custom_backward(low: Regions, op: Op) -> None:
    code = op.attributes["code"]
    names = _names(op)
    gradients = tuple(f"d{name}" for name in names)

    def backward(arrays: Arrays) -> None:
        weights = [arrays[name] for name in names]
        results = [arrays.get(name) for name in ("dx", *gradients)]
        code.differentiate(arrays["x"], arrays["y"], arrays["dy"], weights, *results)

    arrays = {
        name: _images(low, buffer) for name, buffer in zip(("x", "y", "dy"), op.inputs, strict=True)
    }
    arrays |= _weights(low, op, names)
    arrays["dx"] = _images(low, op.outputs[0], written=True)
    for name, (parameter, values) in zip(gradients, op.parameters.items(), strict=True):
        region = low.gradient(op, parameter)
        if region is not None:
            arrays[name] = HostArray(region, values.shape, written=True)
    _emit(low, op, "backward", arrays, backward)


def custom_loss(low: Regions, op: Op) -> None:
    code, classes = op.attributes["code"], op.attributes["classes"]

    def loss(arrays: Arrays) -> None:
        scores, gradient = arrays["scores"], arrays["gradient"]
        values, slopes = code.results(arrays["target"], scores)
        arrays["loss"][...] = values
        gradient[...] = slopes * arrays["weight"].reshape(-1, *(1,) * (scores.ndim - 1))
        if classes:
            arrays["rank"][...] = ranks(scores, arrays["target"])

    read, written = ("scores", "target", "weight"), ("gradient", "loss", "rank")
    arrays = {name: _images(low, buffer) for name, buffer in zip(read, op.inputs, strict=True)} | {
        name: _images(low, buffer, written=True)
        for name, buffer in zip(written, op.outputs, strict=True)
    }
    if not isinstance(code, CompiledLoss):
        low.kernels.host_function.host_function(low.calls, arrays, _alone(loss))
        return
    value, slopes = code.function("value"), code.function("gradient")
    compiled = loss_of_image(value, slopes, code.target == "sparse", classes)
    low.kernels.user_function.user_function(low.calls, code.label, compiled, arrays, _alone(loss))


def ranks(scores: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Return how many classes score higher than the true one, ties going to the lower class.

    scores: float32 [n, classes]; target: labels int32 [n], or rows like the scores.
    """
    labels = target if target.dtype == np.int32 else target.argmax(axis=-1)
    own = np.take_along_axis(scores, labels[:, None], axis=-1)
    before = np.arange(scores.shape[-1]) < labels[:, None]
    return ((scores > own) | ((scores == own) & before)).sum(axis=-1)


def _images(low: Regions, buffer: Buffer, written: bool = False) -> HostArray:
    return HostArray(low.region(buffer), buffer.shape, buffer.dtype, written)


def _weights(low: Regions, op: Op, names: tuple[str, ...]) -> dict[str, HostArray]:
    pairs = zip(names, op.parameters.values(), strict=True)
    return {name: HostArray(low.parameter(p), p.shape) for name, p in pairs}


def _emit(
    low: Regions,
    op: Op,
    method: str,
    arrays: dict[str, HostArray],
    function: Callable[[Arrays], None],
) -> None:
    """Emit the calls of a layer's method: of a compiled one by itself, else of `function`."""
    code, on_host = op.attributes["code"], _alone(function)
    if not isinstance(code, CompiledLayer):
        low.kernels.host_function.host_function(low.calls, arrays, on_host)
        return
    for name, parameter in zip(_names(op), op.parameters, strict=True):
        if method == "backward" and f"d{name}" not in arrays:  # frozen: nobody reads it
            shape = op.parameters[parameter].shape
            unread = Region(4 * prod(shape), GLOBAL, per_image=False)
            arrays[f"d{name}"] = HostArray(unread, shape, written=True)
    order = [name for name in ORDER if name in arrays]
    order += [*_names(op), *(f"d{name}" for name in _names(op) if method == "backward")]
    in_order = {name: arrays[name] for name in order}
    compiled = code.function(method)
    low.kernels.user_function.user_function(low.calls, code.label, compiled, in_order, on_host)


def _names(op: Op) -> tuple[str, ...]:
    return tuple(f"weight{number}" for number in range(len(op.parameters)))


def _alone(function: Callable[[Arrays], None]) -> Callable[[Arrays], None]:
    """Return a function during which no model can be called, also on a thread of the executor's."""

    def alone(arrays: Arrays) -> None:
        with nested_call.refused():
            function(arrays)

    return alone
