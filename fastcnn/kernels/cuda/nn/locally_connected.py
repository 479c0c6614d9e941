"""A convolution whose kernels differ from pixel to pixel: a thread for each number of a result.

The definition stands in the CPU's file.
"""

from __future__ import annotations

import numpy as np

from fastcnn.graph.problem import Problem
from fastcnn.kernels.call import BATCH, IMAGE, Calls, LayerOperands, Region
from fastcnn.kernels.cuda.nn.activation import rectified
from fastcnn.kernels.cuda.nn.pooling import covering
from fastcnn.kernels.cuda.runtime.device import cuda
from fastcnn.kernels.cuda.runtime.indexing import own_element, per_image, position, quotient
from fastcnn.kernels.cuda.runtime.kernel import Floats, Int, kernel, once
from fastcnn.kernels.cuda.runtime.memory_access import read
from fastcnn.kernels.shared.problem_sizes import image_sizes

ZERO = np.float32(0)


@kernel(per_image("out_height", "out_width", "filters"))
def locally_connected(
    count: Int, x: Floats, kernel: Floats, bias: Floats, y: Floats, height: Int, width: Int,
    channels: Int, out_height: Int, out_width: Int, filters: Int, taps_h: Int, taps_w: Int,
    stride_h: Int, stride_w: Int, top: Int, left: Int, relu: Int,
):  # fmt: skip
    """y[OH, OW, F] = the products of each pixel's window with its kernel[KH * KW * C, F]."""
    e, n, out_row, out_column, f = own_element(out_height, out_width, filters, count)
    first_row, first_column = out_row * stride_h - top, out_column * stride_w - left
    first = np.int64(out_row * out_width + out_column) * taps_h * taps_w * channels * filters + f
    while n < count:
        total = bias[e] if bias.size > 0 else ZERO
        for tap_h in range(taps_h):
            row = first_row + tap_h
            for tap_w in range(taps_w):
                column = first_column + tap_w
                if row >= 0 and row < height and column >= 0 and column < width:
                    at = ((n * height + row) * width + column) * channels
                    weight = (tap_h * taps_w + tap_w) * channels * filters
                    for c in range(channels):
                        total += read(x, at, c) * read(kernel, first, weight + c * filters)
        y[n * out_height * out_width * filters + e] = rectified(total, relu)
        n += cuda.gridDim.y


@kernel(per_image("height", "width", "channels"))
def locally_connected_dx(
    count: Int, dy: Floats, kernel: Floats, dx: Floats, height: Int, width: Int, channels: Int,
    out_height: Int, out_width: Int, filters: Int, taps_h: Int, taps_w: Int, stride_h: Int,
    stride_w: Int, top: Int, left: Int,
):  # fmt: skip
    """dx[H, W, C] = the sums of dy * kernel over the windows that cover a pixel."""
    e, n, row, column, c = own_element(height, width, channels, count)
    first_row, end_row = covering(row, taps_h, stride_h, top, out_height)
    first_column, end_column = covering(column, taps_w, stride_w, left, out_width)
    while n < count:
        total = ZERO
        for out_row in range(first_row, end_row):
            tap_h = row + top - out_row * stride_h
            for out_column in range(first_column, end_column):
                tap_w = column + left - out_column * stride_w
                pixel = out_row * out_width + out_column
                tap = np.int64(pixel * taps_h + tap_h) * taps_w + tap_w
                at = (n * out_height * out_width + pixel) * filters
                for f in range(filters):
                    total += read(dy, at, f) * read(kernel, (tap * channels + c) * filters, f)
        dx[n * height * width * channels + e] = total
        n += cuda.gridDim.y


@kernel(once("out_height", "out_width", "taps_h", "taps_w", "channels", "filters"))
def locally_connected_dw(
    count: Int, x: Floats, dy: Floats, dw: Floats, height: Int, width: Int, channels: Int,
    out_height: Int, out_width: Int, filters: Int, taps_h: Int, taps_w: Int, stride_h: Int,
    stride_w: Int, top: Int, left: Int,
):  # fmt: skip
    """dw[OH * OW, KH * KW * C, F] = the sums over the images, in order, of x * dy."""
    size = out_height * out_width * taps_h * taps_w * channels * filters
    for i in range(cuda.grid(1), size, cuda.gridsize(1)):
        weight = quotient(i, filters)
        f = i - weight * filters
        tap = quotient(weight, channels)
        c = weight - tap * channels
        pixel = quotient(tap, taps_h * taps_w)
        out_row, out_column, tap = position(tap, out_width, taps_h * taps_w)
        tap_h = quotient(tap, taps_w)
        row = out_row * stride_h - top + tap_h
        column = out_column * stride_w - left + tap - tap_h * taps_w
        total = ZERO
        if row >= 0 and row < height and column >= 0 and column < width:
            for n in range(count):
                at = ((n * height + row) * width + column) * channels + c
                total += read(x, at, 0) * read(
                    dy, (n * out_height * out_width + pixel) * filters, f
                )
        dw[i] = total


def _sizes(problem: Problem) -> dict[str, int]:
    taps_h, taps_w = problem.kernel
    return {
        **image_sizes(problem),
        "filters": problem.filters,
        "taps_h": taps_h,
        "taps_w": taps_w,
    }


def forward(calls: Calls, problem: Problem, operands: LayerOperands) -> None:
    """Emit y[OH * OW, F] = the windows' products with their kernels, bias and ReLU."""
    places = {name: region for name, region in operands.places.items() if name != "scale"}
    calls.emit(locally_connected, IMAGE, "y", places, relu=operands.relu, **_sizes(problem))


def dx(calls: Calls, problem: Problem, dy: Region, kernel: Region, out: Region) -> None:
    """Emit the gradient of the input: each pixel's dy @ kernel^T, summed where windows meet."""
    places = {"dy": dy, "kernel": kernel, "dx": out}
    calls.emit(locally_connected_dx, IMAGE, "dx", places, **_sizes(problem))


def dw(calls: Calls, problem: Problem, x: Region, dy: Region, gradient: Region) -> None:
    """Emit each pixel's windows^T @ dy: the inner dimension is the batch."""
    places = {"x": x, "dy": dy, "dw": gradient}
    calls.emit(locally_connected_dw, BATCH, "dw", places, **_sizes(problem))
