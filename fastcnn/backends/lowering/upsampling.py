"""Enlarged images."""

from __future__ import annotations

from fastcnn.backends.lowering.regions import Regions
from fastcnn.graph.program import Op
from fastcnn.kernels.call import IMAGE


def _sizes(op: Op, shape: tuple[int, ...]) -> dict[str, int]:
    height, width, channels = shape
    scale_h, scale_w = op.attributes["size"]
    linear = op.attributes["interpolation"] == "bilinear"
    sizes = {"height": height, "width": width, "channels": channels}
    return {**sizes, "scale_h": scale_h, "scale_w": scale_w, "linear": linear}


def upsample(low: Regions, op: Op) -> None:
    places = {"x": low.region(op.inputs[0]), "y": low.region(op.outputs[0])}
    sizes = _sizes(op, op.inputs[0].shape)
    low.emit(low.kernels.upsampling.upsample, IMAGE, "y", places, **sizes)


def upsample_dx(low: Regions, op: Op) -> None:
    places = {"dy": low.region(op.inputs[0]), "dx": low.region(op.outputs[0])}
    sizes = _sizes(op, op.outputs[0].shape)
    low.emit(low.kernels.upsampling.upsample_dx, IMAGE, "dx", places, **sizes)
