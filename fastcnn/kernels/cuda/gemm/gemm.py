"""Matrix products on the GPU: C = A @ B for groups of matrices, and sums of products over a batch.

Each block of threads computes one tile of C (`tile`). Where the tiles are too few to fill the GPU,
the inner dimension is split: each part writes its own C into scratch memory, and `split_k` adds
them in order. How many parts there are is decided on the host, for the largest batch, so that the
bits of a result do not change from run to run.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil
from typing import Any, NamedTuple

from numba import float32, int32, int64

from fastcnn.kernels.call import BATCH, Address, Calls, Region
from fastcnn.kernels.cuda.gemm.loader import Loader
from fastcnn.kernels.cuda.gemm.mainloop import make_sweep
from fastcnn.kernels.cuda.gemm.matrix_loader import across, along
from fastcnn.kernels.cuda.gemm.split_k import fold, k_slices_region
from fastcnn.kernels.cuda.gemm.tile import (
    VECTOR,
    Tile,
    limits_of,
    make_place,
    part_of,
    row_at,
    tile_kernel,
)
from fastcnn.kernels.cuda.gemm.tile_selection import (
    ALL_TILES,
    Plan,
    best_plan,
    can_vectorize,
    product_time,
    sum_time,
)
from fastcnn.kernels.cuda.runtime.device import cuda
from fastcnn.kernels.cuda.runtime.kernel import Floats, Int, Kernel

__all__ = [
    "KERNELS",
    "PACKED",
    "Lines",
    "Plan",
    "Strides",
    "best_plan",
    "check_counts",
    "emit_plan",
    "make_kernel",
    "product",
    "product_time",
    "sum_of_products",
    "sum_time",
]

PRODUCT, TRANSPOSED, SUM = "product", "product_transposed", "sum_of_products"
MOST_COUNTED = 2**31 - 2**16  # rows, or floats from where a block begins: a tile goes beyond


def _loaders(kind: str, tile: Tile) -> tuple[Loader, Loader]:
    of_a, of_b = along if kind == SUM else across, across if kind == TRANSPOSED else along
    return of_a(tile, tile.rows), of_b(tile, tile.columns)


def make_kernel(kind: str, tile: Tile) -> Kernel:
    """Return the kernel of one kind of product in tiles of one size."""
    sweep, storing = make_sweep(tile, *_loaders(kind, tile))
    store, size = storing(row_at), tile.sums
    place, depth = make_place(tile), tile.depth
    over_images = kind == SUM

    def body(
        count: Int, a: Floats, b: Floats, c: Floats, scale: Floats, bias: Floats, rows: Int,
        columns: Int, inner: Int, groups: Int, a_group: Int, a_row: Int, b_group: Int, b_row: Int,
        c_group: Int, c_row: Int, c_k_slice: Int, k_slices: Int, relu: Int,
    ):  # fmt: skip
        """C[group] = A[group] @ B[group]; a block computes one tile of one K slice of a group."""
        sums = cuda.local.array(size, float32)
        if over_images:
            inner *= count
        else:
            rows *= count
        row, column, group, k_slice = place(columns, k_slices)
        first, last = part_of(inner, k_slice, k_slices, depth)
        a_shape = (int32(rows), a_row, int64(group) * a_group)
        b_shape = (columns, b_row, int64(group) * b_group)
        sweep(sums, a, a_shape, row, b, b_shape, column, first, last)
        tile_place = row, column, int32(rows), columns
        limits = limits_of(c, tile_place, (group, c_group, c_row), (k_slice, c_k_slice), relu)
        store(sums, c, scale, bias, c_row, limits)

    def launch(count: int, values: dict[str, Any]) -> tuple[tuple[int, int, int], int]:
        rows = values["rows"] * (1 if over_images else count)
        blocks = tile.blocks(rows, values["columns"])
        return (blocks, 1, values["groups"] * values["k_slices"]), tile.threads

    body.__name__ = f"{kind}_{tile.name}"
    return tile_kernel(launch, tile)(body)


KERNELS = {
    (kind, tile): make_kernel(kind, tile)
    for kind in (PRODUCT, TRANSPOSED, SUM)
    for tile in ALL_TILES
}


class Lines(NamedTuple):
    """Where the rows of a product's C lie: `rows` of each image, or in all.

    They lie without gaps: the groups side by side in each row, or one after the other.
    """

    rows: int
    columns: int
    groups: int
    c_group: int
    c_row: int
    each_image: bool = True

    @property
    def floats(self) -> tuple[int, int]:
        """The floats of C that do not depend on the number of images, and those of each."""
        before = (self.groups - 1) * self.c_group if self.c_row == self.columns else 0
        own = self.rows * self.c_row
        return (before, own) if self.each_image else (before + own, 0)


class Strides(NamedTuple):
    """Floats from one row of a product's matrices, and from one group, to the next.

    Rows are given as they lie in memory; None is a matrix whose rows follow each other.
    """

    groups: int = 1
    a_row: int | None = None
    b_row: int | None = None
    c_row: int | None = None
    a_group: int = 0
    b_group: int = 0
    c_group: int = 0


PACKED = Strides()


def product(
    calls: Calls,
    a: Region | Address,
    b: Region | Address,
    c: Region | Address,
    rows: int,
    columns: int,
    inner: int,
    strides: Strides = PACKED,
    *,
    transposed: bool = False,
    bias: Region | None = None,
    scale: Region | None = None,
    relu: bool = False,
) -> None:
    """Emit C[g][r, o] = relu(scale[g, o] * sum of A[g][r, k] * B[g][k, o] + bias[g, o]).

    Args:
        calls: Where the calls go.
        a: A[rows of the batch, inner] of each group.
        b: B[inner, columns] of each group, or [columns, inner] where it is `transposed`.
        c: C[rows of the batch, columns] of each group.
        rows: Rows of an image.
        columns: Columns of a group.
        inner: The length of a sum.
        strides: Where rows and groups lie.
        transposed: Whether B lies transposed.
        bias: A number for each group and column.
        scale: Likewise.
        relu: Whether negative results become 0.
    """
    lying = inner if transposed else columns
    values = _sizes(rows, columns, inner, strides, (inner, lying, columns))
    kind, values = TRANSPOSED if transposed else PRODUCT, {**values, "relu": relu}
    _emit(calls, kind, (a, b, c), values, scale, bias)


def sum_of_products(
    calls: Calls,
    a: Region | Address,
    b: Region | Address,
    c: Region | Address,
    rows: int,
    columns: int,
    inner: int,
    strides: Strides = PACKED,
) -> None:
    """Emit C[g][i, o] = the sum over k of A[g][k, i] * B[g][k, o], over all images of the batch.

    Args:
        calls: Where the calls go.
        a: A[inner of the batch, rows] of each group.
        b: B[inner of the batch, columns] of each group.
        c: C[rows, columns] of each group.
        rows: Rows of C.
        columns: Columns of C.
        inner: Terms of a sum that come from one image.
        strides: Where rows and groups lie.
    """
    values = _sizes(rows, columns, inner, strides, (rows, columns, columns))
    _emit(calls, SUM, (a, b, c), values)


def _sizes(
    rows: int, columns: int, inner: int, strides: Strides, packed: tuple[int, int, int]
) -> dict[str, int]:
    """Return a kernel's numbers; `packed` are the lengths of the rows of A, B and C."""
    values = {"rows": rows, "columns": columns, "inner": inner}
    defaults = dict(zip(("a_row", "b_row", "c_row"), packed, strict=True))
    for name, value in strides._asdict().items():
        values[name] = defaults[name] if value is None else value
    return values


