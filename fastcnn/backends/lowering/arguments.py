"""What several kinds of ops hand to their kernels."""

from __future__ import annotations

from math import prod

from fastcnn.backends.lowering.connections import kernel_of
from fastcnn.backends.lowering.regions import Regions
from fastcnn.graph.program import Op
from fastcnn.kernels.call import BATCH, GLOBAL, LayerOperands, Region


def has_relu(op: Op) -> bool:
    return op.attributes.get("activation") == "relu"


def rows(op: Op) -> dict[str, int]:
    shape = op.outputs[0].shape
    return {"rows": prod(shape[:-1]), "columns": shape[-1]}


def operands_of(low: Regions, op: Op) -> LayerOperands:
    """Return what a convolution or a matrix product reads and writes."""
    bias, scale = _folded(low, op)
    return LayerOperands(
        x=low.region(op.inputs[0]),
        kernel=kernel_of(low, op),
        y=low.region(op.outputs[0]),
        bias=bias,
        scale=scale,
        relu=has_relu(op),
    )


def _folded(low: Regions, op: Op) -> tuple[Region | None, Region | None]:
    """Return an op's bias and the scale of its kernel, with batch normalization folded in."""
    bias = low.weights(op, "bias")
    if len(op.inputs) == 1:
        return bias, None
    scale, shift = low.region(op.inputs[1]), low.region(op.inputs[2])
    size = op.inputs[1].size
    region = Region(4 * size, GLOBAL, label="folded bias")
    places = {"bias": bias, "scale": scale, "shift": shift, "y": region}
    low.emit(low.kernels.layout.fold_bias, BATCH, "y", places, size=size)
    return region, scale
