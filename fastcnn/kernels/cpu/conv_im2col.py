"""Convolution through a column matrix (im2col), here for the gradient of the input.

The lecture's way: lay each output pixel's KH * KW * C inputs out as a row of a column matrix; the
convolution is then one matrix product, and the gradient of the input is the product dy * kernel^T
followed by adding each row back to where it came from (col2im). Here the matrix exists for one row of
output pixels at a time. It takes any stride, padding, dilation and group, and beats the direct form where
padding the output gradient would multiply mostly zeros.

Workspace: out_width * KH * KW * C / groups floats per thread.
"""

from __future__ import annotations

from math import ceil

from numba import carray

from fastcnn.kernels.cpu.call import BATCH, GLOBAL, IMAGE, Calls, Region
from fastcnn.kernels.cpu.gemm import GRID, best_width, grid_cycles, grid_values
from fastcnn.kernels.cpu.kernel import HEADER, kernel, record
from fastcnn.kernels.cpu.layout import pack_kernel
from fastcnn.kernels.cpu.memory import address_of, call, floats
from fastcnn.kernels.cpu.simd import LANES, VECTOR_BYTES
from fastcnn.problem import Problem

# A grid, which computes one row of columns, and where the columns go.
COLUMNS = record(
    *GRID.names[len(HEADER) :],
    *("dy", "dx", "columns_at", "tiles"),
    *("height", "image_width", "channels", "out_height", "out_width", "filters"),
    *("taps_h", "taps_w", "stride_h", "stride_w", "top", "left", "dilation_h", "dilation_w"),
)


@kernel(COLUMNS)
def columns_to_image(pointer):
    """dx[H, W, C] = every column of dy * kernel^T, added back where it came from."""
    op = carray(pointer, 1)[0]
    here = address_of(pointer)
    channels = op.channels
    inner = channels // op.groups
    row_size = op.image_width * channels
    dx = floats(op.dx, op.height * row_size)
    dx[:] = 0
    taps = op.taps_h * op.taps_w
    columns = floats(op.columns_at, op.groups * op.out_width * taps * inner)
    op.c = op.columns_at
    for out_row in range(op.out_height):
        op.a = op.dy + 4 * out_row * op.out_width * op.filters
        call(op.tiles, here)
        for group in range(op.groups):
            for tap_h in range(op.taps_h):
                row = out_row * op.stride_h + tap_h * op.dilation_h - op.top
                if row < 0 or row >= op.height:
                    continue
                for pixel in range(op.out_width):
                    at = ((group * op.out_width + pixel) * taps + tap_h * op.taps_w) * inner
                    column = pixel * op.stride_w - op.left
                    if op.groups == 1 and op.dilation_w == 1:
                        first = max(0, -column)
                        last = min(op.taps_w, op.image_width - column)
                        to = row * row_size + (column + first) * channels
                        source = columns[at + first * inner : at + last * inner]
                        target = dx[to : to + source.size]
                        for i in range(source.size):
                            target[i] += source[i]
                    else:
                        for tap_w in range(op.taps_w):
                            place = column + tap_w * op.dilation_w
                            if place < 0 or place >= op.image_width:
                                continue
                            to = row * row_size + place * channels + group * inner
                            for i in range(inner):
                                dx[to + i] += columns[at + tap_w * inner + i]


def dx_cycles(problem: Problem) -> float:
    """Estimate the cycles of one image."""
    taps = problem.kernel[0] * problem.kernel[1] * problem.channels_per_group
    width = best_width(problem.out_width, taps)
    product = grid_cycles(problem.out_width, taps, width) * problem.filters_per_group
    run = ceil(problem.kernel[1] * problem.channels_per_group / LANES)
    back = problem.out_width * problem.kernel[0] * (2 * run + 4)
    return problem.out_height * problem.groups * (product + back)


def dx(calls: Calls, problem: Problem, dy: Region, weights: Region, out: Region) -> None:
    """Emit the gradient of the input; `weights` is the kernel [KH, KW, C / groups, F]."""
    inner, outputs = problem.channels_per_group, problem.filters_per_group
    taps = problem.kernel[0] * problem.kernel[1]
    size = taps * inner
    vectors = ceil(size / LANES)
    packed = Region(problem.groups * vectors * outputs * VECTOR_BYTES, GLOBAL, label="kernel^T")
    # The columns of kernel^T are (tap, channel): the kernel's rows.
    calls.emit(
        pack_kernel,
        BATCH,
        "packed",
        {"kernel": weights, "packed": packed},
        parts=min(16, problem.groups * vectors),
        taps_h=1, taps_w=1, wide_w=1, pixels=1,
        inner=outputs,
        outputs=size,
        groups=problem.groups,
        s_i=1,
        s_o=problem.filters,
        s_g=outputs,
    )
    columns = Region(4 * problem.groups * problem.out_width * size, label="columns")
    grid = grid_values(
        problem.out_width,
        size,
        groups=problem.groups,
        a_group=4 * outputs,
        b_group=vectors * outputs * VECTOR_BYTES,
        c_group=4 * problem.out_width * size,
        a_inner=4 * problem.filters,
        c_inner=4 * size,
        b_vector=outputs * VECTOR_BYTES,
        k0=outputs,
        a_k0=4,
        b_k0=VECTOR_BYTES,
    )
    calls.emit(
        columns_to_image,
        IMAGE,
        ("dx", "columns_at"),
        {"dy": dy, "dx": out, "columns_at": columns, "b": packed, "tiles": Region(0, "tiles")},
        **grid,
        height=problem.height,
        image_width=problem.width,
        channels=problem.channels,
        out_height=problem.out_height,
        out_width=problem.out_width,
        filters=problem.filters,
        taps_h=problem.kernel[0],
        taps_w=problem.kernel[1],
        stride_h=problem.strides[0],
        stride_w=problem.strides[1],
        top=problem.padding[0][0],
        left=problem.padding[1][0],
        dilation_h=problem.dilation[0],
        dilation_w=problem.dilation[1],
    )