def _emit(
    calls: Calls,
    kind: str,
    matrices: tuple[Region | Address, Region | Address, Region | Address],
    values: dict[str, int],
    scale: Region | None = None,
    bias: Region | None = None,
) -> None:
    """Emit a product in its best tiles."""
    rows, inner = values["rows"], values["inner"]
    if kind == SUM:
        inner *= calls.images
    else:
        rows *= calls.images
    columns, groups = values["columns"], values["groups"]
    a, b, c = matrices
    vectorized = can_vectorize((a, b), *_vectors(kind, values))
    plan = best_plan(rows, columns, inner, groups, calls.precision, vectorized)
    check_counts(calls, rows, inner, *_reached(kind, plan.tile, values))
    lines = Lines(
        values["rows"], columns, groups, values["c_group"], values["c_row"], each_image=kind != SUM
    )
    places = {"a": a, "b": b, "scale": scale, "bias": bias}
    emit_plan(calls, plan, KERNELS[kind, plan.tile], places, ("c", c), lines, **values)


def _vectors(kind: str, values: dict[str, int]) -> list[int]:
    """Return what must be whole vectors for these to be moved: how far the matrices go in the order
    of memory, and where their rows and groups begin."""
    of_a = "rows" if kind == SUM else "inner"
    of_b = "inner" if kind == TRANSPOSED else "columns"
    return [values[name] for name in (of_a, of_b, "a_row", "b_row", "a_group", "b_group")]


def _reached(kind: str, tile: Tile, values: dict[str, int]) -> list[int]:
    """Return how far a block goes at once: in matrices loaded across their rows from where it
    begins, in those loaded along them from slice to slice."""
    of_a = tile.depth if kind == SUM else tile.rows
    of_b = tile.columns if kind == TRANSPOSED else tile.depth
    return [of_a * values["a_row"], of_b * values["b_row"]]


def check_counts(calls: Calls, *counts: int) -> None:
    """Raise ValueError where the kernels cannot count that far, in 32 bits."""
    if max(counts) > MOST_COUNTED:
        raise ValueError(
            f"{calls.label or 'A product'}: in a batch of {calls.images} images a kernel would "
            f"count to {max(counts)}, but it can to {MOST_COUNTED}. Try smaller batches."
        )


def emit_plan(
    calls: Calls,
    plan: Plan,
    tiled: Kernel,
    places: Mapping[str, Region | Address | None],
    output: tuple[str, Region | Address],
    lines: Lines,
    **values: int,
) -> None:
    """Emit a kernel of tiles; where it is split, with the sum over the K slices behind it.

    Args:
        calls: Where the calls go.
        plan: The tile, and the number of K slices.
        tiled: The kernel.
        places: What it reads.
        output: The name and the place of what it writes.
        lines: Where the rows of the output lie.
        **values: The kernel's other numbers.
    """
    name, c = output
    if plan.k_slices == 1:
        calls.emit(tiled, BATCH, name, {**places, name: c}, **values, k_slices=1)
        return
    size, each_image = lines.floats
    # K slices begin at multiples of 16 bytes.
    c_k_slice = ceil((size + calls.images * each_image) / VECTOR) * VECTOR
    partial = k_slices_region(plan.k_slices, c_k_slice)
    scale, bias, columns = places.get("scale"), places.get("bias"), lines.c_row
    values, relu = {**values, "relu": 0}, bool(values.get("relu", 0))
    written = {**places, "scale": None, "bias": None, name: partial}
    calls.emit(tiled, BATCH, name, written, **values, c_k_slice=c_k_slice, k_slices=plan.k_slices)
    fold(calls, partial, c, plan.k_slices, size, each_image, c_k_slice, columns, scale, bias, relu)
