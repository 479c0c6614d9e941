"""Convolutions and poolings as ONNX's nodes."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastcnn.graph.problem import NO_PADDING, Padding, Problem
from fastcnn.graph.program import Buffer, Op
from fastcnn.graph.verifier import problem_of
from fastcnn.interop.onnx_export import elementwise
from fastcnn.interop.onnx_export.graph_builder import Attributes, GraphBuilder

Floats = NDArray[np.floating[Any]]


def conv2d(builder: GraphBuilder, op: Op) -> None:
    problem = problem_of(op)
    kernel = _kernel(builder, op, problem).transpose(3, 2, 0, 1)  # to [F, C / groups, KH, KW]
    kernel, bias, end = _with_what_follows(builder, op, kernel, axis=0)
    attributes = _convolution(problem)
    inputs = _weights(builder, kernel, bias)
    y = builder.add("Conv", builder.tensor(op.inputs[0]), *inputs, **attributes)
    _bind(builder, end, y, (problem.filters, problem.out_height, problem.out_width))


def conv2d_dx(builder: GraphBuilder, op: Op) -> None:
    """A transposed convolution; its problem is that from the output to the input."""
    problem = problem_of(op)
    kernel = _kernel(builder, op, problem).transpose(3, 2, 0, 1)  # to [C, F / groups, KH, KW]
    kernel, bias, end = _with_what_follows(builder, op, kernel, axis=1, groups=problem.groups)
    more = [
        size - ((out - 1) * stride + (taps - 1) * dilation + 1 - sum(pad))
        for size, out, stride, taps, dilation, pad in zip(
            (problem.height, problem.width),
            (problem.out_height, problem.out_width),
            *(problem.strides, problem.kernel, problem.dilation, problem.padding),
            strict=True,
        )
    ]
    attributes = _convolution(problem)
    inputs = (builder.tensor(op.inputs[0]), *_weights(builder, kernel, bias))
    builder.bind(end, builder.add("ConvTranspose", *inputs, output_padding=more, **attributes))


def matmul(builder: GraphBuilder, op: Op) -> None:
    kernel = builder.weight(op, "kernel")
    if kernel is None:
        raise ValueError(f"Layer '{op.layer}': its product has no kernel.")
    kernel = kernel.reshape(op.inputs[0].size, op.outputs[0].size)
    scaled, bias, end = _with_what_follows(builder, op, kernel, axis=1)
    inputs = (builder.tensor(op.inputs[0]), *_weights(builder, scaled, bias))
    builder.bind(end, builder.add("Gemm", *inputs))


def local_conv(builder: GraphBuilder, op: Op) -> None:
    """Windows gathered from each image as rows, and a product with a matrix for each of them."""
    problem = problem_of(op)
    kernel = builder.weight(op, "kernel")
    if kernel is None:
        raise ValueError(f"Layer '{op.layer}': its convolution has no kernel.")
    windows = problem.out_height * problem.out_width
    taps = prod(problem.kernel) * problem.channels
    x = builder.tensor(op.inputs[0])
    if problem.padding != NO_PADDING:
        x = padded(builder, x, problem.padding)
    rows = builder.reshaped(builder.transposed(x, (0, 2, 3, 1)), (_padded_size(problem),))
    places = builder.integers("places", _places(problem).reshape(windows, 1, taps))
    gathered = builder.add("Gather", rows, places, axis=1)  # [N, windows, 1, taps]
    matrices = builder.constant("kernel", kernel.reshape(windows, taps, problem.filters))
    y = builder.add("MatMul", gathered, matrices)
    image = (problem.out_height, problem.out_width, problem.filters)
    y = builder.reshaped(y, image)
    bias = builder.weight(op, "bias")
    if bias is not None:
        y = builder.add("Add", y, builder.constant("bias", bias.reshape(image)))
    builder.bind_channels_last(op.outputs[0], y)


def max_pool(builder: GraphBuilder, op: Op) -> None:
    problem, x = problem_of(op), builder.tensor(op.inputs[0])
    if _is_global(problem):
        y = builder.add("GlobalMaxPool", x)
    else:
        y = builder.add("MaxPool", x, **_window(problem))
    _bind_pooled(builder, op, problem, y)


def average_pool(builder: GraphBuilder, op: Op) -> None:
    problem, x = problem_of(op), builder.tensor(op.inputs[0])
    if _is_global(problem):
        _bind_pooled(builder, op, problem, builder.add("GlobalAveragePool", x))
        return
    window = _window(problem)
    counted = op.attributes.get("counted", NO_PADDING)
    if counted != NO_PADDING:  # those zeros count, and what `ceil_mode` adds behind them does not
        x = padded(builder, x, counted)
        pairs = zip(problem.padding, counted, strict=True)
        rows, columns = ((a[0] - b[0], a[1] - b[1]) for a, b in pairs)
        window["pads"] = _pads((rows, columns))
    _bind_pooled(builder, op, problem, builder.add("AveragePool", x, **window))


def lp_pool(builder: GraphBuilder, op: Op) -> None:
    problem, x, norm = problem_of(op), builder.tensor(op.inputs[0]), op.attributes["norm"]
    if norm == int(norm):
        y = builder.add("LpPool", x, p=int(norm), **_window(problem))
    else:  # the mean of the powers, as all pixels of the window count, times their number
        powers = builder.add("Pow", builder.add("Abs", x), builder.constant("norm", norm))
        mean = builder.add("AveragePool", powers, count_include_pad=1, **_window(problem))
        total = builder.add("Mul", mean, builder.constant("pixels", prod(problem.kernel)))
        y = builder.add("Pow", total, builder.constant("root", 1 / norm))
    _bind_pooled(builder, op, problem, y)


def padded(builder: GraphBuilder, x: str, padding: Padding, mode: str = "constant") -> str:
    """Append what puts pixels around images [N, C, H, W], and return the output's name."""
    (top, bottom), (left, right) = padding
    pads = builder.integers("pads", [0, 0, top, left, 0, 0, bottom, right])
    return builder.add("Pad", x, pads, mode=mode)


