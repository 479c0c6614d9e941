"""Ops that move numbers and leave them as they are."""

from __future__ import annotations

from math import prod

from fastcnn.backends.lowering.regions import Regions
from fastcnn.graph.program import Buffer, Op
from fastcnn.kernels.call import IMAGE, Address, DeviceKernel


def reshape(low: Regions, op: Op) -> None:
    low.region(op.outputs[0])


def copy(low: Regions, op: Op) -> None:
    places = {"x": low.region(op.inputs[0]), "y": low.region(op.outputs[0])}
    size = op.outputs[0].size
    low.emit(low.kernels.layout.copy_rows, IMAGE, "y", places, rows=1, columns=size)


def permute(low: Regions, op: Op) -> None:
    shape, order = op.inputs[0].shape, op.attributes["order"]
    strides = [prod(shape[axis + 1 :]) for axis in range(len(shape))]
    missing = 4 - len(shape)
    sizes = [1] * missing + [shape[axis] for axis in order]
    steps = [0] * missing + [strides[axis] for axis in order]
    places = {"x": low.region(op.inputs[0]), "y": low.region(op.outputs[0])}
    numbers = {f"n_{axis}": size for axis, size in enumerate(sizes)}
    numbers |= {f"s_{axis}": step for axis, step in enumerate(steps)}
    low.emit(low.kernels.layout.permute, IMAGE, "y", places, **numbers)


def pad(low: Regions, op: Op) -> None:
    if _pads_zeros(op):
        _emit_framed(low, op, low.kernels.layout.pad_image, op.inputs[0])
    else:
        _emit_extended(low, op, low.kernels.layout.extend_image, ("x", "y"), op.inputs[0])


def pad_dx(low: Regions, op: Op) -> None:
    if _pads_zeros(op):
        _emit_framed(low, op, low.kernels.layout.crop_image, op.outputs[0])
    else:
        _emit_extended(low, op, low.kernels.layout.extend_image_dx, ("dy", "dx"), op.outputs[0])


def _pads_zeros(op: Op) -> bool:
    return bool(op.attributes.get("mode", "zeros") == "zeros")


def _emit_extended(
    low: Regions, op: Op, kernel: DeviceKernel, names: tuple[str, str], image: Buffer
) -> None:
    """Emit a call whose border is made of the image's own pixels, or its gradient."""
    read, written = names
    places = {read: low.region(op.inputs[0]), written: low.region(op.outputs[0])}
    (top, bottom), (left, right) = op.attributes["padding"]
    height, width, channels = image.shape
    border = {"top": top, "bottom": bottom, "left": left, "right": right}
    size = {"height": height, "width": width, "channels": channels}
    reflected = op.attributes["mode"] == "reflect"
    low.emit(kernel, IMAGE, written, places, **size, **border, reflected=reflected)


def _emit_framed(low: Regions, op: Op, kernel: DeviceKernel, image: Buffer) -> None:
    """Emit a call that adds or takes away the padding around an image."""
    (top, bottom), (left, right) = op.attributes["padding"]
    height, width, channels = image.shape
    places = {"x": low.region(op.inputs[0]), "y": low.region(op.outputs[0])}
    sides = {"left": left * channels, "right": right * channels}
    size = {"height": height, "row": width * channels, "top": top, "bottom": bottom}
    low.emit(kernel, IMAGE, "y", places, **size, **sides)


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
