"""Which tile direct convolution takes for a problem, and what it is estimated to cost."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import ceil

from fastcnn.kernels.cuda.conv.direct_kernel import tile_kernel
from fastcnn.kernels.cuda.conv.direct_loading import (
    GAP,
    IMAGE_FLOATS,
    KERNEL_FLOATS,
    PLANE,
    TABLE,
    Tile,
)
from fastcnn.kernels.cuda.runtime.cost_model import kernel_time
from fastcnn.kernels.shared.axis import Axis

# Many filters, whose sums fill the registers; few; and small ones, for few filters or pixels. Runs
# of 7 divide the rows of 7, 14, 28 and 56 pixels of networks for ImageNet.
TILES = (
    Tile(64, 8, 8, 256, 3, 1),
    Tile(64, 8, 7, 256, 3, 1),
    Tile(32, 8, 8, 128, 3, 1),
    Tile(16, 4, 4, 256, 3, 1),
    Tile(64, 8, 7, 256, 3, 2),
    Tile(32, 8, 8, 128, 5, 1),
    Tile(16, 4, 4, 256, 5, 1),
    Tile(64, 8, 8, 256, 0, 1),
    Tile(16, 4, 4, 256, 0, 1),
    Tile(64, 8, 8, 256, 0, 0),
    Tile(16, 4, 4, 256, 0, 0),
)
KERNELS = {tile: tile_kernel(tile) for tile in TILES}

BANKS = 32
EACH_LOAD = 9  # instructions that bring a number into shared memory
EACH_SLICE = 150  # instructions, or as much waiting, of two meetings of the threads
EACH_BLOCK = 900  # of tables
EACH_STORE = 2  # of a sum
BUSY = 0.85  # of the time, at best, that instructions are issued
TYPICAL_THREADS = 256


@dataclass(frozen=True)
class Shape:
    """A convolution as the kernels see it: two axes, the channels and the filters of a group."""

    rows: Axis
    columns: Axis
    inner: int
    outputs: int
    groups: int

    @property
    def taps(self) -> int:
        return self.rows.taps * self.columns.taps

    @property
    def multiply_adds(self) -> int:
        """Of one image."""
        sums = self.rows.out_size * self.columns.out_size * self.outputs * self.groups
        return sums * self.taps * self.inner


@dataclass(frozen=True)
class Plan:
    """A tile, how it is laid over the image, and its time in nanoseconds.

    The names are those of the kernel's numbers.
    """

    tile: Tile
    rows: int
    runs: int
    plane_rows: int
    plane_columns: int
    plane_size: int
    slice_size: int
    lane_bits: int
    kernel_rows: int
    time: float = 0.0

    @property
    def values(self) -> dict[str, int]:
        """The kernel's numbers that depend on the plan."""
        names = (
            *("rows", "runs", "plane_rows", "plane_columns", "plane_size"),
            *("slice_size", "lane_bits", "kernel_rows"),
        )
        return {name: getattr(self, name) for name in names}


@lru_cache(maxsize=1024)
def plan(shape: Shape, images: int) -> Plan | None:
    """Return the cheapest plan; None where no tile's part of the image fits in shared memory."""
    plans = [
        candidate
        for tile in TILES
        if _takes(tile, shape)
        for candidate in _layouts(tile, shape, images)
    ]
    return min(plans, key=lambda candidate: candidate.time, default=None)


def _takes(tile: Tile, shape: Shape) -> bool:
    columns = shape.columns
    if tile.taps_w and (tile.taps_w != columns.taps or columns.dilation > 1):
        return False
    return tile.stride_w in (0, columns.stride)


def _layouts(tile: Tile, shape: Shape, images: int) -> list[Plan]:
    runs_of_row = ceil(shape.columns.out_size / tile.run)
    plans = []
    for bits in range(tile.runs.bit_length()):
        runs = 1 << bits
        if runs >= 2 * runs_of_row:
            break
        laid = _layout(tile, shape, images, min(runs, runs_of_row))
        if laid is not None:
            plans.append(laid)
    return plans


