"""Ops that move numbers and leave them as they are."""

from __future__ import annotations

from math import prod

from fastcnn.backends.lowering.regions import Regions
from fastcnn.graph.program import Op
from fastcnn.kernels.call import IMAGE, Address


def reshape(low: Regions, op: Op) -> None:
    low.region(op.outputs[0])


def copy(low: Regions, op: Op) -> None:
    places = {"x": low.region(op.inputs[0]), "y": low.region(op.outputs[0])}
    size = op.outputs[0].size
    low.emit(low.kernels.layout.copy_rows, IMAGE, "y", places, rows=1, columns=size)


def pad(low: Regions, op: Op) -> None:
    (top, bottom), (left, right) = op.attributes["padding"]
    height, width, channels = op.inputs[0].shape
    places = {"x": low.region(op.inputs[0]), "y": low.region(op.outputs[0])}
    sides = {"left": left * channels, "right": right * channels}
    size = {"height": height, "row": width * channels, "top": top, "bottom": bottom}
    low.emit(low.kernels.layout.pad_image, IMAGE, "y", places, **size, **sides)


def pad_dx(low: Regions, op: Op) -> None:
    (top, bottom), (left, right) = op.attributes["padding"]
    height, width, channels = op.outputs[0].shape
    places = {"x": low.region(op.inputs[0]), "y": low.region(op.outputs[0])}
    sides = {"left": left * channels, "right": right * channels}
    size = {"height": height, "row": width * channels, "top": top, "bottom": bottom}
    low.emit(low.kernels.layout.crop_image, IMAGE, "y", places, **size, **sides)


def concat(low: Regions, op: Op) -> None:
    y, total = low.region(op.outputs[0]), op.outputs[0].shape[-1]
    first = 0
    for buffer in op.inputs:
        columns = buffer.shape[-1]
        places = {"x": Address(low.region(buffer)), "y": Address(y, 4 * first)}
        sizes = {"rows": prod(buffer.shape[:-1]), "columns": columns}
        low.emit(
            low.kernels.layout.copy_rows, IMAGE, "y", places, **sizes, x_row=columns, y_row=total
        )
        first += columns


def concat_dx(low: Regions, op: Op) -> None:
    shape, total = op.outputs[0].shape, op.inputs[0].shape[-1]
    source = Address(low.region(op.inputs[0]), 4 * op.attributes["first"])
    places = {"x": source, "y": Address(low.region(op.outputs[0]))}
    sizes = {"rows": prod(shape[:-1]), "columns": shape[-1]}
    low.emit(
        low.kernels.layout.copy_rows, IMAGE, "y", places, **sizes, x_row=total, y_row=shape[-1]
    )
