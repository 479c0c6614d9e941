"""A convolution whose kernels differ from pixel to pixel: a product for each, of windows by images.

    y[n, p, f] = sum over k of windows[n, p, k] * kernel[p, k, f] + bias[p, f]

p is an output pixel, k one of the KH * KW * C numbers under its window: the products are groups of
one grid, whose rows are images.
"""

from __future__ import annotations

from math import ceil

from fastcnn.graph.problem import Problem
from fastcnn.kernels.call import BATCH, BLOCK, Calls, LayerOperands, Region
from fastcnn.kernels.cpu.conv.im2col_columns import (
    columns_of,
    empty_columns,
    pixels,
    sum_columns,
    window_size,
)
from fastcnn.kernels.cpu.gemm.packing import packed_matrix
from fastcnn.kernels.cpu.gemm.tiled import SPLIT_GROUPS, grid_values, tiles
from fastcnn.kernels.cpu.nn.dense import BLOCK_ROWS
from fastcnn.kernels.cpu.simd.vector_unit import LANES, VECTOR_BYTES

MOST_PARTS = 32


def forward(calls: Calls, problem: Problem, operands: LayerOperands) -> None:
    """Emit y[OH * OW, F] = the windows' products with their kernels, bias and ReLU."""
    window, filters = window_size(problem), problem.filters
    columns = columns_of(calls, problem, operands.x)
    values = grid_values(
        BLOCK_ROWS,
        filters,
        groups=pixels(problem),
        a_group=columns.row,
        b_group=4 * window * filters,
        c_group=4 * filters,
        a_inner=columns.region.stride,
        c_inner=operands.y.stride,
        k0=window,
        a_k0=4,
        b_k0=4 * filters,
        rows_are_images=1,
        relu=operands.relu,
    )
    places = {
        "a": columns.region,
        "b": operands.kernel,
        "bias": operands.bias,
        "c": operands.y,
    }
    calls.emit(tiles, BLOCK, "c", places, **values)


def dx(calls: Calls, problem: Problem, dy: Region, kernel: Region, out: Region) -> None:
    """Emit the gradient of the input: each pixel's dy @ kernel^T, summed where windows meet."""
    window, filters = window_size(problem), problem.filters
    layout = {"inner": filters, "outputs": window, "groups": pixels(problem)}
    steps = {"s_i": 1, "s_o": filters, "s_g": window * filters}
    packed = packed_matrix(calls, kernel, layout | steps, "kernel^T")
    columns = empty_columns(problem, out)
    values = grid_values(
        BLOCK_ROWS,
        window,
        groups=pixels(problem),
        a_group=4 * filters,
        b_group=ceil(window / LANES) * filters * VECTOR_BYTES,
        c_group=columns.row,
        a_inner=dy.stride,
        c_inner=columns.region.stride,
        b_vector=filters * VECTOR_BYTES,
        k0=filters,
        a_k0=4,
        b_k0=VECTOR_BYTES,
        rows_are_images=1,
    )
    calls.emit(tiles, BLOCK, "c", {"a": dy, "b": packed, "c": columns.region}, **values)
    sum_columns(calls, problem, columns, out)


def dw(calls: Calls, problem: Problem, x: Region, dy: Region, gradient: Region) -> None:
    """Emit each pixel's windows^T @ dy: the inner dimension is the batch."""
    window, filters = window_size(problem), problem.filters
    columns = columns_of(calls, problem, x)
    values = grid_values(
        window,
        filters,
        groups=pixels(problem),
        a_group=columns.row,
        b_group=4 * filters,
        c_group=4 * window * filters,
        a_inner=4,
        c_inner=4 * filters,
        k0_is_images=1,
        a_k0=columns.region.stride,
        b_k0=dy.stride,
        split=SPLIT_GROUPS,
    )
    places = {"a": columns.region, "b": dy, "c": gradient}
    calls.emit(tiles, BATCH, "c", places, parts=min(MOST_PARTS, pixels(problem)), **values)