def _layout(tile: Tile, shape: Shape, images: int, runs: int) -> Plan | None:
    """Lay a tile so that `runs` of its runs stand side by side, and as many rows as fit."""
    columns = (runs * tile.run - 1) * shape.columns.stride + shape.columns.reach
    rows = min(tile.runs // runs, shape.rows.out_size * images)
    while rows > 1 and _plane_rows(shape.rows, rows) * columns > PLANE:
        rows -= 1
    plane_rows = _plane_rows(shape.rows, rows)
    pixels = plane_rows * columns
    if pixels > PLANE:
        return None
    lane_bits = min(3, max(0, shape.inner - 1).bit_length())
    # A warp that writes the slice, some channels of some pixels, meets each bank once.
    apart = BANKS >> lane_bits
    plane_size = pixels + (apart - pixels) % BANKS
    most_rows = min(TABLE, KERNEL_FLOATS // (tile.filters + GAP))
    taps_h, taps_w = shape.rows.taps, shape.columns.taps
    slice_size = min(1 << lane_bits, shape.inner, IMAGE_FLOATS // plane_size, most_rows // taps_w)
    if slice_size == 0 and shape.inner:
        return None
    slice_size = max(1, slice_size)
    kernel_rows = max(
        k
        for k in range(1, taps_h + 1)
        if taps_h % k == 0 and (k == 1 or _fits(k, taps_w, slice_size, most_rows))
    )
    laid = Plan(
        tile, rows, runs, plane_rows, columns, plane_size, slice_size, lane_bits, kernel_rows
    )
    return _timed(laid, shape, images)


def _fits(kernel_rows: int, taps_w: int, slice_size: int, most_rows: int) -> bool:
    return kernel_rows * taps_w * slice_size <= most_rows


def _plane_rows(axis: Axis, rows: int) -> int:
    """Return how many rows of images, stacked with their padding, `rows` rows of output reach.

    Between two outputs of an image lie `stride` rows, between two images `reach`. Tiles begin at
    multiples of `rows`, so that those of a divisor of the image's rows never meet its end.
    """
    most = 0
    for start in {k * rows % axis.out_size for k in range(axis.out_size)}:
        ends = (start + rows - 1) // axis.out_size
        most = max(most, (rows - 1 - ends) * axis.stride + ends * axis.reach + axis.reach)
    return most


def _timed(laid: Plan, shape: Shape, images: int) -> Plan:
    """Return the plan with its time for a batch of so many images."""
    tile = laid.tile
    sums, taps_w = tile.run * tile.wide, shape.columns.taps
    if tile.taps_w:
        loads = (tile.run - 1) * tile.stride_w + taps_w + taps_w * tile.wide // 4 + 8
        each_row = sums * taps_w + loads
    else:
        loads = tile.run * (1 if tile.stride_w else 2) + tile.wide // 4 + 6
        each_row = (sums + loads) * taps_w + 6
    slices, stages = ceil(shape.inner / laid.slice_size), shape.rows.taps // laid.kernel_rows
    pixels = laid.plane_rows * laid.plane_columns << laid.lane_bits
    weights = laid.slice_size * shape.taps * tile.filters
    loading = EACH_LOAD * (pixels + weights) / tile.threads + EACH_SLICE * stages
    instructions = shape.inner * shape.rows.taps * each_row + slices * loading
    instructions += EACH_BLOCK + EACH_STORE * sums
    useful = shape.inner * shape.taps * sums
    blocks = ceil(shape.rows.out_size * images / laid.rows) * shape.groups
    blocks *= ceil(shape.columns.out_size / (laid.runs * tile.run))
    blocks *= ceil(shape.outputs / tile.filters)
    pixels_moved = shape.rows.size * shape.columns.size * shape.inner * shape.groups
    sums_moved = shape.rows.out_size * shape.columns.out_size * shape.outputs * shape.groups
    time = kernel_time(
        max(1, useful) * tile.threads * blocks,
        4.0 * images * (pixels_moved + sums_moved),
        ceil(blocks * tile.threads / TYPICAL_THREADS),
        BUSY * max(1, useful) / instructions,
    )
    return Plan(**{**laid.__dict__, "time": time})
