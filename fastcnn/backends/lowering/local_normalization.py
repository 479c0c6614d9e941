"""Normalization by neighbours, and its gradient."""

from __future__ import annotations

from math import prod

from fastcnn.backends.lowering.regions import Regions
from fastcnn.graph.program import Op
from fastcnn.kernels.call import IMAGE, Region


def _window(op: Op) -> dict[str, int | float]:
    """Return what the kernels ask of the window across the channels."""
    *pixels, channels = op.outputs[0].shape
    size = op.attributes["size"]
    return {
        "pixels": prod(pixels),
        "channels": channels,
        "before": min(size // 2, channels - 1),
        "after": min((size - 1) // 2, channels - 1),
        "share": op.attributes["alpha"] / size,
        "beta": float(op.attributes["beta"]),
        "k": float(op.attributes["k"]),
    }


def response_norm(low: Regions, op: Op) -> None:
    places = {"x": low.region(op.inputs[0]), "y": low.region(op.outputs[0])}
    low.emit(low.kernels.local_normalization.response_norm, IMAGE, "y", places, **_window(op))


def response_norm_dx(low: Regions, op: Op) -> None:
    kernels, sizes = low.kernels.local_normalization, _window(op)
    x, dy = (low.region(buffer) for buffer in op.inputs)
    terms = Region(4 * op.outputs[0].size, label="response terms")
    places = {"x": x, "dy": dy, "terms": terms}
    low.emit(kernels.response_norm_terms, IMAGE, "terms", places, **sizes)
    places["dx"] = low.region(op.outputs[0])
    low.emit(kernels.response_norm_dx, IMAGE, "dx", places, **sizes)
