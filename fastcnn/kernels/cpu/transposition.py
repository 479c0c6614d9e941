"""Matrices turned over, several of a size."""

from __future__ import annotations

from fastcnn.kernels.cpu.gemm.panel_copies import transpose_rows
from fastcnn.kernels.cpu.runtime.kernel import kernel, record
from fastcnn.kernels.cpu.simd.pointers import record_at

TRANSPOSE = record(
    *("x", "y", "outer", "x_outer", "y_outer"),
    *("rows", "columns", "x_row", "y_row", "parts"),
)


@kernel(TRANSPOSE)
def transpose_matrices(pointer):
    """y[o, c, r] = x[o, r, c] for `outer` o, `rows` r and `columns` c.

    Strides are in bytes: `x_outer` and `y_outer` of o, `x_row` of r in x, `y_row` of c in y.
    """
    op = record_at(pointer)
    for outer in range(op.outer * op.first // op.parts, op.outer * (op.first + 1) // op.parts):
        x, y = op.x + outer * op.x_outer, op.y + outer * op.y_outer
        transpose_rows(x, op.x_row, op.rows, op.columns, y, op.y_row)
