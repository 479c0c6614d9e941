"""Resampling under an affine map, and its gradients."""

from __future__ import annotations

from fastcnn.backends.lowering.regions import Regions
from fastcnn.graph.program import Buffer, Op
from fastcnn.kernels.call import IMAGE


def affine_sample(low: Regions, op: Op) -> None:
    x, theta = (low.region(buffer) for buffer in op.inputs)
    places = {"x": x, "theta": theta, "y": low.region(op.outputs[0])}
    sizes = _sizes(op.inputs[0], op.outputs[0])
    low.emit(low.kernels.affine_sampling.affine_sample, IMAGE, "y", places, **sizes)


def affine_sample_dx(low: Regions, op: Op) -> None:
    theta, dy = (low.region(buffer) for buffer in op.inputs)
    places = {"theta": theta, "dy": dy, "dx": low.region(op.outputs[0])}
    sizes = _sizes(op.outputs[0], op.inputs[1])
    low.emit(low.kernels.affine_sampling.affine_sample_dx, IMAGE, "dx", places, **sizes)


def affine_sample_dtheta(low: Regions, op: Op) -> None:
    x, theta, dy = (low.region(buffer) for buffer in op.inputs)
    places = {"x": x, "theta": theta, "dy": dy, "dtheta": low.region(op.outputs[0])}
    sizes = _sizes(op.inputs[0], op.inputs[2])
    low.emit(low.kernels.affine_sampling.affine_sample_dtheta, IMAGE, "dtheta", places, **sizes)


def _sizes(image: Buffer, result: Buffer) -> dict[str, int]:
    height, width, channels = image.shape
    sizes = {"height": height, "width": width, "channels": channels}
    return {**sizes, "out_height": result.shape[0], "out_width": result.shape[1]}
