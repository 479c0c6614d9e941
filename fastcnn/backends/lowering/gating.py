"""Products of a map and a gate, which has a number for each channel or for each number."""

from __future__ import annotations

from fastcnn.backends.lowering.regions import Regions
from fastcnn.graph.program import Op
from fastcnn.kernels.call import IMAGE


def multiply(low: Regions, op: Op) -> None:
    x, gate = (low.region(buffer) for buffer in op.inputs)
    places, channels = {"x": x, "gate": gate, "y": low.region(op.outputs[0])}, op.inputs[1].size
    sizes = {"pixels": op.outputs[0].size // channels, "channels": channels}
    low.emit(low.kernels.gating.multiply, IMAGE, "y", places, **sizes)


def product_sums(low: Regions, op: Op) -> None:
    x, dy = (low.region(buffer) for buffer in op.inputs)
    places, channels = {"x": x, "dy": dy, "sums": low.region(op.outputs[0])}, op.outputs[0].size
    sizes = {"pixels": op.inputs[0].size // channels, "channels": channels}
    low.emit(low.kernels.gating.product_sums, IMAGE, "sums", places, **sizes)
