"""From a program's ops to calls of CPU kernels: one small function a kind of op."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import TYPE_CHECKING

from fastcnn.kernels.cpu import activation as elementwise
from fastcnn.kernels.cpu import (
    conv_depthwise,
    conv_direct,
    conv_im2col,
    layout,
    matmul,
    normalization,
    pool,
    training,
)
from fastcnn.kernels.cpu.call import (
    BATCH,
    CHUNK,
    GLOBAL,
    IMAGE,
    LOCAL,
    PARTIAL,
    Calls,
    Place,
    Region,
)
from fastcnn.program import Buffer, Op, Program

if TYPE_CHECKING:
    from fastcnn.layers.base import Parameter

# Ops that may write where their input lay, if nothing else reads it: kind -> which input.
IN_PLACE = {
    "activation": 0, "activation_dx": 1, "add": 0, "affine": 0, "batch_norm_dx": 1,
    "dropout": 0, "scale_dx": 0, "scale_shift": 0, "softmax": 0, "softmax_dx": 1,
}


class Lowering:
    """A program on its way to calls: the regions of its buffers and the calls so far."""

    def __init__(self, program: Program, outside: dict[Buffer, str], kept: set[Buffer]):
        """`outside` names the arrays that some buffers are; `kept` are read after the run."""
        self.program = program
        self.calls = Calls()
        self.constants: list[float] = []
        self._root_of = program.root
        self._outside = outside
        self._kept = {self._root_of(buffer) for buffer in kept}
        self._readers = self._count_readers()
        self._regions: dict[Buffer, Region] = {}
        self._parameters: dict[tuple[str, int, str], Region] = {}
        self.partials: dict[Buffer, Region] = {}
        for op in program.ops:
            self.calls.label = f"{op.layer or 'model'}: {op.kind}"
            LOWER[op.kind](self, op)

    def _count_readers(self) -> dict[Buffer, int]:
        readers: dict[Buffer, int] = {}
        for op in self.program.ops:
            if op.kind != "reshape":
                for buffer in op.inputs:
                    root = self._root_of(buffer)
                    readers[root] = readers.get(root, 0) + 1
        return readers

    def region(self, buffer: Buffer) -> Region:
        """Return the region of a buffer, new where it has none yet."""
        root = self._root_of(buffer)
        if root not in self._regions:
            kind = self._outside.get(root, LOCAL if root.per_image else GLOBAL)
            self._regions[root] = Region(
                4 * root.size,
                kind,
                per_image=root.per_image,
                kept=root in self._kept,
                label=str(root),
            )
        return self._regions[root]

    def output(self, op: Op) -> Region:
        """Return the region of an op's output, its input's where it may work in place."""
        root = self._root_of(op.outputs[0])
        if op.kind in IN_PLACE and root not in self._regions and root not in self._kept:
            source = self._root_of(op.inputs[IN_PLACE[op.kind]])
            free = source not in self._kept and source not in self._outside
            if free and self._readers[source] == 1 and source.size == root.size:
                self._regions[root] = self.region(source)
        return self.region(op.outputs[0])

    def parameter(self, parameter: Parameter | None, array: str = "values") -> Region | None:
        """Return a parameter's region in one of the flat arrays; None for None."""
        if parameter is None:
            return None
        kind = "moving" if parameter.kind == "moving" else array
        key = (kind, parameter.offset, parameter.path)
        if key not in self._parameters:
            self._parameters[key] = Region(
                4 * parameter.size, kind, 4 * parameter.offset, False, label=parameter.path
            )
        return self._parameters[key]

    def gradient(self, op: Op, name: str) -> Region | None:
        """Return where the gradient of one of the op's parameters goes; None if not wanted."""
        if name not in op.gradient_of:
            return None
        return self.parameter(op.parameters[name], "gradients")

    def constant(self, values: list[float]) -> Region:
        """Return a region with fixed numbers."""
        region = Region(4 * len(values), "constants", 4 * len(self.constants), False)
        self.constants += values
        return region


def _relu(op: Op) -> bool:
    return op.attributes.get("activation") == "relu"


def _folded(low: Lowering, op: Op) -> tuple[Region | None, Region | None]:
    """Return an op's bias and the scale of its kernel, with batch normalization folded in."""
    bias = low.parameter(op.parameters.get("bias"))
    if len(op.inputs) == 1:
        return bias, None
    scale, shift = low.region(op.inputs[1]), low.region(op.inputs[2])
    size = op.inputs[1].size
    made = Region(4 * size, GLOBAL, label="folded bias")
    places = {"bias": bias, "scale": scale, "shift": shift, "y": made}
    low.calls.emit(layout.fold_bias, BATCH, "y", places, size=size)
    return made, scale


