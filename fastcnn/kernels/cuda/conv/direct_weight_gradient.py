"""The kernel's gradient by direct convolution: tiles of pixels, K slices, sums in order.

The number of K slices depends on the problem and on the largest batch only, and K slice s takes the
tiles s, s + k_slices, ...: the same images give the same bits, however many there are.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import ceil

from fastcnn.graph.problem import Problem
from fastcnn.kernels.call import BATCH, Calls, Region
from fastcnn.kernels.cuda.conv.direct_naive import direct_plain_gradient
from fastcnn.kernels.cuda.conv.direct_tile_selection import BUSY
from fastcnn.kernels.cuda.conv.weight_gradient_kernel import gradient_kernel
from fastcnn.kernels.cuda.conv.weight_gradient_loading import GROUPED_THREADS, GradientTile
from fastcnn.kernels.cuda.gemm.split_k import fold, fold_time, k_slices_region
from fastcnn.kernels.cuda.runtime.cost_model import LAUNCH, MULTIPLY_ADDS, PROCESSORS, kernel_time
from fastcnn.kernels.shared.axis import Axis, forward_axis, geometry, image_strides

TILES = (GradientTile(64, 8, 2, 16), GradientTile(32, 8, 2, 16), GradientTile(16, 4, 1, 4))
KERNELS = {tile: gradient_kernel(tile) for tile in TILES}

COLUMN_BITS = range(2, 6)  # tiles are 4, 8, 16 or 32 pixels wide
K_SLICES = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512)
SCRATCH = 16 << 20  # floats of all K slices together
EACH_LOAD = 14  # instructions that bring four floats into shared memory
EACH_TILE = 400  # instructions, or as much waiting, of four meetings of the threads and the table
PLAIN_SHARE = 0.05  # of the instructions of the kernel without tiles that are multiply-adds


@dataclass(frozen=True)
class GradientPlan:
    """A tile, how it is laid over pixels and taps, and its time in nanoseconds.

    The names are those of the kernel's numbers.
    """

    tile: GradientTile
    tile_rows: int
    column_bits: int
    plane_rows: int
    phase: int
    row_threads: int
    pixel_groups: int
    row_tiles: int
    k_slices: int
    time: float

    @property
    def values(self) -> dict[str, int]:
        return {name: value for name, value in vars(self).items() if name not in ("tile", "time")}


@lru_cache(maxsize=1024)
def plan(problem: Problem, images: int) -> GradientPlan | None:
    """Return the cheapest plan; None where no tile's part of the image fits in shared memory."""
    plans = [
        candidate
        for tile in TILES
        for column_bits in COLUMN_BITS
        for candidate in _plans(tile, column_bits, problem, images)
    ]
    return min(plans, key=lambda candidate: candidate.time, default=None)


