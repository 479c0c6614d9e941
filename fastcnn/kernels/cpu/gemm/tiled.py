"""The grid of tiles: the one kernel behind every convolution, gradient and matrix product.

A grid computes C[r, :] = sum over k of A[r, k] * B[k, :] for rows r that lie on two nested loops
(image row and pixel, kernel row and tap, or just rows), cut into register tiles
(`tile_code.py`), what BLIS calls its micro-kernel. What the rows, the columns and the
inner dimension mean is decided by strides alone, on the host.

Shapes: A [rows, inner] and C [rows, columns] at any strides; B packed as [vectors, inner, LANES].
All strides are in bytes.

References:
    K. Goto and R. van de Geijn, Anatomy of High-Performance Matrix Multiplication, 2008.
    F. Van Zee and R. van de Geijn, BLIS: A Framework for Rapidly Instantiating BLAS Functionality,
    2015.
"""

from __future__ import annotations

from functools import lru_cache
from math import ceil

from fastcnn.kernels.cpu import costs as cpu
from fastcnn.kernels.cpu.gemm.tile_code import REGISTER_TILE, TileCode, run_tiles
from fastcnn.kernels.cpu.runtime.code import register
from fastcnn.kernels.cpu.runtime.function import kernel_function
from fastcnn.kernels.cpu.runtime.kernel import kernel, record
from fastcnn.kernels.cpu.runtime.prefetch import look_ahead
from fastcnn.kernels.cpu.simd.emission import sets_of_sums
from fastcnn.kernels.cpu.simd.pointers import address_of, record_at
from fastcnn.kernels.cpu.simd.register_tile import TALLEST, WIDEST, tile_rows
from fastcnn.kernels.cpu.simd.vector_unit import LANES, VECTOR_BYTES

# All strides are in bytes. Rows lie on two loops: a_outer and a_inner are from one row of A to the
# next on the outer and on the inner one. `split` says which loop the parts of a batch-wide call
# divide; with `k1_pass`, so many steps of the middle inner loop go through all tiles before the
# next ones, so that what they read stays near, and with `k2_pass` of the outer one; so do so many
# rows, `inner_near` or `outer_near`, with all columns. `tile_table` is where the tiles of all sizes
# are. `stream` has whole vectors of C written past the caches, if they begin at multiples of their
# size.
GRID = record(
    *("a", "b", "c", "bias", "ahead"),
    *("groups", "a_group", "b_group", "c_group"),
    *("rows_outer", "a_outer", "c_outer"),
    *("rows_inner", "a_inner", "c_inner"),
    *("columns", "width", "b_vector", "lanes"),
    *("k2", "a_k2", "b_k2", "k1", "a_k1", "b_k1", "k0", "a_k0", "b_k0"),
    *("accumulate", "relu", "stream"),
    *("rows_are_images", "outer_is_images", "k0_is_images", "k1_is_images", "k2_is_images"),
    *("k2_pass", "k1_pass", "inner_near", "outer_near", "split", "parts", "tile_table"),
)
NEAR = 256 << 10  # bytes of A that are taken to stay in a core's cache meanwhile
NO_SPLIT, SPLIT_INNER, SPLIT_COLUMNS, SPLIT_GROUPS = range(4)

tile_code = register(TileCode("register_tiles", REGISTER_TILE, GRID))
_ROWS = (0, *(tile_rows(width) for width in range(1, WIDEST + 1)))


