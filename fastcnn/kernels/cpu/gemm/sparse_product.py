"""The product of a sparse matrix and a dense one, cut into sparse tiles.

A result of `heights` rows of `vectors` vectors is cut into pieces that each fit a tile
(`simd/sparse_tile.py`): `bands` of vectors, and each of these into `stacks` of rows.
"""

from __future__ import annotations

from math import ceil

from fastcnn.kernels.cpu.gemm.tile_code import SPARSE_TILE, TileCode
from fastcnn.kernels.cpu.runtime.code import register
from fastcnn.kernels.cpu.runtime.function import kernel_function
from fastcnn.kernels.cpu.runtime.kernel import record
from fastcnn.kernels.cpu.simd.emission import sets_of_sums
from fastcnn.kernels.cpu.simd.sparse_tile import MOST_SUMS, TALLEST

# Strides are in bytes: `step` from one value to the next, `row_step` and `column_step` of the dense
# matrix with either loop over the values, `source_row` and `target_row` between a result's rows.
FIELDS = (
    *("step", "row_step", "column_step", "source_row", "target_row"),
    *("heights", "vectors", "bands", "stacks", "sparse_tile_table"),
)

sparse_tile_code = register(TileCode("sparse_tiles", SPARSE_TILE, record(*FIELDS)))


@kernel_function
def piece_of(op, piece):
    """Return where a piece begins and how large it is: first row, height, first vector, width."""
    # Pieces are balanced: 5 rows are 3 + 2, never 4 + 1.
    band, stack = piece // op.stacks, piece % op.stacks
    row, vector = op.heights * stack // op.stacks, op.vectors * band // op.bands
    height = op.heights * (stack + 1) // op.stacks - row
    return row, height, vector, op.vectors * (band + 1) // op.bands - vector


def pieces(heights: int, vectors: int) -> dict[str, int]:
    """Return how a result is cut, by the fields of a record."""
    bands = ceil(vectors / MOST_SUMS)
    tallest = min(TALLEST, MOST_SUMS // ceil(vectors / bands))
    stacks = ceil(heights / tallest)
    return {"heights": heights, "vectors": vectors, "bands": bands, "stacks": stacks}


def piece_sizes(heights: int, vectors: int) -> list[tuple[int, int]]:
    """Return (height, width) of each piece of a result."""
    cut = pieces(heights, vectors)
    return [
        (height, width)
        for width in _balanced(vectors, cut["bands"])
        for height in _balanced(heights, cut["stacks"])
    ]


def _balanced(size: int, parts: int) -> list[int]:
    return [size * (part + 1) // parts - size * part // parts for part in range(parts)]


def value_cycles(height: int, width: int) -> float:
    """Estimate the cycles of a value in a tile: two loads and two multiply-adds start each."""
    sums = height * width
    return max(sums / 2 + 1, 4 / sets_of_sums(sums)) + 0.5
