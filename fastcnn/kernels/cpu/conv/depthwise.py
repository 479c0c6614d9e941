"""Depthwise convolution: each channel by itself, one kernel a channel.

Nine multiply-adds a number read leave nothing to multiply as a matrix: it is bound by memory. A
vector holds neighbouring channels, a register tile the sums of some neighbouring pixels, so that
each number of the image is loaded from the first-level cache and each of the kernel stays in a
register. No padded copy is made: pixels at the edges have fewer taps. The gradient of the input is
the same sums with the kernel's taps backwards, for each remainder of the stride by itself.

Shapes: x [H, W, C], kernel [KH, KW, C], y [OH, OW, C] of each image; every stride, padding and
dilation. Operations: OH * OW * KH * KW * C multiply-adds an image and direction. Workspace: the
kernel in the order of the vectors; for dw as much for each chunk of images.

F. Chollet, Xception: Deep Learning with Depthwise Separable Convolutions, 2017.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil, gcd

from fastcnn.graph.problem import Problem
from fastcnn.kernels.call import (
    BATCH,
    CHUNK,
    GLOBAL,
    IMAGE,
    PARTIAL,
    Address,
    Calls,
    ConvOperands,
    Region,
)
from fastcnn.kernels.cpu.conv.depthwise_kernels import (
    depthwise_gradient,
    depthwise_sums,
    fold_depthwise,
    pack_depthwise,
)
from fastcnn.kernels.cpu.layout import fill_zero
from fastcnn.kernels.cpu.runtime.kernel import Kernel
from fastcnn.kernels.cpu.simd.depthwise_tile import PIXELS, UNROLLED
from fastcnn.kernels.cpu.simd.register_tile import LANES, VECTOR_BYTES

ROWS, VECTORS = 16, 16  # of an image that are worked on together, to stay near
STRIP = 16  # pixels of a row that a tile of the kernel's gradient walks


@dataclass(frozen=True)
class _Axis:
    """A convolution along one axis, and where in a larger one it reads, weighs and writes.

    Output i sums tap t of input i * stride + t * dilation - pad; its kernel's tap t is that at
    first_tap + t * tap_step, and it is written to first + i * step.
    """

    size: int
    out_size: int
    taps: int
    stride: int
    dilation: int
    pad: int
    first_tap: int = 0
    tap_step: int = 1
    first: int = 0
    step: int = 1


def _forward_axis(problem: Problem, axis: int) -> _Axis:
    return _Axis(
        (problem.height, problem.width)[axis],
        (problem.out_height, problem.out_width)[axis],
        problem.kernel[axis],
        problem.strides[axis],
        problem.dilation[axis],
        problem.padding[axis][0],
    )


def _backward_axes(problem: Problem, axis: int) -> list[_Axis]:
    """The input's gradient along one axis, as convolutions of the output's with stride 1.

    Input pixel i gets tap t of output (i + pad - t * dilation) / stride where that is whole: for
    pixels a stride apart these are the same taps, every stride / gcd(stride, dilation)-th.
    """
    forward = _forward_axis(problem, axis)
    stride, dilation, taps = forward.stride, forward.dilation, forward.taps
    tap_step = stride // gcd(stride, dilation)
    axes = []
    for first in range(min(stride, forward.size)):
        met = [t for t in range(taps) if (first + forward.pad - t * dilation) % stride == 0]
        last = met[-1] if met else 0
        axes.append(
            _Axis(
                size=forward.out_size,
                out_size=-(-(forward.size - first) // stride),
                taps=len(met),
                stride=1,
                dilation=tap_step * dilation // stride,
                pad=-((first + forward.pad - last * dilation) // stride),
                first_tap=last,
                tap_step=-tap_step,
                first=first,
                step=stride,
            )
        )
    return axes


def _emit(
    calls: Calls,
    tile_kernel: Kernel,
    writes: str,
    places: Mapping[str, Region | None],
    weights: Region,
    y: Region,
    problem: Problem,
    y_width: int,
    rows: _Axis,
    columns: _Axis,
    pixels: int,
    relu: bool = False,
) -> None:
    """Emit a call over an image whose y is `y_width` pixels wide."""
    pixel = 4 * problem.channels
    taps_h, taps_w = problem.kernel
    if problem.channels < LANES and tile_kernel is depthwise_sums:
        pixels = 1
    w_first = VECTOR_BYTES * (rows.first_tap * taps_w + columns.first_tap)
    y_first = pixel * (rows.first * y_width + columns.first)
    whole = columns.taps in UNROLLED and columns.stride == 1 and columns.dilation == 1
    calls.emit(
        tile_kernel,
        IMAGE,
        writes,
        {
            **places,
            "kernel": Address(weights, w_first),
            "y": Address(y, y_first),
        },
        height=rows.size,
        width=columns.size,
        channels=problem.channels,
        out_height=rows.out_size,
        out_width=columns.out_size,
        taps_h=rows.taps,
        taps_w=columns.taps,
        stride_h=rows.stride,
        stride_w=columns.stride,
        dilation_h=rows.dilation,
        dilation_w=columns.dilation,
        top=rows.pad,
        left=columns.pad,
        x_line=pixel * columns.size,
        x_row=pixel * columns.size * rows.dilation,
        x_tap=pixel * columns.dilation,
        x_pixel=pixel * columns.stride,
        w_row=VECTOR_BYTES * taps_w * rows.tap_step,
        w_tap=VECTOR_BYTES * columns.tap_step,
        w_vector=VECTOR_BYTES * taps_h * taps_w,
        y_row=pixel * y_width * rows.step,
        y_pixel=pixel * columns.step,
        pixels=pixels,
        rows_near=ROWS,
        vectors_near=VECTORS,
        unrolled=whole,
        relu=relu,
    )


def _packed_bytes(problem: Problem) -> int:
    """Return the bytes of a kernel in the order of the vectors."""
    return VECTOR_BYTES * ceil(problem.channels / LANES) * problem.kernel[0] * problem.kernel[1]


def _packed(calls: Calls, problem: Problem, weights: Region, scale: Region | None = None) -> Region:
    packed = Region(_packed_bytes(problem), GLOBAL, label="packed")
    calls.emit(
        pack_depthwise,
        BATCH,
        "packed",
        {"kernel": weights, "packed": packed, "scale": scale},
        taps=problem.kernel[0] * problem.kernel[1],
        channels=problem.channels,
    )
    return packed


def forward(
    calls: Calls,
    problem: Problem,
    operands: ConvOperands,
) -> None:
    """Emit y = x * kernel + bias, channel by channel."""
    packed = _packed(calls, problem, operands.kernel, operands.scale)
    places = {"x": operands.x, "bias": operands.bias}
    axes = _forward_axis(problem, 0), _forward_axis(problem, 1)
    where = places, packed, operands.y
    width, relu = problem.out_width, operands.relu
    _emit(calls, depthwise_sums, "y", *where, problem, width, *axes, PIXELS, relu)


def dx(calls: Calls, problem: Problem, dy: Region, weights: Region, out: Region) -> None:
    """Emit the gradient of the input."""
    where = {"x": dy}, _packed(calls, problem, weights), out
    for rows in _backward_axes(problem, 0):
        for columns in _backward_axes(problem, 1):
            axes = rows, columns
            _emit(calls, depthwise_sums, "y", *where, problem, problem.width, *axes, PIXELS)


def dw(calls: Calls, problem: Problem, x: Region, dy: Region, gradient: Region) -> None:
    """Emit the gradient of the kernel."""
    partial = Region(_packed_bytes(problem), PARTIAL, label="partial dw")
    calls.emit(fill_zero, CHUNK, "y", {"y": partial}, size=partial.bytes // 4)
    where = {"x": x}, partial, dy
    axes = _forward_axis(problem, 0), _forward_axis(problem, 1)
    _emit(calls, depthwise_gradient, "kernel", *where, problem, problem.out_width, *axes, STRIP)
    taps = problem.kernel[0] * problem.kernel[1]
    calls.emit(
        fold_depthwise,
        BATCH,
        "gradient",
        {"partial": partial, "gradient": gradient},
        parts=taps,
        taps=taps,
        channels=problem.channels,
    )