def _conv2d(low: Lowering, op: Op) -> None:
    x, y = low.region(op.inputs[0]), low.region(op.outputs[0])
    kernel = low.parameter(op.parameters["kernel"])
    bias, scale = _folded(low, op)
    conv_direct.forward(low.calls, op.attributes["problem"], x, kernel, bias, y, _relu(op), scale)


def _conv2d_dx(low: Lowering, op: Op) -> None:
    problem = op.attributes["problem"]
    dy, out = low.region(op.inputs[0]), low.region(op.outputs[0])
    kernel = low.parameter(op.parameters["kernel"])
    backward = conv_direct.transposed(problem)
    if backward is not None:
        direct = conv_direct.forward_cycles(backward, conv_direct.pixels_at_once(backward))
        if direct <= conv_im2col.dx_cycles(problem):
            conv_direct.dx(low.calls, backward, dy, kernel, out)
            return
    conv_im2col.dx(low.calls, problem, dy, kernel, out)


def _bias_dw(low: Lowering, op: Op, dy: Region) -> None:
    gradient = low.gradient(op, "bias")
    if gradient is not None:
        problem = op.attributes["problem"]
        pixels = problem.out_height * problem.out_width
        conv_direct.bias_dw(low.calls, pixels, problem.filters, dy, gradient)


def _conv2d_dw(low: Lowering, op: Op) -> None:
    x, dy = (low.region(buffer) for buffer in op.inputs)
    gradient = low.gradient(op, "kernel")
    if gradient is not None:
        conv_direct.dw(low.calls, op.attributes["problem"], x, dy, gradient)
    _bias_dw(low, op, dy)


def _one_filter_each(op: Op) -> bool:
    """Say whether the depthwise kernels fit: one filter a channel. More are a grouped convolution."""
    problem = op.attributes["problem"]
    return problem.filters == problem.channels


def _depthwise(low: Lowering, op: Op) -> None:
    if not _one_filter_each(op):
        _conv2d(low, op)
        return
    x, y = low.region(op.inputs[0]), low.region(op.outputs[0])
    kernel = low.parameter(op.parameters["kernel"])
    bias, scale = _folded(low, op)
    problem = op.attributes["problem"]
    conv_depthwise.forward(low.calls, problem, x, kernel, bias, y, _relu(op), scale)


def _depthwise_dx(low: Lowering, op: Op) -> None:
    if not _one_filter_each(op):
        _conv2d_dx(low, op)
        return
    dy, out = low.region(op.inputs[0]), low.region(op.outputs[0])
    kernel = low.parameter(op.parameters["kernel"])
    conv_depthwise.dx(low.calls, op.attributes["problem"], dy, kernel, out)


def _depthwise_dw(low: Lowering, op: Op) -> None:
    if not _one_filter_each(op):
        _conv2d_dw(low, op)
        return
    x, dy = (low.region(buffer) for buffer in op.inputs)
    gradient = low.gradient(op, "kernel")
    if gradient is not None:
        conv_depthwise.dw(low.calls, op.attributes["problem"], x, dy, gradient)
    _bias_dw(low, op, dy)


def _matmul(low: Lowering, op: Op) -> None:
    x, y = low.region(op.inputs[0]), low.region(op.outputs[0])
    kernel = op.parameters["kernel"]
    bias, scale = _folded(low, op)
    matmul.forward(low.calls, x, low.parameter(kernel), bias, y, kernel.shape, _relu(op), scale)


def _matmul_dx(low: Lowering, op: Op) -> None:
    dy, out = low.region(op.inputs[0]), low.region(op.outputs[0])
    kernel = op.parameters["kernel"]
    matmul.dx(low.calls, dy, low.parameter(kernel), out, kernel.shape)


def _matmul_dw(low: Lowering, op: Op) -> None:
    x, dy = (low.region(buffer) for buffer in op.inputs)
    kernel, bias = low.gradient(op, "kernel"), low.gradient(op, "bias")
    shape = op.parameters["kernel"].shape
    if kernel is not None:
        matmul.dw(low.calls, x, dy, kernel, shape)
    if bias is not None:
        matmul.bias_dw(low.calls, dy, bias, shape[1])


