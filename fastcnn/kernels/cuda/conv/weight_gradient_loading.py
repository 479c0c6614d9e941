"""What the blocks of the kernel's gradient read, and how it comes into shared memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from numba import float32, int32

from fastcnn.kernels.cuda.runtime.device import cuda
from fastcnn.kernels.cuda.runtime.indexing import quotient
from fastcnn.kernels.cuda.runtime.kernel import inline
from fastcnn.kernels.cuda.runtime.memory_access import read, read_vector, write, write_vector

IMAGE_FLOATS, OUTPUT_FLOATS = 4096, 4096  # of a tile, in shared memory
POSITIONS = 1024  # of the image, at most
GROUPED_THREADS = 256  # of a block whose groups' sums are added in shared memory, at most

# What a block knows of its sums, in shared memory.
FILTER, QUAD, CHANNEL, GROUP, K_SLICE, IMAGE, ROW, COLUMN = range(8)


class GradientTile(NamedTuple):
    """The sizes that a kernel is compiled for."""

    filters: int  # of a block: a power of 2
    wide: int  # filters of a thread
    quads: int  # of a thread
    slice: int  # channels of a block

    @property
    def positions(self) -> int:
        """Of the image that fit, at most."""
        return min(POSITIONS, IMAGE_FLOATS // self.slice)

    @property
    def pixels(self) -> int:
        """Of the output that fit, at most."""
        return OUTPUT_FLOATS // self.filters

    @property
    def name(self) -> str:
        return f"direct_gradient_tile_{4 * self.quads}x{self.wide}_of_{self.filters}"


@inline
def find_pixels(block, tile_number, out_height, out_width, tile_rows, column_bits):
    """Which image, first row and first column a tile of pixels has."""
    column_tiles = int32((out_width + (1 << column_bits) - 1) >> column_bits)
    row_tiles = quotient(out_height + tile_rows - 1, tile_rows)
    rest = quotient(tile_number, column_tiles)
    block[COLUMN] = (tile_number - rest * column_tiles) << column_bits
    image = quotient(rest, row_tiles)
    block[IMAGE] = image
    block[ROW] = (rest - image * row_tiles) * tile_rows


@inline
def fill_positions(
    offsets, first_row, first_column, height, width, x_row, x_pixel, plane_rows, phase, stride_w
):
    """offsets[p] = where position p lies in its image, or -1 where there is nothing."""
    columns = int32(phase * stride_w)
    step = int32(cuda.blockDim.x)
    for p in range(int32(cuda.threadIdx.x), int32(plane_rows * columns), step):
        down = quotient(p, columns)
        across = int32(p - down * columns)
        remainder = quotient(across, phase)
        row = first_row + down
        column = first_column + (across - remainder * phase) * stride_w + remainder
        offset = int32(-1)
        if row >= 0 and row < height and column >= 0 and column < width:
            offset = int32(row * x_row + column * x_pixel)
        write(offsets, p, 0, offset)


@inline
def load_vector(array, start, offset, numbers, vectorized):
    """Return four floats, of which the first `numbers` exist: the others are 0."""
    zero = float32(0)
    if numbers <= 0:
        return zero, zero, zero, zero
    if vectorized:
        return read_vector(array, start, offset)
    return (
        read(array, start, offset),
        read(array, start, offset + 1) if numbers > 1 else zero,
        read(array, start, offset + 2) if numbers > 2 else zero,
        read(array, start, offset + 3) if numbers > 3 else zero,
    )


def loaders(tile: GradientTile) -> tuple[Callable, Callable]:
    """Return the functions that bring a tile of pixels into shared memory."""
    slice_bits = (tile.slice // 4).bit_length() - 1
    filter_bits = (tile.filters // 4).bit_length() - 1

    @inline
    def load_image(stage, offsets, x, first, channels_now, positions, vectorized):
        units, step = int32(positions << slice_bits), int32(cuda.blockDim.x)
        for unit in range(int32(cuda.threadIdx.x), units, step):
            c = int32(unit & ((1 << slice_bits) - 1)) * 4
            offset = read(offsets, int32(unit >> slice_bits), 0)
            numbers = int32(channels_now - c) if offset >= 0 else int32(0)
            write_vector(
                stage, int32(unit * 4), 0, load_vector(x, first + c, offset, numbers, vectorized)
            )

    @inline
    def load_output(
        stage, dy, first, row, column, out_height, out_width, filters, filters_now,
        tile_rows, column_bits, vectorized,
    ):  # fmt: skip
        units, step = int32((tile_rows << column_bits) << filter_bits), int32(cuda.blockDim.x)
        for unit in range(int32(cuda.threadIdx.x), units, step):
            f = int32(unit & ((1 << filter_bits) - 1)) * 4
            pixel = int32(unit >> filter_bits)
            down, across = int32(pixel >> column_bits), int32(pixel & ((1 << column_bits) - 1))
            numbers = int32(0)
            if row + down < out_height and column + across < out_width:
                numbers = int32(filters_now - f)
            offset = ((row + down) * out_width + column + across) * filters
            vector = load_vector(dy, first + f, offset, numbers, vectorized)
            write_vector(stage, int32(IMAGE_FLOATS + unit * 4), 0, vector)

    return load_image, load_output
