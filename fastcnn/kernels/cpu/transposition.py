"""Matrices turned over, a block of a vector's lanes at a time."""

from __future__ import annotations

from fastcnn.kernels.cpu.runtime.function import kernel_function
from fastcnn.kernels.cpu.runtime.kernel import kernel, record
from fastcnn.kernels.cpu.simd.pointers import floats, record_at
from fastcnn.kernels.cpu.simd.vector import transpose
from fastcnn.kernels.cpu.simd.vector_unit import LANES

TRANSPOSE = record(
    *("x", "y", "outer", "x_outer", "y_outer"),
    *("rows", "columns", "x_row", "y_row", "parts"),
)


@kernel(TRANSPOSE)
def transpose_rows(pointer):
    """y[o, c, r] = x[o, r, c] for `rows` r and `columns` c.

    Strides are in bytes: `x_outer` and `y_outer` of o, `x_row` of r in x, `y_row` of c in y.
    """
    op = record_at(pointer)
    for outer in range(op.outer * op.first // op.parts, op.outer * (op.first + 1) // op.parts):
        x, y = op.x + outer * op.x_outer, op.y + outer * op.y_outer
        whole_rows, whole_columns = op.rows - op.rows % LANES, op.columns - op.columns % LANES
        for r in range(0, whole_rows, LANES):
            for c in range(0, whole_columns, LANES):
                transpose(x + r * op.x_row + 4 * c, op.x_row, y + c * op.y_row + 4 * r, op.y_row)
        _transpose_numbers(op, x, y, 0, op.rows, whole_columns, op.columns)
        _transpose_numbers(op, x, y, whole_rows, op.rows, 0, whole_columns)


@kernel_function
def _transpose_numbers(op, x, y, first_row, last_row, first_column, last_column):
    """Turn a part over, number by number."""
    for r in range(first_row, last_row):
        row = floats(x + r * op.x_row, op.columns)
        for c in range(first_column, last_column):
            floats(y + c * op.y_row, op.rows)[r] = row[c]
