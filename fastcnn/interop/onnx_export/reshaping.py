"""What moves numbers, without arithmetic on them or between neighbours, as ONNX's nodes."""

from __future__ import annotations

from fastcnn.graph.problem import NO_PADDING
from fastcnn.graph.program import Buffer, Op
from fastcnn.interop.onnx_export import windows
from fastcnn.interop.onnx_export.graph_builder import Attributes, GraphBuilder

MODES = {"zeros": "constant", "edge": "edge", "reflect": "reflect"}
ONNX_AXIS = {0: 2, 1: 3, 2: 1}
"""Of an image: the axis in [N, C, H, W] of each in (H, W, C)."""


def reshape(builder: GraphBuilder, op: Op) -> None:
    x, y = op.inputs[0], op.outputs[0]
    if x.shape == y.shape:
        builder.alias(y, x)
        return
    more_channels = _more_channels(builder, op)
    if more_channels is not None:
        last, filters = more_channels
        builder.bind(last, _with_more_channels(builder, x, filters))
        return
    flat_alike = len(x.shape) == 3 and _is_row(x)
    source = builder.either(x) if flat_alike else builder.channels_last(x)
    if len(y.shape) == 3 and _is_row(y):
        height, width, channels = y.shape
        builder.bind(y, builder.reshaped(source, (channels, height, width)))
    else:
        builder.bind_channels_last(y, builder.reshaped(source, y.shape))


def _is_row(image: Buffer) -> bool:
    """Whether an image's numbers have the same order with the channels first and last."""
    height, width, channels = image.shape
    return channels == 1 or height * width == 1


def _more_channels(builder: GraphBuilder, op: Op) -> tuple[Buffer, int] | None:
    """Return the end of a reshape, a pad and a reshape that append channels of zeros, and how many
    there are then; None where these are other ops."""
    x, rows = op.inputs[0], op.outputs[0]
    pad = builder.only_reader(rows)
    if pad is None or pad.kind != "pad" or len(x.shape) != 3:
        return None
    back = builder.only_reader(pad.outputs[0])
    if back is None or back.kind != "reshape" or pad.attributes.get("mode", "zeros") != "zeros":
        return None
    height, width, channels = x.shape
    _, (before, after) = pad.attributes["padding"]
    end = back.outputs[0]
    one_a_row = rows.shape == (height * width, channels, 1) and before == 0
    if not one_a_row or end.shape != (height, width, channels + after):
        return None
    builder.done.update((pad, back))
    return end, channels + after


def _with_more_channels(builder: GraphBuilder, x: Buffer, filters: int) -> str:
    pads = builder.integers("pads", [0, 0, 0, 0, 0, filters - x.shape[2], 0, 0])
    return builder.add("Pad", builder.tensor(x), pads, mode="constant")


def permute(builder: GraphBuilder, op: Op) -> None:
    x, y, order = op.inputs[0], op.outputs[0], op.attributes["order"]
    if len(order) == 3:
        perm = [0] * 4
        for axis, source in enumerate(order):
            perm[ONNX_AXIS[axis]] = ONNX_AXIS[source]
    else:
        perm = [0, *(axis + 1 for axis in order)]
    builder.bind(y, builder.transposed(builder.tensor(x), tuple(perm)))


def concat(builder: GraphBuilder, op: Op) -> None:
    axis = 1 if len(op.outputs[0].shape) == 3 else len(op.outputs[0].shape)
    inputs = [builder.tensor(x) for x in op.inputs]
    builder.bind(op.outputs[0], builder.add("Concat", *inputs, axis=axis))


def pad(builder: GraphBuilder, op: Op) -> None:
    padding, mode = op.attributes["padding"], op.attributes.get("mode", "zeros")
    if padding == NO_PADDING:
        builder.alias(op.outputs[0], op.inputs[0])
        return
    x = builder.tensor(op.inputs[0])
    builder.bind(op.outputs[0], windows.padded(builder, x, padding, MODES[mode]))


def crop(builder: GraphBuilder, op: Op) -> None:
    (top, bottom), (left, right) = op.attributes["padding"]
    height, width, _ = op.inputs[0].shape
    starts = builder.integers("starts", [top, left])
    ends = builder.integers("ends", [height - bottom, width - right])
    axes = builder.integers("axes", [2, 3])
    cropped = builder.add("Slice", builder.tensor(op.inputs[0]), starts, ends, axes)
    builder.bind(op.outputs[0], cropped)


def upsample(builder: GraphBuilder, op: Op) -> None:
    scales = builder.constant("scales", [1, 1, *op.attributes["size"]])
    settings: Attributes = {
        "mode": "linear",
        "coordinate_transformation_mode": "half_pixel",
    }
    if op.attributes["interpolation"] == "nearest":
        settings = {
            "mode": "nearest",
            "coordinate_transformation_mode": "asymmetric",
            "nearest_mode": "floor",
        }
    x = builder.tensor(op.inputs[0])
    builder.bind(op.outputs[0], builder.add("Resize", x, "", scales, **settings))


def affine_sample(builder: GraphBuilder, op: Op) -> None:
    """An image under the affine map that another input holds."""
    x, theta = op.inputs
    height, width, channels = op.outputs[0].shape
    maps = builder.reshaped(builder.tensor(theta), (2, 3))
    batch = builder.add("Shape", maps, start=0, end=1, opset=15)
    image = builder.integers("image", [channels, height, width])
    size = builder.add("Concat", batch, image, axis=0)
    grid = builder.add("AffineGrid", maps, size, align_corners=0, opset=20)
    settings: Attributes = {"mode": "linear", "padding_mode": "zeros", "align_corners": 0}
    sampled = builder.add("GridSample", builder.tensor(x), grid, opset=20, **settings)
    builder.bind(op.outputs[0], sampled)