@kernel(GRID, requires=(tile_code,))
def tiles(pointer):
    """Compute one grid, or one part of it."""
    grid = record_at(pointer)
    grid_address = address_of(pointer)
    if grid.rows_are_images:
        grid.rows_inner = grid.count
    if grid.outer_is_images:
        grid.rows_outer = grid.count
    if grid.k0_is_images:
        grid.k0 = grid.count
    if grid.k1_is_images:
        grid.k1 = grid.count
    if grid.k2_is_images:
        grid.k2 = grid.count
    if (grid.c | grid.c_outer | grid.c_inner) % VECTOR_BYTES:
        grid.stream = 0
    a, b, accumulate = grid.a, grid.b, grid.accumulate
    outer_steps, steps = grid.k2, grid.k1
    outer_pass = grid.k2_pass if grid.k2_pass else outer_steps
    at_once = grid.k1_pass if grid.k1_pass else steps
    for outer in range(0, outer_steps, outer_pass):
        grid.k2 = min(outer_pass, outer_steps - outer)
        for start in range(0, steps, at_once):
            grid.k1 = min(at_once, steps - start)
            grid.a = a + outer * grid.a_k2 + start * grid.a_k1
            grid.b = b + outer * grid.b_k2 + start * grid.b_k1
            grid.accumulate = 1 if outer or start else accumulate
            _sweep(grid, grid_address)
    grid.k2, grid.k1, grid.accumulate = outer_steps, steps, accumulate


@kernel_function
def _sweep(grid, grid_address):
    """Compute every tile of a part."""
    vectors = (grid.columns + LANES - 1) // LANES
    first_row, last_row = 0, grid.rows_inner
    first_vector, last_vector = 0, vectors
    first_group, last_group = 0, grid.groups
    part, parts = grid.first, grid.parts
    if grid.split == SPLIT_INNER:
        first_row, last_row = last_row * part // parts, last_row * (part + 1) // parts
    elif grid.split == SPLIT_COLUMNS:
        first_vector, last_vector = vectors * part // parts, vectors * (part + 1) // parts
    elif grid.split == SPLIT_GROUPS:
        first_group, last_group = last_group * part // parts, last_group * (part + 1) // parts
    near_rows = grid.inner_near if grid.inner_near else max(1, last_row - first_row)
    near_outer = grid.outer_near if grid.outer_near else max(1, grid.rows_outer)
    for group in range(first_group, last_group):
        for row in range(first_row, last_row, near_rows):
            rows = min(near_rows, last_row - row)
            for outer in range(0, grid.rows_outer, near_outer):
                end = min(outer + near_outer, grid.rows_outer)
                vectors = first_vector, last_vector
                _multiply(grid, grid_address, group, row, rows, outer, end, *vectors)


@kernel_function
def _multiply(
    grid, grid_address, group, first_row, rows, first_outer, last_outer, first_vector, last_vector
):
    """Compute every tile of some rows of a group, band of columns by band."""
    bands = (last_vector - first_vector + grid.width - 1) // grid.width
    a_group = grid.a + group * grid.a_group + first_row * grid.a_inner
    b_group = grid.b + group * grid.b_group
    c_group = grid.c + group * grid.c_group + first_row * grid.c_inner
    bias_group = grid.bias + group * grid.columns * 4 if grid.bias else 0
    for band in range(bands):
        # Bands and tiles are balanced: 15 rows are 8 + 7, never 14 + 1.
        vector = first_vector + (last_vector - first_vector) * band // bands
        next_vector = first_vector + (last_vector - first_vector) * (band + 1) // bands
        width = next_vector - vector
        grid.lanes = min(LANES, grid.columns - (next_vector - 1) * LANES)
        b = b_group + vector * grid.b_vector
        bias = bias_group + vector * VECTOR_BYTES if bias_group else 0
        stacks = (rows + min(TALLEST, _ROWS[width]) - 1) // min(TALLEST, _ROWS[width])
        height = rows // stacks
        taller = rows - stacks * height
        # Short rows go two at a time, as the halves of one tile.
        step = 2 if 2 * (height + (taller > 0)) <= _ROWS[width] else 1
        for outer in range(first_outer, last_outer, step):
            halves = min(step, last_outer - outer)
            a = a_group + outer * grid.a_outer
            c = c_group + outer * grid.c_outer + vector * VECTOR_BYTES
            at = a, b, c, bias
            if taller:
                _run_stack(grid, grid_address, height + 1, taller, halves, width, *at)
                down = taller * (height + 1)
                at = a + down * grid.a_inner, b, c + down * grid.c_inner, bias
            _run_stack(grid, grid_address, height, stacks - taller, halves, width, *at)


