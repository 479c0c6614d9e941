"""The product of a sparse matrix and a dense one, cut into sparse tiles.

A result of `heights` rows of `vectors` vectors is cut into pieces that each fit a tile
(`simd/sparse_tile.py`): whole rows where they are short, else parts of one.
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
    *("heights", "vectors", "sparse_tile_table"),
)

sparse_tile_code = register(TileCode("sparse_tiles", SPARSE_TILE, record(*FIELDS)))


@kernel_function
def pieces_of(op):
    """Return how many pieces the result of a record has."""
    number = 0
    bands = (op.vectors + MOST_SUMS - 1) // MOST_SUMS
    for band in range(bands):
        width = op.vectors * (band + 1) // bands - op.vectors * band // bands
        tallest = min(TALLEST, MOST_SUMS // width)
        number += (op.heights + tallest - 1) // tallest
    return number


@kernel_function
def piece_of(op, piece):
    """Return where a piece begins and how large it is: first row, height, first vector, width."""
    # Pieces are balanced: 5 rows are 3 + 2, never 4 + 1.
    bands = (op.vectors + MOST_SUMS - 1) // MOST_SUMS
    for band in range(bands):
        first = op.vectors * band // bands
        width = op.vectors * (band + 1) // bands - first
        tallest = min(TALLEST, MOST_SUMS // width)
        stacks = (op.heights + tallest - 1) // tallest
        if piece < stacks:
            row = op.heights * piece // stacks
            return row, op.heights * (piece + 1) // stacks - row, first, width
        piece -= stacks
    return 0, 0, 0, 0


def piece_sizes(heights: int, vectors: int) -> list[tuple[int, int]]:
    """Return (height, width) of each piece of a result."""
    sizes = []
    bands = ceil(vectors / MOST_SUMS)
    for band in range(bands):
        width = vectors * (band + 1) // bands - vectors * band // bands
        stacks = ceil(heights / min(TALLEST, MOST_SUMS // width))
        sizes += [
            (heights * (stack + 1) // stacks - heights * stack // stacks, width)
            for stack in range(stacks)
        ]
    return sizes


def value_cycles(height: int, width: int) -> float:
    """Estimate the cycles of a value in a tile: two loads and two multiply-adds start each."""
    sums = height * width
    return max(sums / 2 + 1, 4 / sets_of_sums(sums)) + 0.5