def _max_pool(low: Lowering, op: Op) -> None:
    x, y = low.region(op.inputs[0]), low.region(op.outputs[0])
    index = low.region(op.outputs[1]) if len(op.outputs) == 2 else None
    pool.max_forward(low.calls, op.attributes["problem"], x, y, index, _relu(op))


def _max_pool_dx(low: Lowering, op: Op) -> None:
    dy, index = low.region(op.inputs[0]), low.region(op.inputs[1])
    y = low.region(op.inputs[2]) if len(op.inputs) == 3 else None
    pool.max_dx(low.calls, op.attributes["problem"], dy, index, y, low.region(op.outputs[0]))


def _average_pool(low: Lowering, op: Op) -> None:
    x, y = low.region(op.inputs[0]), low.region(op.outputs[0])
    pool.average_forward(low.calls, op.attributes["problem"], x, y)


def _average_pool_dx(low: Lowering, op: Op) -> None:
    dy, out = low.region(op.inputs[0]), low.region(op.outputs[0])
    pool.average_dx(low.calls, op.attributes["problem"], dy, out)


def _function(op: Op) -> dict[str, int]:
    return {
        "size": op.outputs[0].size,
        "function": elementwise.FUNCTIONS.index(op.attributes["function"]),
        "constant": elementwise.float_bits(op.attributes["constant"]),
    }


def _activation(low: Lowering, op: Op) -> None:
    places = {"x": low.region(op.inputs[0]), "y": low.output(op)}
    low.calls.emit(elementwise.activation, IMAGE, "y", places, **_function(op))


def _activation_dx(low: Lowering, op: Op) -> None:
    saved, dy = (low.region(buffer) for buffer in op.inputs)
    places = {"saved": saved, "dy": dy, "dx": low.output(op)}
    low.calls.emit(elementwise.activation_dx, IMAGE, "dx", places, **_function(op))


def _rows(op: Op) -> dict[str, int]:
    shape = op.outputs[0].shape
    return {"rows": prod(shape[:-1]), "columns": shape[-1]}


def _softmax(low: Lowering, op: Op) -> None:
    places = {"x": low.region(op.inputs[0]), "y": low.output(op)}
    low.calls.emit(elementwise.softmax, IMAGE, "y", places, **_rows(op))


def _softmax_dx(low: Lowering, op: Op) -> None:
    y, dy = (low.region(buffer) for buffer in op.inputs)
    places = {"y": y, "dy": dy, "dx": low.output(op)}
    low.calls.emit(elementwise.softmax_dx, IMAGE, "dx", places, **_rows(op))


def _add(low: Lowering, op: Op) -> None:
    first, *rest = (low.region(buffer) for buffer in op.inputs)
    y = low.output(op)
    for i, other in enumerate(rest):
        relu = _relu(op) and i == len(rest) - 1
        places = {"a": first, "b": other, "y": y}
        low.calls.emit(elementwise.add, IMAGE, "y", places, size=op.outputs[0].size, relu=relu)
        first = y


def _channelwise(
    low: Lowering, op: Op, scale: Region, offset: Region, residual: Region | None = None
) -> None:
    shape = op.outputs[0].shape
    places = {"x": low.region(op.inputs[0]), "scale": scale, "offset": offset}
    places |= {"residual": residual, "y": low.output(op)}
    low.calls.emit(
        elementwise.affine,
        IMAGE,
        "y",
        places,
        pixels=prod(shape[:-1]),
        channels=shape[-1],
        relu=_relu(op),
    )


def _affine(low: Lowering, op: Op) -> None:
    scale, offset = (low.constant(op.attributes[name]) for name in ("scale", "offset"))
    _channelwise(low, op, scale, offset)


def _scale_shift(low: Lowering, op: Op) -> None:
    residual = low.region(op.inputs[3]) if len(op.inputs) == 4 else None
    _channelwise(low, op, low.region(op.inputs[1]), low.region(op.inputs[2]), residual)


def _scale_dx(low: Lowering, op: Op) -> None:
    zeros = low.constant([0.0] * op.inputs[1].size)
    _channelwise(low, op, low.region(op.inputs[1]), zeros)


def _dropout(low: Lowering, op: Op) -> None:
    rate = op.attributes["rate"]
    places = {"x": low.region(op.inputs[0]), "y": low.output(op), "random": Region(16, "random")}
    low.calls.emit(
        elementwise.dropout,
        IMAGE,
        "y",
        places,
        size=op.outputs[0].size,
        stream=op.attributes["stream"],
        threshold=min(round(rate * 2**32), 2**32 - 1),
        scale=elementwise.float_bits(1 / (1 - rate)),
    )


