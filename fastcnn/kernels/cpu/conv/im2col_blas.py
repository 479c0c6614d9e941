"""im2col with BLAS: the columns of im2col.py, multiplied by the sgemm behind numpy.matmul.

It is there for comparison: beside im2col with the engine's own product it shows what the product
costs. Shapes, operations and workspace are those of im2col.py; the kernel is read as it is,
since BLAS packs it by itself, again for every image. BLAS is called once an image with one thread,
on each of the engine's threads.

References:
    K. Goto and R. van de Geijn, Anatomy of High-Performance Matrix Multiplication, 2008 (what a
    BLAS does).
"""

from __future__ import annotations

from fastcnn.graph.problem import Problem
from fastcnn.kernels.call import IMAGE, Calls, LayerOperands, Region
from fastcnn.kernels.cpu import costs as cpu
from fastcnn.kernels.cpu.chunk_sums import empty_kernel_gradient, fold_kernel_gradient
from fastcnn.kernels.cpu.conv import im2col
from fastcnn.kernels.cpu.conv.im2col_columns import (
    columns_of,
    empty_columns,
    pixels,
    sum_columns,
    window_size,
)
from fastcnn.kernels.cpu.gemm.blas import blas_product


def cycles(direction: str, problem: Problem, images: int) -> float:
    """Estimate the cycles of one image on one thread."""
    return im2col.cycles(direction, problem, images) + cpu.costs.blas_call


def conv2d_im2col_blas(calls: Calls, problem: Problem, operands: LayerOperands) -> None:
    """Emit y = x * kernel + bias; `scale` multiplies each filter of the kernel."""
    outputs = problem.filters_per_group
    columns = columns_of(calls, problem, operands.x)
    calls.emit(
        blas_product,
        IMAGE,
        "c",
        {
            "a": columns.region,
            "b": operands.kernel,
            "c": operands.y,
            "bias": operands.bias,
            "scale": operands.scale,
        },
        outer=problem.groups,
        a_outer=columns.group,
        b_outer=4 * outputs,
        c_outer=4 * outputs,
        rows=pixels(problem),
        a_row=columns.row,
        c_row=4 * problem.filters,
        inner=window_size(problem),
        a_inner=4,
        b_inner=4 * problem.filters,
        columns=outputs,
        b_column=4,
        relu=operands.relu,
    )


def conv2d_im2col_blas_dx(
    calls: Calls, problem: Problem, dy: Region, kernel: Region, out: Region
) -> None:
    """Emit the gradient of the input: columns = dy @ kernel^T, then col2im."""
    outputs = problem.filters_per_group
    columns = empty_columns(problem, out)
    calls.emit(
        blas_product,
        IMAGE,
        "c",
        {"a": dy, "b": kernel, "c": columns.region},
        outer=problem.groups,
        a_outer=4 * outputs,
        b_outer=4 * outputs,
        c_outer=columns.group,
        rows=pixels(problem),
        a_row=4 * problem.filters,
        c_row=columns.row,
        inner=outputs,
        a_inner=4,
        b_inner=4,
        columns=window_size(problem),
        b_column=4 * problem.filters,
    )
    sum_columns(calls, problem, columns, out)


def conv2d_im2col_blas_dw(
    calls: Calls, problem: Problem, x: Region, dy: Region, gradient: Region
) -> None:
    """Emit the gradient of the kernel: columns^T @ dy, added up over each chunk's images."""
    outputs = problem.filters_per_group
    partial = empty_kernel_gradient(calls, problem)
    columns = columns_of(calls, problem, x)
    calls.emit(
        blas_product,
        IMAGE,
        "c",
        {"a": columns.region, "b": dy, "c": partial},
        outer=problem.groups,
        a_outer=columns.group,
        b_outer=4 * outputs,
        c_outer=4 * outputs,
        rows=window_size(problem),
        a_row=4,
        c_row=4 * problem.filters,
        inner=pixels(problem),
        a_inner=columns.row,
        b_inner=4 * problem.filters,
        columns=outputs,
        b_column=4,
        accumulate=1,
    )
    fold_kernel_gradient(calls, problem, partial, gradient)