def _kernel(builder: GraphBuilder, op: Op, problem: Problem) -> Floats:
    """Return the kernel [KH, KW, C / groups, F], with zeros where nothing is connected."""
    values = builder.weight(op, "kernel")
    if values is None:
        raise ValueError(f"Layer '{op.layer}': its convolution has no kernel.")
    whole = (*problem.kernel, problem.channels_per_group, problem.filters)
    table = op.attributes.get("connections")
    if table is None:
        return values.reshape(whole)
    kernel = np.zeros(whole, np.float32)
    kernel[:, :, np.array(table, bool)] = values.reshape(*problem.kernel, -1)
    return kernel


def _with_what_follows(
    builder: GraphBuilder, op: Op, kernel: Floats, axis: int, groups: int = 1
) -> tuple[Floats, Floats | None, Buffer]:
    """Return kernel and bias with the biases and normalizations behind an op in them, and the
    buffer behind those; `axis` is that of the kernel's filters, which there are `groups` times.
    """
    bias: Floats | None = builder.weight(op, "bias")
    affine, end = elementwise.fixed_affine_behind(builder, op.outputs[0])
    if affine is None:
        return kernel, bias, end
    scale, shift = affine
    shift = shift if bias is None else bias * scale + shift
    if (scale != 1).any():
        filters = kernel.shape[axis] * groups
        shape = [1] * kernel.ndim
        if groups > 1:  # [C, F / groups, ...]: C / groups rows in turn have a group's filters
            scale = scale.reshape(groups, -1).repeat(kernel.shape[0] // groups, axis=0)
            shape[0] = kernel.shape[0]
        shape[axis] = filters // groups
        kernel = kernel * scale.reshape(shape)
    return kernel, shift, end


def _weights(builder: GraphBuilder, kernel: Floats, bias: Floats | None) -> list[str]:
    names = [builder.constant("kernel", kernel)]
    if bias is not None:
        names.append(builder.constant("bias", bias.reshape(-1)))
    return names


def _convolution(problem: Problem) -> Attributes:
    dilations = list(problem.dilation)
    return {**_window(problem), "dilations": dilations, "group": problem.groups}


def _window(problem: Problem) -> Attributes:
    return {
        "kernel_shape": list(problem.kernel),
        "strides": list(problem.strides),
        "pads": _pads(problem.padding),
    }


def _pads(padding: Padding) -> list[int]:
    (top, bottom), (left, right) = padding
    return [top, left, bottom, right]


def _is_global(problem: Problem) -> bool:
    whole = problem.kernel == (problem.height, problem.width)
    return whole and problem.padding == NO_PADDING


def _bind_pooled(builder: GraphBuilder, op: Op, problem: Problem, y: str) -> None:
    _bind(builder, op.outputs[0], y, (problem.channels, problem.out_height, problem.out_width))


def _bind(builder: GraphBuilder, buffer: Buffer, y: str, image: tuple[int, int, int]) -> None:
    """Let images [N, C, H, W] be a buffer's, which may leave out a height and width of 1."""
    channels, height, width = image
    if buffer.shape != (height, width, channels):
        y = builder.reshaped(y, buffer.shape)
    builder.bind(buffer, y)


def _padded_size(problem: Problem) -> int:
    return problem.padded_height * problem.padded_width * problem.channels


def _places(problem: Problem) -> NDArray[np.int64]:
    """Return where the numbers of each window are in a padded image, [OH, OW, KH, KW, C]."""
    padded_shape = (problem.padded_height, problem.padded_width, problem.channels)
    image = np.arange(_padded_size(problem)).reshape(padded_shape)
    rows, columns = (
        np.arange(out)[:, None] * stride + np.arange(taps)
        for out, stride, taps in zip(
            (problem.out_height, problem.out_width), problem.strides, problem.kernel, strict=True
        )
    )
    return image[rows[:, None, :, None], columns[None, :, None, :]]