def _reshape(low: Lowering, op: Op) -> None:
    low.region(op.outputs[0])


def _copy(low: Lowering, op: Op) -> None:
    places = {"x": low.region(op.inputs[0]), "y": low.region(op.outputs[0])}
    size = op.outputs[0].size
    low.calls.emit(layout.copy_rows, IMAGE, "y", places, rows=1, columns=size)


def _pad(low: Lowering, op: Op) -> None:
    (top, bottom), (left, right) = op.attributes["padding"]
    height, width, channels = op.inputs[0].shape
    places = {"x": low.region(op.inputs[0]), "y": low.region(op.outputs[0])}
    sides = {"left": left * channels, "right": right * channels}
    size = {"height": height, "row": width * channels, "top": top, "bottom": bottom}
    low.calls.emit(layout.pad_image, IMAGE, "y", places, **size, **sides)


def _pad_dx(low: Lowering, op: Op) -> None:
    (top, _), (left, _) = op.attributes["padding"]
    height, width, channels = op.outputs[0].shape
    row = op.inputs[0].shape[1] * channels
    inside = Place(low.region(op.inputs[0]), 4 * (top * row + left * channels))
    places = {"x": inside, "y": low.region(op.outputs[0])}
    columns = width * channels
    sizes = {"rows": height, "columns": columns, "x_row": row, "y_row": columns}
    low.calls.emit(layout.copy_rows, IMAGE, "y", places, **sizes)


def _concat(low: Lowering, op: Op) -> None:
    y, total = low.region(op.outputs[0]), op.outputs[0].shape[-1]
    first = 0
    for buffer in op.inputs:
        columns = buffer.shape[-1]
        places = {"x": low.region(buffer), "y": Place(y, 4 * first)}
        sizes = {"rows": prod(buffer.shape[:-1]), "columns": columns}
        low.calls.emit(layout.copy_rows, IMAGE, "y", places, **sizes, x_row=columns, y_row=total)
        first += columns


def _concat_dx(low: Lowering, op: Op) -> None:
    shape, total = op.outputs[0].shape, op.inputs[0].shape[-1]
    source = Place(low.region(op.inputs[0]), 4 * op.attributes["first"])
    places = {"x": source, "y": low.region(op.outputs[0])}
    sizes = {"rows": prod(shape[:-1]), "columns": shape[-1]}
    low.calls.emit(layout.copy_rows, IMAGE, "y", places, **sizes, x_row=total, y_row=shape[-1])


def _partial(low: Lowering, buffer: Buffer, floats: int) -> Region:
    """Return the per-chunk region that is merged into a whole-batch buffer, zeroed at its start."""
    merged = low.region(buffer)
    partial = Region(4 * floats, PARTIAL, label=f"partial {merged.label}")
    low.calls.emit(layout.fill_zero, CHUNK, "y", {"y": partial}, size=floats)
    low.partials[buffer] = partial
    return partial


def _batch_moments(low: Lowering, op: Op) -> None:
    shape = op.inputs[0].shape
    channels = shape[-1]
    places = {"x": low.region(op.inputs[0])}
    places["partial"] = _partial(low, op.outputs[0], 1 + 2 * channels)
    sizes = {"pixels": prod(shape[:-1]), "channels": channels}
    low.calls.emit(normalization.batch_moments, IMAGE, "partial", places, **sizes)


def _statistics(low: Lowering, op: Op, *names: str) -> dict[str, Region | None]:
    return {name: low.parameter(op.parameters.get(name)) for name in names}


def _batch_scale_shift(low: Lowering, op: Op) -> None:
    moments = op.inputs[0]
    partial = low.partials[moments]
    measured = low.program.producer(moments).inputs[0].shape
    low.calls.emit(
        normalization.batch_scale_shift,
        BATCH,
        ("moments", "scale", "shift", "moving_mean", "moving_variance"),
        {
            **_statistics(low, op, "gamma", "beta", "moving_mean", "moving_variance"),
            "partial": partial, "moments": low.region(moments),
            "scale": low.region(op.outputs[0]), "shift": low.region(op.outputs[1]),
        },
        partial_stride=partial.stride,
        pixels=prod(measured[:-1]),
        channels=measured[-1],
        epsilon=elementwise.float_bits(op.attributes["epsilon"]),
        momentum=elementwise.float_bits(op.attributes["momentum"]),
    )


