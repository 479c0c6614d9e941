"""Matrix products by BLAS, through NumPy.

c[o] (+)= a[o] @ b[o] for `outer` pairs of matrices, all float32 or all complex64. As in the grid
of tiles (tiled.py), strides decide what rows, columns and the inner dimension mean.
"""

from __future__ import annotations

import numpy as np

from fastcnn.kernels.cpu.runtime.host_kernel import Record, finish, host_kernel, share, view
from fastcnn.kernels.cpu.runtime.kernel import record

# All strides are in bytes; c's columns lie side by side.
PRODUCT = record(
    *("a", "b", "c", "bias", "scale", "complex"),
    *("outer", "a_outer", "b_outer", "c_outer"),
    *("rows", "a_row", "c_row", "inner", "a_inner", "b_inner", "columns", "b_column"),
    *("accumulate", "relu", "rows_are_images", "inner_is_images", "parts"),
)


@host_kernel(PRODUCT)
def blas_product(op: Record) -> None:
    """Compute the products, or one part of them."""
    kind = np.complex64 if op.complex else np.float32
    rows = op.count if op.rows_are_images else op.rows
    inner = op.count if op.inner_is_images else op.inner
    part = share(op, op.outer)
    a = view(op.a, (op.outer, rows, inner), kind, (op.a_outer, op.a_row, op.a_inner))[part]
    b = view(op.b, (op.outer, inner, op.columns), kind, (op.b_outer, op.b_inner, op.b_column))[part]
    item = np.dtype(kind).itemsize
    c = view(op.c, (op.outer, rows, op.columns), kind, (op.c_outer, op.c_row, item))[part]
    if op.accumulate:
        c += np.matmul(a, b)
        return
    np.matmul(a, b, out=c)
    finish(c, op, (op.outer, 1, op.columns))
