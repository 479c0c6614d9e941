"""How an image is cut into Winograd's tiles, and how far apart lies what is made of them."""

from __future__ import annotations

from dataclasses import replace
from math import ceil

from fastcnn.graph.problem import Problem
from fastcnn.kernels.cpu.simd.register_tile import LANES
from fastcnn.kernels.shared.winograd import FORMS, TAPS

MANY_CHANNELS = 8 * LANES  # from which on tiles lie an odd number of cache lines apart


class Tiling:
    """An image cut into tiles of m x m outputs, and the strides of what is made of them.

    `outputs` is m for the usual kernels: tiles of inputs are as large for all, so that larger
    kernels leave a smaller m.
    """

    def __init__(self, problem: Problem, outputs: int):
        self.taps = problem.kernel[0]
        self.m = m = outputs + TAPS - self.taps
        self.form = FORMS.index((m, self.taps))
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

    def steps(self, tiles: int, columns: int) -> tuple[int, int]:
        """Return the bytes between tiles of so many floats, and between basis elements of them."""
        tile = 4 * columns if columns % LANES or columns < MANY_CHANNELS else odd_lines(4 * columns)
        return tile, odd_lines(tiles * tile)

    @property
    def sizes(self) -> dict[str, int]:
        """What a transform must know of the tiles: which matrices, and their sides."""
        return {"form": self.form, "m": self.m, "taps": self.taps}

    def geometry(self, source: Problem) -> dict[str, int]:
        """Return the numbers of a transform that reads an image."""
        return {
            **self.sizes,
            "tiles_h": self.high,
            "tiles_w": self.wide,
            "x_row": 4 * source.padded_width * source.channels,
            "x_column": 4 * source.channels,
            "channels": source.channels,
        }


def odd_lines(size: int) -> int:
    """Round a number of bytes up to an odd number of cache lines."""
    lines = ceil(size / 64)
    return 64 * (lines + 1 - lines % 2)