def _plans(
    tile: GradientTile, column_bits: int, problem: Problem, images: int
) -> list[GradientPlan]:
    rows, columns = forward_axis(problem, 0), forward_axis(problem, 1)
    wide = 1 << column_bits
    # Columns of each remainder by the stride, those that no output of the tile meets included.
    phase = ceil(((wide - 1) * columns.stride + columns.reach) / columns.stride)
    most = min(rows.out_size, tile.pixels // wide)
    while most > 0 and _plane_rows(rows, most) * phase * columns.stride > tile.positions:
        most -= 1
    if most == 0 or (wide > 4 and wide >= 2 * columns.out_size):
        return []
    high = ceil(rows.out_size / ceil(rows.out_size / most))
    tiles = ceil(rows.out_size / high) * ceil(columns.out_size / wide) * images

    across = tile.filters // tile.wide
    row_threads = ceil(rows.taps * columns.taps * tile.slice / 4 / tile.quads)
    row_tiles = ceil(row_threads * across / GROUPED_THREADS)
    row_threads = ceil(row_threads / row_tiles)
    groups = 1
    while 2 * groups * row_threads * across <= GROUPED_THREADS and 8 * groups <= high * wide:
        groups *= 2
    laid = (tile, high, column_bits, _plane_rows(rows, high), phase, row_threads, groups, row_tiles)
    size = problem.kernel[0] * problem.kernel[1] * problem.channels_per_group * problem.filters
    return [
        GradientPlan(
            *laid, k_slices, _time(*laid, k_slices, columns.stride, problem, tiles, images)
        )
        for k_slices in K_SLICES
        if k_slices == 1 or (k_slices <= tiles and k_slices * size <= SCRATCH)
    ]


def _plane_rows(axis: Axis, rows: int) -> int:
    return (rows - 1) * axis.stride + axis.reach


def _time(
    tile: GradientTile,
    high: int,
    column_bits: int,
    plane_rows: int,
    phase: int,
    row_threads: int,
    groups: int,
    row_tiles: int,
    k_slices: int,
    stride: int,
    problem: Problem,
    tiles: int,
    images: int,
) -> float:
    """Estimate the nanoseconds of the sums and of adding up the K slices."""
    threads = row_threads * groups * (tile.filters // tile.wide)
    pixels, sums = high << column_bits, 4 * tile.quads * tile.wide
    each_pixel = sums + tile.quads + tile.wide // 4 + 3
    loads = plane_rows * phase * stride * tile.slice + pixels * tile.filters
    instructions = pixels / groups * each_pixel + EACH_LOAD * loads / 4 / threads + EACH_TILE
    blocks = row_tiles * problem.groups * ceil(problem.filters_per_group / tile.filters)
    blocks *= ceil(problem.channels_per_group / tile.slice)
    done = ceil(tiles / k_slices) * k_slices * blocks * threads * pixels / groups * sums
    kernel = problem.kernel[0] * problem.kernel[1] * problem.channels_per_group * problem.filters
    traffic = problem.height * problem.width * problem.channels
    traffic += problem.out_height * problem.out_width * problem.filters
    main = kernel_time(
        done,
        4.0 * images * traffic + 4.0 * k_slices * kernel,
        ceil(blocks * k_slices * threads / GROUPED_THREADS),
        BUSY * pixels / groups * sums / instructions,
    )
    return main + fold_time(kernel, k_slices)


def time(problem: Problem, images: int) -> float:
    """Estimate the nanoseconds of a batch."""
    chosen = plan(problem, images)
    if chosen is not None:
        return chosen.time
    return LAUNCH + images * problem.multiply_adds / (MULTIPLY_ADDS * PLAIN_SHARE)


def dw(calls: Calls, problem: Problem, x: Region, dy: Region, gradient: Region) -> None:
    """Emit gradient[KH, KW, C / groups, F] = the sum over images and pixels of x dy."""
    rows, columns = forward_axis(problem, 0), forward_axis(problem, 1)
    taps = problem.kernel[0] * problem.kernel[1]
    size = taps * problem.channels_per_group * problem.filters
    pixels = problem.height * problem.width
    values = {
        **geometry(rows, columns),
        **image_strides(rows, columns, problem.width, pixels, problem.channels),
        "inner": problem.channels_per_group,
        "outputs": problem.filters_per_group,
        "groups": problem.groups,
    }
    chosen = plan(problem, calls.images)
    if chosen is None:
        kernel, k_slices = direct_plain_gradient, _plain_k_slices(size, calls.images)
        values["k_slices"] = k_slices
    else:
        kernel, k_slices = KERNELS[chosen.tile], chosen.k_slices
        # Vectors of four numbers, where every row of them begins at 16 bytes.
        values |= chosen.values | {
            "x_vectorized": problem.channels_per_group % 4 == 0,
            "y_vectorized": problem.filters_per_group % 4 == 0,
        }
    sums = gradient if k_slices == 1 else k_slices_region(k_slices, size)
    calls.emit(kernel, BATCH, "partial", {"x": x, "dy": dy, "partial": sums}, **values)
    if k_slices > 1:
        fold(calls, sums, gradient, k_slices, size)


def _plain_k_slices(size: int, images: int) -> int:
    """Return how many K slices give every multiprocessor some threads."""
    return max(1, min(images, PROCESSORS * 1024 // size))
