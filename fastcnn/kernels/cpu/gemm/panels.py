"""Large matrix products whose right side is read once, panel by panel, in whatever order it lies.

The columns of B that a register tile spans are a narrow strip of a wide matrix: its rows lie far
apart, often by a power of two, so that they push each other out of the cache. So each part of the
product takes some of the columns, copies `depth` rows of them at a time into a panel in the order
of the tiles, and multiplies that. B may also be given transposed.

References:
    K. Goto and R. van de Geijn, Anatomy of High-Performance Matrix Multiplication, 2008 (packing).
"""

from __future__ import annotations

from fastcnn.kernels.cpu.gemm.tiled import GRID
from fastcnn.kernels.cpu.layout import pack_tap
from fastcnn.kernels.cpu.runtime.kernel import kernel, own_fields, record
from fastcnn.kernels.cpu.simd.pointers import address_of, call, record_at
from fastcnn.kernels.cpu.simd.register_tile import LANES, VECTOR_BYTES

# A grid and its right side: element (i, o) of inner x columns lies at matrix + 4 * (i * s_i + o *
# s_o); `panel` is where each part finds room for `depth` rows of its columns.
PANELS = record(
    *own_fields(GRID),
    *("matrix", "panel", "panel_bytes", "s_i", "s_o", "inner", "depth", "tiles", "all_columns"),
    "rectified",
)


@kernel(PANELS)
def product_by_panels(pointer):
    """C[r, columns of this part] = A[r, :] @ B (+ bias, then ReLU)."""
    op = record_at(pointer)
    op_address = address_of(pointer)
    vectors = (op.all_columns + LANES - 1) // LANES
    first, end = vectors * op.first // op.parts, vectors * (op.first + 1) // op.parts
    op.columns = min(op.all_columns, end * LANES) - first * LANES
    op.c += first * VECTOR_BYTES
    op.b = op.panel + op.first * op.panel_bytes
    start_a, bias = op.a, op.bias + first * VECTOR_BYTES if op.bias else 0
    for start in range(0, op.inner, op.depth):
        op.k0 = min(op.depth, op.inner - start)
        op.b_vector = op.k0 * VECTOR_BYTES
        for vector in range(first, end):
            lanes = min(LANES, op.all_columns - vector * LANES)
            source = op.matrix + 4 * (start * op.s_i + vector * LANES * op.s_o)
            target = op.b + (vector - first) * op.b_vector
            pack_tap(source, target, op.k0, op.s_i, op.s_o, lanes)
        op.a = start_a + 4 * start
        op.accumulate = start > 0
        op.bias = 0 if start else bias
        op.relu = op.rectified if start + op.k0 == op.inner else 0
        call(op.tiles, op_address)
