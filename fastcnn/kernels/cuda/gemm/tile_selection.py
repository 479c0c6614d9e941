"""How a matrix product is computed: in which tiles, in how many K slices, and how long that takes.

An estimate counts the multiply-adds of whole tiles in whole rounds of the multiprocessors, what
moves between memory and them, and the launches; see `cost_model`. The constants here are guesses
from counting instructions, not measurements: they rank the tiles, they do not foretell times.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import ceil
from typing import NamedTuple

from fastcnn.kernels.call import Address, Region
from fastcnn.kernels.cuda.gemm.split_k import fold_time
from fastcnn.kernels.cuda.gemm.tile import FLOAT32, TF32, VECTOR, Tile
from fastcnn.kernels.cuda.runtime.cost_model import BYTES, LAUNCH, MULTIPLY_ADDS, PROCESSORS
from fastcnn.kernels.cuda.runtime.memory_access import VECTOR_BYTES

# From the widest to those for few columns, for few rows and for few of both.
TILES = {
    FLOAT32: (
        Tile(128, 128, 8, 8, 8),
        Tile(128, 64, 8, 8, 8),
        Tile(64, 64, 16, 8, 4),
        Tile(128, 32, 16, 8, 4),
        Tile(32, 128, 16, 8, 4),
        Tile(16, 32, 8, 4, 4),
    ),
    TF32: (
        Tile(128, 64, 16, 8, 8, TF32, VECTOR),
        Tile(64, 64, 16, 4, 8, TF32, VECTOR),
        Tile(128, 32, 16, 4, 8, TF32, VECTOR),
        Tile(64, 64, 16, 4, 8, TF32),
        Tile(128, 32, 16, 4, 8, TF32),
    ),
}
ALL_TILES = TILES[FLOAT32] + TILES[TF32]

MOST_K_SLICES = 512
MOST_LAYERS = 65535  # of a grid, for K slices of groups: CUDA's limit
SCRATCH = 64 << 20  # floats of all K slices together
SHORTEST = 64  # a K slice goes over so many numbers at least
RESIDENT = 256  # threads that a multiprocessor needs to hide the time of its instructions
TENSOR_CORES = 3.0  # times as fast, as far as shared memory keeps up with them
BEYOND_MEMORY = 2.0  # times as fast as memory is the cache that blocks share


class Plan(NamedTuple):
    """How a product is computed, and its estimated time in nanoseconds."""

    tile: Tile
    k_slices: int
    time: float


def best_plan(
    rows: int,
    columns: int,
    inner: int,
    groups: int = 1,
    precision: str = FLOAT32,
    vectorized: bool = False,
    largest: int = 128 * 128,
) -> Plan:
    """Return the fastest tile and number of K slices; rows and inner are those of the batch.

    With `vectorized` numbers may be moved four at a time (`can_vectorize`). `largest` is the most
    sums of a tile.
    """
    plans = []
    for tile in TILES[precision]:
        if tile.rows * tile.columns > largest or (tile.width == VECTOR and not vectorized):
            continue
        k_slices = 1
        while k_slices == 1 or (
            k_slices <= min(MOST_K_SLICES, MOST_LAYERS // groups)
            and k_slices * SHORTEST <= inner
            and k_slices * groups * rows * columns <= SCRATCH
        ):
            plans.append(
                Plan(tile, k_slices, plan_time(tile, rows, columns, inner, groups, k_slices))
            )
            k_slices *= 2
    return min(plans, key=lambda plan: plan.time)


def can_vectorize(places: Iterable[Region | Address], *sizes: int) -> bool:
    """Say whether matrices can be moved in vectors of four numbers: they begin at multiples of 16
    bytes, and what goes on in the order of memory, and the steps from row to row, are whole
    vectors.

    The engine lets regions of its own begin at 256 bytes, and so does CUDA its arrays.
    """
    addresses = [
        operand if isinstance(operand, Address) else Address(operand) for operand in places
    ]
    starts = [address.offset + address.region.offset for address in addresses]
    return all(start % VECTOR_BYTES == 0 for start in starts) and all(
        size % VECTOR == 0 for size in sizes
    )


def plan_time(tile: Tile, rows: int, columns: int, inner: int, groups: int, k_slices: int) -> float:
    """Estimate the nanoseconds of a product and of adding up its K slices."""
    tiles = tile.blocks(rows, columns) * groups * k_slices
    steps = ceil(inner / (k_slices * tile.depth)) * tile.depth
    waves = ceil(tiles / PROCESSORS)
    share = _share(tile) * min(1.0, waves * tile.threads / RESIDENT)
    arithmetic = waves * tile.rows * tile.columns * steps / (MULTIPLY_ADDS / PROCESSORS * share)
    numbers = groups * (rows * inner + inner * columns + k_slices * rows * columns)
    shared = tiles * steps * (tile.rows + tile.columns)
    traffic = 4 * max(numbers, shared / BEYOND_MEMORY) / BYTES
    return LAUNCH + max(arithmetic, traffic) + fold_time(groups * rows * columns, k_slices)


def _share(tile: Tile) -> float:
    """Return which part of the instructions are multiply-adds: beside them stand the reading of
    shared memory at each step, and loading each slice."""
    slices = (tile.rows + tile.columns) * tile.depth / tile.threads
    if tile.precision == TF32:
        return TENSOR_CORES * tile.sums / (tile.sums + 16 + slices / tile.width)
    others = tile.depth * (tile.down + tile.across) / 4 + 3 * slices + 20
    return tile.depth * tile.sums / (tile.depth * tile.sums + others)


def product_time(rows: int, columns: int, inner: int, groups: int = 1) -> float:
    """Estimate the nanoseconds of a product of so many rows in all."""
    return best_plan(rows, columns, inner, groups).time


def sum_time(rows: int, columns: int, inner: int, groups: int = 1) -> float:
    """Estimate the nanoseconds of a sum of products over so many numbers in all."""
    return best_plan(rows, columns, inner, groups).time