@kernel_function
def _run_stack(grid, grid_address, height, count, halves, width, a, b, c, bias):
    """Compute `count` tiles of a height, one below the other."""
    table = grid.tile_table
    if not grid.ahead:
        run_tiles(table, height, halves, width, grid_address, a, b, c, bias, count)
        return
    for row in range(0, count * height, height):
        # What is asked for ahead of time is so a tile at a time.
        look_ahead(grid.ahead)
        a_row, c_row = a + row * grid.a_inner, c + row * grid.c_inner
        run_tiles(table, height, halves, width, grid_address, a_row, b, c_row, bias, 1)


def tile_cycles(rows: int, width: int, steps: int) -> float:
    """Estimate a tile's cycles for `steps` steps of the inner dimension.

    Two fused multiply-adds and two loads start each cycle; a sum can be added to every fourth
    cycle, less often where the tile keeps more sets of sums.
    """
    latency = 4 / sets_of_sums(rows * width)
    each = max(rows * width / 2, (rows + width) / 2, latency)
    return each * steps + cpu.costs.tile + 2 * rows * width


def _pieces(size: int, number: int) -> list[tuple[int, int]]:
    """Return (length, how many) of the balanced pieces of a size."""
    short, longer = divmod(size, number)
    return [(short, number - longer), (short + 1, longer)][: 2 if longer else 1]


@lru_cache(1 << 14)
def width_cycles(outer: int, inner: int, columns: int, steps: int, width: int) -> float:
    """Estimate the cycles of a grid whose tiles span `width` vectors."""
    vectors = ceil(columns / LANES)
    total = 0.0
    for across, bands in _pieces(vectors, ceil(vectors / width)):
        stacks = ceil(inner / min(TALLEST, tile_rows(across)))
        step = 2 if 2 * ceil(inner / stacks) <= tile_rows(across) else 1
        for height, tiles_down in _pieces(inner, stacks):
            pair = outer // step * tile_cycles(step * height, across, steps)
            rest = outer % step * tile_cycles(height, across, steps)
            total += bands * tiles_down * (pair + rest)
    return total


def best_width(outer: int, inner: int, columns: int, steps: int) -> int:
    """Return the vectors a tile should span."""
    candidates = range(1, min(WIDEST, ceil(columns / LANES)) + 1)
    return min(candidates, key=lambda width: width_cycles(outer, inner, columns, steps, width))


def grid_cycles(outer: int, inner: int, columns: int, steps: int) -> float:
    """Estimate the cycles of a grid: `outer` x `inner` rows, at its best width."""
    width = best_width(outer, inner, columns, steps)
    return width_cycles(outer, inner, columns, steps, width)


def grid_values(rows: int, columns: int, **values: int) -> dict[str, int]:
    """Return a grid's fields: one group, one outer row and single steps unless given otherwise."""
    defaults = {"groups": 1, "rows_outer": 1, "k2": 1, "k1": 1, "k0": 1, "b_vector": VECTOR_BYTES}
    grid = {**defaults, "rows_inner": rows, "columns": columns, **values}
    steps = grid["k2"] * grid["k1"] * grid["k0"]
    width = best_width(grid["rows_outer"], rows, columns, steps)
    return {"width": width, **_near(grid, width, steps), **grid}


def _near(grid: dict[str, int], width: int, steps: int) -> dict[str, int]:
    """Return how many rows of A go through all columns before the next ones.

    All of A, if it is large, would come from far away again for each band of columns. Where a band
    of B is larger still, A goes through whole.
    """
    rows, row_bytes = grid["rows_inner"], grid.get("a_inner", 0)
    one_band = grid["columns"] <= width * LANES
    if one_band or not rows * row_bytes or steps * width * VECTOR_BYTES > NEAR:
        return {}
    if grid["rows_outer"] > 1 or grid.get("outer_is_images"):
        pairs = max(1, NEAR // (2 * rows * row_bytes))
        return {"outer_near": 2 * pairs}
    height = min(TALLEST, tile_rows(width))
    return {"inner_near": height * max(1, NEAR // (height * row_bytes))}