def _moving_scale_shift(low: Lowering, op: Op) -> None:
    places = _statistics(low, op, "gamma", "beta", "moving_mean", "moving_variance")
    places |= {"scale": low.region(op.outputs[0]), "shift": low.region(op.outputs[1])}
    low.calls.emit(
        normalization.moving_scale_shift,
        BATCH,
        ("scale", "shift"),
        places,
        channels=op.outputs[0].size,
        epsilon=elementwise.float_bits(op.attributes["epsilon"]),
    )


def _batch_norm_sums(low: Lowering, op: Op) -> None:
    x, dy, moments = (low.region(buffer) for buffer in op.inputs)
    shape = op.inputs[0].shape
    partial = _partial(low, op.outputs[0], 2 * shape[-1])
    places = {"x": x, "dy": dy, "moments": moments, "partial": partial}
    sizes = {"pixels": prod(shape[:-1]), "channels": shape[-1]}
    low.calls.emit(normalization.batch_norm_sums, IMAGE, "partial", places, **sizes)


def _batch_norm_dw(low: Lowering, op: Op) -> None:
    sums, moments = op.inputs
    partial = low.partials[sums]
    shape = low.program.producer(sums).inputs[0].shape
    places = {
        "partial": partial, "moments": low.region(moments),
        "gamma": low.parameter(op.parameters.get("gamma")),
        "gamma_gradient": low.gradient(op, "gamma"),
        "beta_gradient": low.gradient(op, "beta"),
        "coefficients": low.region(op.outputs[0]),
    }
    written = ("coefficients", "gamma_gradient", "beta_gradient")
    low.calls.emit(
        normalization.batch_norm_dw,
        BATCH,
        tuple(name for name in written if places[name] is not None),
        places,
        partial_stride=partial.stride,
        pixels=prod(shape[:-1]),
        channels=shape[-1],
        epsilon=elementwise.float_bits(op.attributes["epsilon"]),
    )


def _batch_norm_dx(low: Lowering, op: Op) -> None:
    x, dy, coefficients = (low.region(buffer) for buffer in op.inputs)
    shape = op.outputs[0].shape
    places = {"x": x, "dy": dy, "coefficients": coefficients, "dx": low.output(op)}
    sizes = {"pixels": prod(shape[:-1]), "channels": shape[-1]}
    low.calls.emit(normalization.batch_norm_dx, IMAGE, "dx", places, **sizes)


def _loss(low: Lowering, op: Op) -> None:
    scores, target, weight = (low.region(buffer) for buffer in op.inputs)
    gradient, loss, rank = (low.region(buffer) for buffer in op.outputs)
    places = {"scores": scores, "target": target, "weight": weight}
    places |= {"gradient": gradient, "loss": loss, "rank": rank}
    low.calls.emit(
        training.LOSSES[op.attributes["kernel"]],
        IMAGE,
        ("gradient", "loss", "rank"),
        places,
        size=op.inputs[0].size,
        option=elementwise.float_bits(op.attributes["option"]),
        classes=op.attributes["classes"],
    )


LOWER: dict[str, Callable[[Lowering, Op], None]] = {
    "activation": _activation,
    "activation_dx": _activation_dx,
    "add": _add,
    "affine": _affine,
    "average_pool": _average_pool,
    "average_pool_dx": _average_pool_dx,
    "batch_moments": _batch_moments,
    "batch_norm_dw": _batch_norm_dw,
    "batch_norm_dx": _batch_norm_dx,
    "batch_norm_sums": _batch_norm_sums,
    "batch_scale_shift": _batch_scale_shift,
    "concat": _concat,
    "concat_dx": _concat_dx,
    "conv2d": _conv2d,
    "conv2d_dw": _conv2d_dw,
    "conv2d_dx": _conv2d_dx,
    "copy": _copy,
    "depthwise_conv2d": _depthwise,
    "depthwise_conv2d_dw": _depthwise_dw,
    "depthwise_conv2d_dx": _depthwise_dx,
    "dropout": _dropout,
    "loss": _loss,
    "matmul": _matmul,
    "matmul_dw": _matmul_dw,
    "matmul_dx": _matmul_dx,
    "max_pool": _max_pool,
    "max_pool_dx": _max_pool_dx,
    "moving_scale_shift": _moving_scale_shift,
    "pad": _pad,
    "pad_dx": _pad_dx,
    "reshape": _reshape,
    "scale_dx": _scale_dx,
    "scale_shift": _scale_shift,
    "softmax": _softmax,
    "softmax_dx": _softmax_dx,
}
