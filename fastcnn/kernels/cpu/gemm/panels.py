"""Large matrix products whose right side is read once, panel by panel, in whatever order it lies.

The columns of B that a register tile spans are a narrow strip of a wide matrix: its rows lie far
apart, often by a power of two, so that they push each other out of the cache. So each part of the
product takes some of the columns, copies `depth` rows of them at a time into a panel in the order
of the tiles, and multiplies that. B may also be given transposed. An A whose inner dimension does
not lie side by side is copied too, if so many columns read it: its steps would be lines a power of
two apart.

References:
    K. Goto and R. van de Geijn, Anatomy of High-Performance Matrix Multiplication, 2008 (packing).
"""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil

from fastcnn.kernels.call import BATCH, GLOBAL, LOCAL, Address, Calls, Region, odd_lines
from fastcnn.kernels.cpu.gemm.panel_copies import pack_rows, transpose_rows
from fastcnn.kernels.cpu.gemm.tiled import GRID
from fastcnn.kernels.cpu.layout import pack_tap
from fastcnn.kernels.cpu.runtime.function import kernel_function
from fastcnn.kernels.cpu.runtime.kernel import kernel, own_fields, record
from fastcnn.kernels.cpu.simd.pointers import address_of, call, record_at
from fastcnn.kernels.cpu.simd.vector_unit import LANES, VECTOR_BYTES

# A grid and its right side: element (i, o) of inner x columns lies at matrix + 4 * (i * s_i + o *
# s_o); `panel` is where each part finds room for `depth` rows of its columns. `added` says that the
# product is added to C, `inner_is_images` that `inner` are the rows of B of each image. From one
# inner step of A to the next it is `a_step` bytes; with `a_panel` the grid is that of a copy.
PANELS = record(
    *own_fields(GRID),
    *("matrix", "panel", "panel_bytes", "s_i", "s_o", "inner", "depth", "tiles", "all_columns"),
    *("rectified", "added", "inner_is_images"),
    *("a_panel", "a_step"),
)
DEPTH = 128  # rows of a panel
DEPTH_OF_BOTH = 256  # where A is copied as well
WORTH_ROWS = 8  # vectors of a panel from which it is filled row by row
WORTH_TRANSPOSING = 128  # columns that read a copy of A


@kernel_function
def _pack_columns(op, start, first, end):
    """Fill the panel vector by vector of columns."""
    for vector in range(first, end):
        lanes = min(LANES, op.all_columns - vector * LANES)
        source = op.matrix + 4 * (start * op.s_i + vector * LANES * op.s_o)
        target = op.b + (vector - first) * op.b_vector
        pack_tap(source, target, op.k0, op.s_i, op.s_o, lanes)


@kernel(PANELS)
def product_by_panels(pointer):
    """C[r, columns of this part] (+)= A[r, :] @ B (+ bias, then ReLU)."""
    op = record_at(pointer)
    op_address = address_of(pointer)
    vectors = (op.all_columns + LANES - 1) // LANES
    part = op.first if op.parts > 1 else 0  # a call for an image has its number there
    first, end = vectors * part // op.parts, vectors * (part + 1) // op.parts
    inner = op.inner * op.count if op.inner_is_images else op.inner
    op.columns = min(op.all_columns, end * LANES) - first * LANES
    op.c += first * VECTOR_BYTES
    op.b = op.panel + part * op.panel_bytes
    start_a, bias = op.a, op.bias + first * VECTOR_BYTES if op.bias else 0
    for start in range(0, inner, op.depth):
        op.k0 = min(op.depth, inner - start)
        op.b_vector = op.k0 * VECTOR_BYTES
        if op.s_o == 1 and end - first >= WORTH_ROWS:
            rows = op.matrix + 4 * start * op.s_i + first * VECTOR_BYTES
            pack_rows(rows, 4 * op.s_i, op.k0, op.columns, op.b, op.b_vector)
        else:
            _pack_columns(op, start, first, end)
        op.a = start_a + start * op.a_step
        if op.a_panel:
            transpose_rows(op.a, op.a_step, op.k0, op.rows_inner, op.a_panel, op.a_inner)
            op.a = op.a_panel
        op.accumulate = op.added or start > 0
        op.bias = 0 if start else bias
        op.relu = op.rectified if start + op.k0 == inner else 0
        call(op.tiles, op_address)


def multiply(
    calls: Calls,
    scope: str,
    places: Mapping[str, Address | Region | None],
    grid: dict[str, int],
    *,
    s_i: int,
    s_o: int,
    **values: int,
) -> None:
    """Emit C (+)= A @ B, panel by panel of B.

    Args:
        calls: Where to.
        scope: BATCH, in parts that take some of the columns each, or IMAGE.
        places: Of A, B, C and the bias: "a", "matrix", "c", "bias".
        grid: The grid of the product, of `grid_values`.
        s_i: Numbers from one row of B to the next.
        s_o: Numbers from one column of B to the next.
        **values: The kernel's other fields.
    """
    columns, inner = grid["columns"], grid["k0"]
    vectors = ceil(columns / LANES)
    parts = max(1, min(16, vectors // 4)) if scope == BATCH else 1
    transposed = grid["a_k0"] != 4 and columns >= WORTH_TRANSPOSING and scope != BATCH
    depth = DEPTH_OF_BOTH if transposed else DEPTH
    if not values.get("inner_is_images"):
        depth = ceil(inner / ceil(inner / depth))
    panel_bytes = ceil(vectors / parts) * depth * VECTOR_BYTES
    kind = GLOBAL if scope == BATCH else LOCAL
    places = {**places, "panel": Region(parts * panel_bytes, kind, label="panels")}
    values |= {"a_step": grid["a_k0"]}
    if transposed:
        pitch = odd_lines(4 * depth)
        places["a_panel"] = Region(grid["rows_inner"] * pitch, LOCAL, label="panels")
        grid = {**grid, "a_inner": pitch, "a_k0": 4}
    calls.emit(
        product_by_panels,
        scope,
        ("c", *(name for name in ("panel", "a_panel") if name in places)),
        {**places, "tiles": Region(0, "tiles")},
        parts=parts,
        **grid,
        b_k0=VECTOR_BYTES,
        panel_bytes=panel_bytes,
        s_i=s_i,
        s_o=s_o,
        inner=inner,
        depth=depth,
        all_columns=columns,
        **values,
    )
