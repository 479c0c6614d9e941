"""How an image is cut into Winograd's tiles, how far apart lies what is made of them, and its
products."""

from __future__ import annotations

from dataclasses import replace
from math import ceil
from typing import NamedTuple

from fastcnn.graph.problem import Problem
from fastcnn.kernels.call import BATCH, IMAGE, Calls, Region, odd_lines
from fastcnn.kernels.cpu import costs as cpu
from fastcnn.kernels.cpu.gemm.tiled import SPLIT_GROUPS, tiles
from fastcnn.kernels.cpu.simd.vector_unit import LANES, VECTOR_BYTES

MANY_CHANNELS = 8 * LANES  # from which on tiles lie an odd number of cache lines apart
LARGE = 8  # side of the tiles whose elements lie together: so many places would need as many pages
NEAR = 1 << 20  # bytes that are taken to stay in a core's cache beside what streams by
ROWS = 28  # rows of products that keep the register tiles busy
PARTS = 16  # of a batch-wide call


class Elements(NamedTuple):
    """The places of basis elements: the bytes between tiles, between elements, and of all."""

    tile: int
    step: int
    bytes: int


class Tiling:
    """An image cut into tiles of m x m outputs, and the strides of what is made of them."""

    def __init__(self, problem: Problem, m: int):
        self.m, self.taps = m, problem.kernel[0]
        self.form = (m, self.taps)
        self.size = m + self.taps - 1
        self.elements = self.size**2
        self.high, self.wide = ceil(problem.out_height / m), ceil(problem.out_width / m)
        self.count = self.high * self.wide
        bottom = self.high * m - problem.out_height
        right = self.wide * m - problem.out_width
        (top, below), (left, beyond) = problem.padding
        # Whole tiles: those at the end reach further than the image.
        self.source = replace(problem, padding=((top, below + bottom), (left, beyond + right)))
        # The output's gradient, filled up to whole tiles; a 1x1 problem's padding is its own.
        self.target = replace(
            problem,
            height=problem.out_height,
            width=problem.out_width,
            channels=problem.filters,
            padding=((0, bottom), (0, right)),
        )

    def steps(self, tiles: int, columns: int) -> Elements:
        """Return where what is made of so many tiles lies, `columns` floats an element."""
        row = VECTOR_BYTES * ceil(columns / LANES)
        if self.size >= LARGE:
            tile = odd_lines(self.elements * row)
            return Elements(tile, row, tiles * tile)
        tile = odd_lines(row) if columns >= MANY_CHANNELS else row
        step = odd_lines(tiles * tile)
        return Elements(tile, step, self.elements * step)

    def geometry(self, source: Problem) -> dict[str, int]:
        """Return the numbers of a transform that reads an image."""
        return {
            "tiles_h": self.high,
            "tiles_w": self.wide,
            "x_row": 4 * source.padded_width * source.channels,
            "x_column": 4 * source.channels,
            "channels": source.channels,
        }


def multiply_elements(
    calls: Calls, scope: str, places: dict[str, Region], grid: dict[str, int], over_images: str
) -> None:
    """Emit the products of all basis elements, at IMAGE scope or over the images of a scope."""
    values = dict(grid)
    parts = 1
    if scope != IMAGE:
        values[over_images] = 1
    if scope == BATCH:
        values["split"], parts = SPLIT_GROUPS, values["groups"]
    calls.emit(tiles, scope, "c", places, parts=parts, **values)


def transform_cycles(tiling: Tiling) -> float:
    """Return the cycles of one vector of a tile into or out of the basis."""
    by_size = {4: cpu.costs.transform_4, 6: cpu.costs.transform_6, 8: cpu.costs.transform_8}
    return by_size[tiling.size]
