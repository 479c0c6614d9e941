"""What the blocks of direct convolution read, and how it comes into shared memory."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

from numba import float32, int32

from fastcnn.kernels.cuda.runtime.device import cuda
from fastcnn.kernels.cuda.runtime.indexing import quotient
from fastcnn.kernels.cuda.runtime.kernel import inline
from fastcnn.kernels.cuda.runtime.memory_access import read, write

IMAGE_FLOATS = 4608  # of the image's slice
PLANE = 1152  # pixels of the image that a block holds, at most
KERNEL_FLOATS = 4896  # of the kernel's slice; 72 rows of 64 filters
GAP = 4  # floats between the kernel's rows: those of a warp then fall into different banks
TABLE = 256  # rows of the kernel's slice, at most
IMAGE_BATCH, KERNEL_BATCH = 6, 6  # loads on their way at a time

# What a block knows of its outputs, in shared memory: registers are for the sums.
IMAGE, ROW_OF_IMAGE, COLUMN, FILTER, GROUP = range(5)


class Tile(NamedTuple):
    """The sizes that a kernel is compiled for.

    `taps_w` and `stride_w` are 0 where any number will do, at a price.
    """

    filters: int  # of a block: a power of 2
    wide: int  # filters of a thread
    run: int  # pixels of a thread
    threads: int
    taps_w: int = 0
    stride_w: int = 0

    @property
    def runs(self) -> int:
        """How many runs of pixels a block computes."""
        return self.threads * self.wide // self.filters

    @property
    def name(self) -> str:
        taps = f"taps_{self.taps_w or 'any'}"
        stride = f"stride_{self.stride_w or 'any'}"
        return f"direct_{taps}_{stride}_tile_{self.run}x{self.wide}_of_{self.filters}"


@cache
def finders(run: int, wide: int, filters: int) -> tuple[Callable, Callable]:
    """Return the functions that say which outputs are a block's, and which of those a thread's."""
    bits = (filters // wide).bit_length() - 1

    @inline
    def find_tile(block, number, rows, runs, out_height, out_width, outputs, groups):
        """Filters run fastest: blocks that share pixels run together."""
        filter_tiles = quotient(outputs + filters - 1, filters)
        column_tiles = quotient(out_width + runs * run - 1, runs * run)
        rest = quotient(number, filter_tiles)
        block[FILTER] = (number - rest * filter_tiles) * filters
        number = rest
        rest = quotient(number, groups)
        block[GROUP] = number - rest * groups
        number = rest
        rest = quotient(number, column_tiles)
        block[COLUMN] = (number - rest * column_tiles) * runs * run
        image = quotient(rest * rows, out_height)
        block[IMAGE] = image
        block[ROW_OF_IMAGE] = rest * rows - image * out_height

    @inline
    def place(block, thread, runs, out_height):
        """Return row of the block, image of the block, row of that image, and first column."""
        number = int32(thread >> bits)
        run_row = quotient(number, runs)
        row = int32(block[ROW_OF_IMAGE] + run_row)
        image = quotient(row, out_height)
        column = int32(block[COLUMN] + (number - run_row * runs) * run)
        return run_row, image, int32(row - image * out_height), column

    return find_tile, place


@inline
def fill_offsets(
    offsets, first_image, first_row, first_column, count,
    height, width, x_image, x_row, x_pixel, image_rows, top, plane_rows, plane_columns, threads,
):  # fmt: skip
    """offsets[p] = where pixel p of the plane lies in x, from the first image on; -1: nowhere."""
    for p in range(cuda.threadIdx.x, plane_rows * plane_columns, threads):
        row_of_plane = quotient(p, plane_columns)
        row = first_row + row_of_plane
        image = quotient(row, image_rows)
        row -= image * image_rows + top
        column = first_column + p - row_of_plane * plane_columns
        met = row >= 0 and row < height and column >= 0 and column < width
        offset = int32(-1)
        if met and first_image + image < count:
            offset = int32(image * x_image + row * x_row + column * x_pixel)
        write(offsets, p, 0, offset)


@inline
def load_plane(plane, offsets, x, first, slice_now, lane_bits, pixels, stride, threads, stage):
    """plane[c * stride + p] = x[first + offsets[p] + c]: neighbouring threads, channels first."""
    thread = cuda.threadIdx.x
    c = int32(thread & ((1 << lane_bits) - 1))
    step = int32(threads >> lane_bits)
    if c < slice_now:
        to = int32(c * stride)
        for p0 in range(int32(thread >> lane_bits), pixels, int32(IMAGE_BATCH * step)):
            for j in range(IMAGE_BATCH):
                # Without a branch, so that all loads are on their way at once.
                offset = read(offsets, min(int32(p0 + j * step), int32(pixels - 1)), 0)
                value = read(x, first + c, max(offset, int32(0)))
                stage[j] = value if offset >= 0 else float32(0)
            for j in range(IMAGE_BATCH):
                p = int32(p0 + j * step)
                if p < pixels:
                    write(plane, int32(to + p), 0, stage[j])


@inline
def fill_table(table, size, taps, taps_w, w_i, w_h, w_w, threads):
    """table[r] = where row r of the slice of the kernel, (channel, tap), lies from its first."""
    for r in range(cuda.threadIdx.x, size, threads):
        c = quotient(r, taps)
        tap = int32(r - c * taps)
        down = quotient(tap, taps_w)
        write(table, r, 0, int32(c * w_i + down * w_h + (tap - down * taps_w) * w_w))


@cache
def kernel_loader(filters: int, threads: int) -> Callable:
    """Return the function that brings a slice of the kernel into shared memory."""
    bits = filters.bit_length() - 1
    pitch = filters + GAP
    rows_at_once = threads // filters
    pairs_at_once = threads // 8

    @inline
    def load_rows(weights, table, kernel, first, rows, outputs_now, stage):
        """Neighbouring threads take neighbouring filters."""
        f = int32(cuda.threadIdx.x & (filters - 1))
        start = int32(cuda.threadIdx.x >> bits)
        f_read = min(f, int32(outputs_now - 1))
        for r0 in range(start, int32(rows), int32(KERNEL_BATCH * rows_at_once)):
            for j in range(KERNEL_BATCH):
                r = min(int32(r0 + j * rows_at_once), int32(rows - 1))
                value = read(kernel, first + f_read, read(table, r, 0))
                stage[j] = value if f < outputs_now else float32(0)
            to = int32(r0 * pitch + f)
            for j in range(KERNEL_BATCH):
                r = int32(r0 + j * rows_at_once)
                if r < rows:
                    write(weights, to, j * rows_at_once * pitch, stage[j])

    @inline
    def load_columns(weights, table, kernel, first, taps, slice_now, outputs_now, w_i, w_o, stage):
        """Neighbouring threads take neighbouring channels: the kernel is read transposed."""
        c = int32(cuda.threadIdx.x & 7)
        if c < slice_now:
            start, last = int32(cuda.threadIdx.x >> 3), int32(taps - 1)
            for e0 in range(start, int32(taps << bits), int32(KERNEL_BATCH * pairs_at_once)):
                for j in range(KERNEL_BATCH):
                    e = int32(e0 + j * pairs_at_once)
                    tap, f = min(int32(e >> bits), last), int32(e & (filters - 1))
                    down = min(f, int32(outputs_now - 1)) * w_o
                    value = read(kernel, int32(first + c * w_i + down), read(table, tap, 0))
                    stage[j] = value if f < outputs_now else float32(0)
                for j in range(KERNEL_BATCH):
                    e = int32(e0 + j * pairs_at_once)
                    tap, f = int32(e >> bits), int32(e & (filters - 1))
                    if tap < taps:
                        write(weights, int32((c * taps + tap) * pitch + f), 0, stage[j])

    @inline
    def load(weights, table, kernel, first, taps, slice_now, outputs_now, w_i, w_o, stage):
        if w_o == 1:
            load_rows(weights, table, kernel, first, slice_now * taps, outputs_now, stage)
        else:
            load_columns(
                weights, table, kernel, first, taps, slice_now, outputs_now, w_i, w_o, stage
            )

    return load
