"""Depthwise convolution: each channel by itself, one kernel a channel.

Nine multiply-adds a number read leave nothing to multiply as a matrix: it is bound by memory. A
vector holds neighbouring channels, a register tile the sums of some neighbouring pixels, so that
each number of the image is loaded from the first-level cache and each of the kernel stays in a
register. No padded copy is made: pixels at the edges have fewer taps. The gradient of the input is
the same sums with the kernel's taps backwards, for each remainder of the stride by itself.

Shapes: x [H, W, C], kernel [KH, KW, C], y [OH, OW, C] of each image; every stride, padding and
dilation. Operations: OH * OW * KH * KW * C multiply-adds an image and direction. Workspace: the
kernel in the order of the vectors; for dw as much for each chunk of images.

References:
    F. Chollet, Xception: Deep Learning with Depthwise Separable Convolutions, 2017.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil

from fastcnn.graph.problem import Problem
from fastcnn.kernels.call import (
    BATCH,
    GLOBAL,
    IMAGE,
    Address,
    Calls,
    LayerOperands,
    Region,
)
from fastcnn.kernels.cpu.chunk_sums import empty_sums
from fastcnn.kernels.cpu.conv.depthwise_kernels import (
    depthwise_gradient,
    depthwise_sums,
    fold_depthwise,
    pack_depthwise,
)
from fastcnn.kernels.cpu.runtime.kernel import Kernel
from fastcnn.kernels.cpu.simd.depthwise_tile import PIXELS, UNROLLED
from fastcnn.kernels.cpu.simd.vector_unit import LANES, VECTOR_BYTES
from fastcnn.kernels.shared.axis import Axis, axis_of, backward_axes, geometry

ROWS, VECTORS = 16, 16  # of an image that are worked on together, to stay near
STRIP = 16  # pixels of a row that a tile of the kernel's gradient walks


def _emit(
    calls: Calls,
    tile_kernel: Kernel,
    writes: str,
    places: Mapping[str, Region | None],
    weights: Region,
    y: Region,
    problem: Problem,
    y_width: int,
    rows: Axis,
    columns: Axis,
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
        **geometry(rows, columns),
        channels=problem.channels,
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


def forward(calls: Calls, problem: Problem, operands: LayerOperands) -> None:
    """Emit y = x * kernel + bias, channel by channel."""
    packed = _packed(calls, problem, operands.kernel, operands.scale)
    places = {"x": operands.x, "bias": operands.bias}
    axes = axis_of(problem, 0), axis_of(problem, 1)
    where = places, packed, operands.y
    width, relu = problem.out_width, operands.relu
    _emit(calls, depthwise_sums, "y", *where, problem, width, *axes, PIXELS, relu)


def dx(calls: Calls, problem: Problem, dy: Region, weights: Region, out: Region) -> None:
    """Emit the gradient of the input."""
    where = {"x": dy}, _packed(calls, problem, weights), out
    for rows in backward_axes(problem, 0):
        for columns in backward_axes(problem, 1):
            axes = rows, columns
            _emit(calls, depthwise_sums, "y", *where, problem, problem.width, *axes, PIXELS)


def dw(calls: Calls, problem: Problem, x: Region, dy: Region, gradient: Region) -> None:
    """Emit the gradient of the kernel."""
    partial = empty_sums(calls, _packed_bytes(problem) // 4, "partial dw")
    where = {"x": x}, partial, dy
    axes = axis_of(problem, 0), axis_of(problem, 1)
    _emit(calls, depthwise_gradient, "kernel", *where, problem, problem.out_width, *axes, STRIP)
    taps = problem.kernel[0] * problem.kernel[1]
    calls.emit(
        fold_depthwise,
        BATCH,
        "gradient",
        {"partial": partial, "gradient": gradient},
        parts=taps,
        several=1,
        taps=taps,
        channels=problem.channels,
    )
