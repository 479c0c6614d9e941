"""Depthwise convolution: each channel by itself, one kernel a channel.

Nine multiply-adds a number read leave nothing to multiply as a matrix: it is bound by memory
(`depthwise_kernels`). The gradient of the input is the same sums with the kernel's taps backwards,
for each remainder of the stride by itself. The gradient of the kernel sums over the rows of the
batch in a fixed number of K slices, which are added in order afterwards.

Shapes: x [H, W, C], kernel [KH, KW, 1, C], y [OH, OW, C] of each image; every stride, padding and
dilation. Operations: OH * OW * KH * KW * C multiply-adds an image and direction. Workspace: for dw
a kernel for each K slice.

References:
    F. Chollet, Xception: Deep Learning with Depthwise Separable Convolutions, 2017.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil

from fastcnn.graph.problem import Problem
from fastcnn.kernels.call import BATCH, IMAGE, Calls, LayerOperands, Region
from fastcnn.kernels.cuda.conv.depthwise_kernels import (
    LANE_BITS,
    THREADS,
    Piece,
    Run,
    piece_kernel,
    run_kernel,
)
from fastcnn.kernels.cuda.gemm.split_k import fold, fold_time, k_slices_region
from fastcnn.kernels.cuda.runtime.cost_model import PROCESSORS, kernel_time
from fastcnn.kernels.shared.axis import Axis, backward_axes, forward_axis, geometry, image_strides

# The last of each is for every problem, at a price.
RUNS = {run: run_kernel(run) for run in (Run(8, 3, 1), Run(4, 3, 2), Run(8, 5, 1), Run(4, 0, 0))}
PIECES = {
    piece: piece_kernel(piece)
    for piece in (Piece(8, 3, 3, 1), Piece(4, 3, 3, 2), Piece(8, 1, 5, 1), Piece(4, 1, 1, 0))
}
BLOCKS = 8 * PROCESSORS  # as many blocks of THREADS threads as are at work at a time
SHARE = 0.3  # of the instructions that are multiply-adds


def forward(calls: Calls, problem: Problem, operands: LayerOperands) -> None:
    """Emit y = x * kernel + bias, channel by channel."""
    axes = forward_axis(problem, 0), forward_axis(problem, 1)
    sizes = (problem.height, problem.width), (problem.out_height, problem.out_width)
    _emit(calls, problem, operands.places, *axes, *sizes, operands.relu)


def dx(calls: Calls, problem: Problem, dy: Region, weights: Region, out: Region) -> None:
    """Emit the gradient of the input."""
    places = {"x": dy, "kernel": weights, "y": out}
    sizes = (problem.out_height, problem.out_width), (problem.height, problem.width)
    for rows in backward_axes(problem, 0):
        for columns in backward_axes(problem, 1):
            _emit(calls, problem, places, rows, columns, *sizes)


def dw(calls: Calls, problem: Problem, x: Region, dy: Region, gradient: Region) -> None:
    """Emit the gradient of the kernel."""
    rows, columns = forward_axis(problem, 0), forward_axis(problem, 1)
    k_slices, size = _k_slices(problem, calls.images), _kernel_size(problem)
    sums = gradient if k_slices == 1 else k_slices_region(k_slices, size)
    calls.emit(
        PIECES[_piece(rows, columns)],
        BATCH,
        "partial",
        {"x": x, "dy": dy, "partial": sums},
        **_axes_values(problem, rows, columns, problem.width, problem.height * problem.width),
        k_slices=k_slices,
    )
    if k_slices > 1:
        fold(calls, sums, gradient, k_slices, size)


def time(direction: str, problem: Problem, images: int) -> float:
    """Estimate the nanoseconds of a batch."""
    moved = problem.height * problem.width + problem.out_height * problem.out_width
    traffic = 4.0 * images * moved * problem.channels
    products = images * problem.multiply_adds
    launches = problem.strides[0] * problem.strides[1] if direction == "dx" else 1
    pixels = images * problem.channels * moved / 2
    blocks = max(1, ceil(pixels / launches / THREADS / 8))
    each = kernel_time(products / launches, traffic / launches, blocks, SHARE)
    if direction == "dw":
        return each + fold_time(_kernel_size(problem), _k_slices(problem, images))
    return launches * each


def _emit(
    calls: Calls,
    problem: Problem,
    places: Mapping[str, Region | None],
    rows: Axis,
    columns: Axis,
    x_size: tuple[int, int],
    y_size: tuple[int, int],
    relu: bool = False,
) -> None:
    """Emit one convolution, of which `places` say what is read and written."""
    channels = problem.channels
    w_row = problem.kernel[1] * channels
    calls.emit(
        RUNS[_run(columns)],
        IMAGE,
        "y",
        places,
        **_axes_values(problem, rows, columns, x_size[1], x_size[0] * x_size[1]),
        y_first=(rows.first * y_size[1] + columns.first) * channels,
        y_image=y_size[0] * y_size[1] * channels,
        y_row=rows.step * y_size[1] * channels,
        y_pixel=columns.step * channels,
        w_first=rows.first_tap * w_row + columns.first_tap * channels,
        w_h=rows.tap_step * w_row,
        w_w=columns.tap_step * channels,
        relu=relu,
    )


def _axes_values(
    problem: Problem, rows: Axis, columns: Axis, x_width: int, x_pixels: int
) -> dict[str, int]:
    """What both directions' kernels are told of the image that they read."""
    channels = problem.channels
    return {
        **geometry(rows, columns),
        **image_strides(rows, columns, x_width, x_pixels, channels),
        "channels": channels,
        "lane_bits": min(LANE_BITS, (channels - 1).bit_length()),
    }


def _run(columns: Axis) -> Run:
    candidates = (run for run in RUNS if run.taps_w in (columns.taps, 0))
    return next(
        run
        for run in candidates
        if run.taps_w == 0 or (run.stride_w == columns.stride and columns.dilation == 1)
    )


def _piece(rows: Axis, columns: Axis) -> Piece:
    return next(
        piece
        for piece in PIECES
        if rows.taps % piece.taps_h == 0
        and columns.taps % piece.taps_w == 0
        and piece.stride_w in (columns.stride, 0)
        and (piece.taps_w == 1 or columns.dilation == 1)
    )


def _kernel_size(problem: Problem) -> int:
    return problem.kernel[0] * problem.kernel[1] * problem.channels


def _k_slices(problem: Problem, images: int) -> int:
    """Return how many K slices keep every multiprocessor at work, each of a set of rows or more."""
    rows, columns = forward_axis(problem, 0), forward_axis(problem, 1)
    piece = _piece(rows, columns)
    lane_bits = min(LANE_BITS, (problem.channels - 1).bit_length())
    blocks = ceil(problem.channels / (1 << lane_bits))
    blocks *= rows.taps // piece.taps_h * (columns.taps // piece.taps_w)
    sets = ceil(images * problem.out_height / (THREADS >> lane_bits))
    return max(1, min(sets, BLOCKS // blocks))
