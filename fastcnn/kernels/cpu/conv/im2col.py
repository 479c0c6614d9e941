"""Convolution as one matrix product: im2col, and col2im on the way back.

The window of KH * KW * C numbers that an output pixel looks at is copied into one row of a matrix,
so that a convolution is nothing but the product of that matrix with the kernel. The gradient of the
kernel is the product of the transposed matrix with dy. For the gradient of the input, dy times the
transposed kernel gives the gradients of all windows, and each image pixel sums those that it is in.

Shapes, for each group with c = C / groups and f = F / groups:

    columns[OH * OW, KH * KW * c]        of one image; zero where a window hangs over the edge
    y[OH * OW, f]      = columns @ kernel[KH * KW * c, f] + bias[f]
    dw[KH * KW * c, f] = columns^T @ dy[OH * OW, f], summed over the images
    dx[H, W, c]        = the sums over dy @ kernel^T, a matrix of the columns' shape

Operations: OH * OW * KH * KW * F * C / groups multiply-adds an image and direction, as many as
direct convolution does, and some KH * KW / (stride * stride) copies of each number of the image.

Workspace: one image's columns per thread. A 1 x 1 kernel with stride 1 and no padding needs none:
the image already is the column matrix and is used without a copy.

References:
    K. Chellapilla, S. Puri and P. Simard, High Performance Convolutional Neural Networks for
    Document Processing, 2006; made popular by Y. Jia's Caffe, 2014.
"""

from __future__ import annotations

from math import ceil

from fastcnn.graph.problem import Problem
from fastcnn.kernels.call import IMAGE, Calls, LayerOperands, Region
from fastcnn.kernels.cpu import costs as cpu
from fastcnn.kernels.cpu.chunk_sums import empty_kernel_gradient, fold_kernel_gradient
from fastcnn.kernels.cpu.conv.im2col_columns import (
    columns_of,
    copy_cycles,
    empty_columns,
    is_columns,
    pixels,
    sum_columns,
    window_size,
)
from fastcnn.kernels.cpu.gemm.packing import packed_kernel, packed_matrix
from fastcnn.kernels.cpu.gemm.tiled import grid_cycles, grid_values, tiles
from fastcnn.kernels.cpu.simd.vector_unit import LANES, VECTOR_BYTES

# Bytes of columns and dy that every tile of the kernel's gradient goes through before the next: a
# tile reads down the columns, numbers far apart, which stay near for the next tile.
NEAR = 512 << 10


def cycles(direction: str, problem: Problem, images: int) -> float:
    """Estimate the cycles of one image on one thread."""
    window, outputs = window_size(problem), problem.filters_per_group
    rows, columns, inner = {
        "forward": (pixels(problem), outputs, window),
        "dx": (pixels(problem), window, outputs),
        "dw": (window, outputs, pixels(problem)),
    }[direction]
    product = problem.groups * grid_cycles(1, rows, columns, inner)
    if is_columns(problem):
        return product
    return cpu.costs.im2col * (product + copy_cycles(direction, problem))


def conv2d_im2col(calls: Calls, problem: Problem, operands: LayerOperands) -> None:
    """Emit y = x * kernel + bias; `scale` multiplies each filter of the kernel first."""
    window, outputs = window_size(problem), problem.filters_per_group
    packed = packed_kernel(calls, problem, operands.kernel, 1, scale=operands.scale)
    columns = columns_of(calls, problem, operands.x)
    values = grid_values(
        pixels(problem),
        outputs,
        groups=problem.groups,
        a_group=columns.group,
        b_group=ceil(outputs / LANES) * window * VECTOR_BYTES,
        c_group=4 * outputs,
        a_inner=columns.row,
        c_inner=4 * problem.filters,
        b_vector=window * VECTOR_BYTES,
        k0=window,
        a_k0=4,
        b_k0=VECTOR_BYTES,
        relu=operands.relu,
    )
    places = {"a": columns.region, "b": packed, "bias": operands.bias, "c": operands.y}
    calls.emit(tiles, IMAGE, "c", places, **values)


def conv2d_im2col_dx(
    calls: Calls, problem: Problem, dy: Region, kernel: Region, out: Region
) -> None:
    """Emit the gradient of the input: columns = dy @ kernel^T, then col2im."""
    window, outputs = window_size(problem), problem.filters_per_group
    packed = _transposed_kernel(calls, problem, kernel)
    columns = empty_columns(problem, out)
    values = grid_values(
        pixels(problem),
        window,
        groups=problem.groups,
        a_group=4 * outputs,
        b_group=ceil(window / LANES) * outputs * VECTOR_BYTES,
        c_group=columns.group,
        a_inner=4 * problem.filters,
        c_inner=columns.row,
        b_vector=outputs * VECTOR_BYTES,
        k0=outputs,
        a_k0=4,
        b_k0=VECTOR_BYTES,
    )
    calls.emit(tiles, IMAGE, "c", {"a": dy, "b": packed, "c": columns.region}, **values)
    sum_columns(calls, problem, columns, out)


def _transposed_kernel(calls: Calls, problem: Problem, kernel: Region) -> Region:
    """Return packed[group][vector][f][LANES]: rows are filters, columns the window's numbers."""
    window, outputs = window_size(problem), problem.filters_per_group
    layout = {"inner": outputs, "outputs": window, "groups": problem.groups}
    steps = {"s_i": 1, "s_o": problem.filters, "s_g": outputs}
    return packed_matrix(calls, kernel, layout | steps, "kernel^T")


def conv2d_im2col_dw(
    calls: Calls, problem: Problem, x: Region, dy: Region, gradient: Region
) -> None:
    """Emit the gradient of the kernel: columns^T @ dy, added up over each chunk's images."""
    window, outputs = window_size(problem), problem.filters_per_group
    partial = empty_kernel_gradient(calls, problem)
    columns = columns_of(calls, problem, x)
    a_row, b_row = problem.out_width * columns.row, 4 * problem.out_width * problem.filters
    values = grid_values(
        window,
        outputs,
        groups=problem.groups,
        a_group=columns.group,
        b_group=4 * outputs,
        c_group=4 * outputs,
        a_inner=4,
        c_inner=4 * problem.filters,
        k1=problem.out_height,
        a_k1=a_row,
        b_k1=b_row,
        k1_pass=max(1, NEAR // (a_row + b_row)),
        k0=problem.out_width,
        a_k0=columns.row,
        b_k0=4 * problem.filters,
        accumulate=1,
    )
    calls.emit(tiles, IMAGE, "c", {"a": columns.region, "b": dy, "c": partial}, **values)
    fold_kernel_gradient(calls, problem, partial, gradient)
