"""What only moves numbers, of ONNX, as layers."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np

from fastcnn.interop.onnx_import.elementwise import aligned
from fastcnn.interop.onnx_import.model_file import OnnxNode
from fastcnn.interop.onnx_import.translator import CHANNELS_FIRST, START, Tensor, Translator
from fastcnn.layers import (
    Cropping2D,
    DepthwiseConv2D,
    IdentityShortcut,
    Rescaling,
    UpSampling2D,
    ZeroPadding2D,
)
from fastcnn.layers import Reshape as ReshapeLayer

MODES = {"edge": "edge", "reflect": "reflect"}
ROUNDING: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "floor": np.floor,
    "round_prefer_floor": lambda x: np.ceil(x - 0.5),
    "round_prefer_ceil": lambda x: np.floor(x + 0.5),
}
"""Of places between pixels."""


def flatten(t: Translator, node: OnnxNode) -> Tensor:
    x, axis = t.tensor(node), node.attributes.get("axis", 1)
    if axis not in (1, -len(x.shape)):
        raise ValueError(f"with axis {axis} it puts numbers of several images into a row")
    return t.flat(x)


def reshape(t: Translator, node: OnnxNode) -> Tensor:
    x = t.tensor(node)
    shape = t.integers(node, 1, "shape")
    if not shape:
        raise ValueError("it says no shape of as many axes as the images have")
    inside = [
        x.onnx_shape[i - 1] if size == 0 < i <= len(x.shape) else size
        for i, size in enumerate(shape)
    ][1:]
    stated, count = prod(size for size in inside if size != -1), prod(x.shape)
    if inside.count(-1) > 1 or min([1, *inside]) < -1 or stated < 1 or count % stated:
        raise ValueError(f"it cannot give images of {x.onnx_shape} the shape {shape}")
    target = tuple(count // stated if size == -1 else size for size in inside)
    batch = t.graph.input_shape[0]
    if prod(target) != count or shape[0] not in (-1, 0, batch or -1):
        raise ValueError(f"with the shape {shape} it puts numbers of several images together")
    return t.reshape(x, target) if target else _refuse_numbers()


def _refuse_numbers() -> Tensor:
    raise ValueError("it makes a single number of each image, without an axis")


def squeeze(t: Translator, node: OnnxNode) -> Tensor:
    x = t.tensor(node)
    whole = (0, *x.onnx_shape)
    axes = t.integers(node, 1, "axes")
    if axes is None:
        axes = [axis for axis, size in enumerate(whole) if size == 1]
    dropped = {axis % len(whole) for axis in axes}
    if any(whole[axis] != 1 for axis in dropped) or len(dropped) == len(whole) - 1:
        raise ValueError(f"it drops the axes {axes} of images of {x.onnx_shape}")
    return t.reshape(x, tuple(s for a, s in enumerate(whole) if a not in dropped)[1:])


def unsqueeze(t: Translator, node: OnnxNode) -> Tensor:
    x = t.tensor(node)
    axes = t.integers(node, 1, "axes") or []
    rank = len(x.shape) + 1 + len(axes)
    places = {axis % rank for axis in axes}
    if 0 in places or len(places) < len(axes):
        raise ValueError(f"it adds the axes {axes}, the first before the images")
    sizes = iter(x.onnx_shape)
    return t.reshape(x, tuple(1 if a in places else next(sizes) for a in range(1, rank)))


def transpose(t: Translator, node: OnnxNode) -> Tensor:
    x = t.tensor(node)
    rank = len(x.shape) + 1
    order = node.attributes.get("perm", list(range(rank))[::-1])
    if sorted(order) != list(range(rank)) or order[0] != 0:
        raise ValueError(f"with the order {order} it moves the axis of the images")
    if rank == 2:
        return x
    return Tensor(x.node, x.shape, tuple(x.axes[axis - 1] for axis in order[1:]))


def concat(t: Translator, node: OnnxNode) -> Tensor:
    inputs = [t.tensor(node, place) for place in range(len(node.inputs))]
    rank = len(inputs[0].shape)
    axis = node.attributes.get("axis", 1)
    axis = axis + rank + 1 if axis < 0 else axis
    if not 1 <= axis <= rank or any(len(x.shape) != rank for x in inputs):
        raise ValueError(f"it goes along axis {axis} of what has {rank + 1} axes")
    if len(inputs) == 1:
        return inputs[0]
    if rank == 1:
        inputs = [t.plain(x) for x in inputs]
    elif rank == 3 and axis == 1:
        inputs = [t.image(x) for x in inputs]
    else:
        inputs = aligned(t, [t.last(inputs[0], axis - 1), *inputs[1:]])
    if len({x.shape[:-1] for x in inputs}) > 1:
        raise ValueError("its inputs differ in other axes")
    return t.join("concat", inputs)


def pad(t: Translator, node: OnnxNode) -> Tensor:
    x, mode = t.tensor(node), node.attributes.get("mode", "constant")
    pads = t.integers(node, 1, "pads") or node.attributes.get("paddings") or []
    rank = len(x.shape) + 1
    axes = t.integers(node, 3, "axes")
    if axes is not None and len(pads) == 2 * len(axes):
        whole = [0] * (2 * rank)
        for place, axis in enumerate(axes):
            whole[axis % rank] = pads[place]
            whole[axis % rank + rank] = pads[place + len(axes)]
        pads = whole
    if len(pads) != 2 * rank or rank != 4 or pads[0] or pads[4]:
        raise ValueError(f"it pads maps by {pads}")
    if not any(pads):
        return x
    x = t.image(x)
    value = node.attributes.get("value", 0.0)
    if node.has_input(2):
        value = t.weight(node, 2, "the value").item()
    if (pads[1], pads[2], pads[3], pads[6], pads[7]) == (0,) * 5 and pads[5] > 0 and not value:
        return t.add(x, IdentityShortcut(x.shape[2] + pads[5], **t.options()))
    if pads[1] or pads[5]:
        raise ValueError(f"it pads the channels, by {pads}")
    rows, columns = (pads[2], pads[6]), (pads[3], pads[7])
    if min(*rows, *columns) < 0:
        if max(*rows, *columns) > 0:
            raise ValueError(f"it pads and crops at once, by {pads}")
        sides = tuple((-a, -b) for a, b in (rows, columns))
        return t.add(x, Cropping2D(sides, **t.options()))
    if mode == "constant":
        around = ZeroPadding2D((rows, columns), **t.options())
        if not value:
            return t.add(x, around)
        return t.add(x, Rescaling(1.0, -value), around, Rescaling(1.0, value))
    if mode not in MODES:
        raise ValueError(f"its mode is '{mode}'")
    return _with_border(t, node, x, (rows, columns), mode)


def _with_border(t: Translator, node: OnnxNode, x: Tensor, sides: Any, mode: str) -> Tensor:
    """Put copies of pixels around a map, by the convolution behind it where that is all."""
    reader = t.only_reader(node.outputs[0])
    if reader is not None and reader.kind == "Conv":
        attributes = reader.attributes
        unpadded = attributes.get("auto_pad", "NOTSET") in ("NOTSET", "VALID")
        if unpadded and not any(attributes.get("pads", [])):
            t.borders[node.outputs[0]] = sides, MODES[mode]
            return x
    layer = DepthwiseConv2D(
        1, padding=sides, padding_mode=MODES[mode], use_bias=False, trainable=False, **t.options()
    )
    return t.add(x, t.give(layer, kernel=np.ones((1, 1, x.shape[2], 1))))


def crop(t: Translator, node: OnnxNode) -> Tensor:
    x = t.tensor(node)
    starts, ends = t.integers(node, 1, "starts"), t.integers(node, 2, "ends")
    axes, steps = t.integers(node, 3, "axes"), t.integers(node, 4, "steps")
    if starts is None or ends is None:
        raise ValueError("it has no starts or ends")
    axes = list(range(len(starts))) if axes is None else axes
    rank, sides = len(x.shape) + 1, {}
    for start, end, axis, step in zip(starts, ends, axes, steps or [1] * len(axes), strict=True):
        axis %= rank
        size = x.onnx_shape[axis - 1] if axis else 0
        first, last, _ = slice(start, end).indices(size)
        if step != 1 or (axis == 0 and (start != 0 or end < 1 << 30)) or (axis and last <= first):
            raise ValueError("it takes some of the images, or steps over numbers, or takes none")
        if axis and (first, last) != (0, size):
            sides[axis] = first, size - last
    if not sides:
        return x
    if rank != 4 or not {*sides} <= {2, 3}:
        raise ValueError("it cuts other axes than height and width, which no layer of fastcnn does")
    x = t.image(x)
    return t.add(x, Cropping2D((sides.get(2, (0, 0)), sides.get(3, (0, 0))), **t.options()))


def resize(t: Translator, node: OnnxNode) -> Tensor:
    x = t.image(t.tensor(node))
    scales = _scales(t, node, x)
    if scales[:2] != [1, 1] or any(scale != int(scale) or scale < 1 for scale in scales[2:]):
        raise ValueError(f"it scales by {scales}, and fastcnn by whole numbers, height and width")
    size = int(scales[2]), int(scales[3])
    if max(size) > 1 << 16:
        raise ValueError(f"it scales by {scales}")
    mode = node.attributes.get("mode", "nearest")
    if mode not in ("nearest", "linear"):
        raise ValueError(f"its mode is '{mode}'")
    default = "asymmetric" if node.kind == "Upsample" or t.opset < 11 else "half_pixel"
    places = node.attributes.get("coordinate_transformation_mode", default)
    for axis, scale in enumerate(size):
        if not _is_ours(node, mode, places, x.shape[axis], scale):
            raise ValueError(f"between pixels it goes by '{places}', as fastcnn does not")
    interpolation = "nearest" if mode == "nearest" else "bilinear"
    return t.add(x, UpSampling2D(size, interpolation, **t.options()))


def _scales(t: Translator, node: OnnxNode, x: Tensor) -> list[float]:
    if "scales" in node.attributes:
        return [float(scale) for scale in node.attributes["scales"]]
    place = 1 if node.kind == "Upsample" or t.opset < 11 else 2
    if node.has_input(place) and t.constant(node, place, "scales").size:
        return [float(scale) for scale in t.weight(node, place, "scales").ravel()[:8]]
    sizes = t.integers(node, 3, "sizes") or []
    axes = node.attributes.get("axes", [0, 1, 2, 3])
    whole = [1, *x.onnx_shape]
    scales = [1.0] * 4
    if len(sizes) != len(axes):
        raise ValueError("it says neither scales nor sizes of maps")
    for size, axis in zip(sizes, axes, strict=True):
        scales[axis % 4] = size / whole[axis % 4] if axis % 4 else 1.0
    return scales


def _is_ours(node: OnnxNode, mode: str, places: str, size: int, scale: int) -> bool:
    """Return whether pixels come from where fastcnn's upsampling takes them."""
    if scale == 1:
        return True
    if mode == "linear":
        half = places == "half_pixel" or (places == "pytorch_half_pixel" and size * scale > 1)
        return half and not node.attributes.get("antialias", 0)
    pixels = np.arange(scale, dtype=np.float64)
    if places not in ("asymmetric", "half_pixel"):
        return False
    source = pixels / scale if places == "asymmetric" else (pixels + 0.5) / scale - 0.5
    older = node.kind == "Upsample" or "coordinate_transformation_mode" not in node.attributes
    default = "floor" if older and places == "asymmetric" else "round_prefer_floor"
    rounding = ROUNDING.get(node.attributes.get("nearest_mode", default))
    return rounding is not None and not rounding(source).any()


def start(t: Translator, shape: tuple[int, ...], channels_last: bool) -> Tensor:
    """Return the tensor of a model's input, of images of `shape` in fastcnn."""
    if len(shape) == 3 and not channels_last:
        return Tensor(START, shape, CHANNELS_FIRST)
    x = Tensor(START, shape, tuple(range(len(shape))))
    if len(t.graph.input_shape) == 3:  # the axis of one channel is fastcnn's alone
        return t.add(x, ReshapeLayer(shape[:2]), axes=(0, 1))
    return x
