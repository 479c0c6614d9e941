"""The kernels of direct convolution: shared-memory tiles of the image, register tiles of sums.

A block owns `rows` rows of the output, `runs` runs of RUN neighbouring pixels of each, and a tile
of filters. Output rows are counted through the whole batch, so a block may begin in one image and
end in the next, and small images leave no thread without work. In shared memory lie

- the image's pixels that the block's outputs reach, [slice][plane_rows][plane_columns], for a
  slice of the channels: each is read from global memory once for all taps;
- the kernel's rows for this slice, [slice][kernel_rows][taps_w][filters].

Each thread keeps RUN x WIDE sums in registers. Where the number of taps of a kernel row is known,
a thread loads the RUN + taps - 1 pixels of a row into registers once and slides over them: for
taps_w 3, 10 loads of one number and 6 of four for 192 multiply-adds, where a matrix product would
do 24 and 6.

Which pixel of the image each place of the plane holds is the same for every slice: it is worked
out once a block, into a table of offsets. The method is that of

A. Lavin, maxDNN: An Efficient Convolution Kernel for Deep Learning with Maxwell GPUs, 2015,

without its matrix: V. Volkov and J. Demmel, Benchmarking GPUs to Tune Dense Linear Algebra, 2008,
for register tiles that outweigh shared memory.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
from numba import float32, int32, int64

from fastcnn.kernels.cuda.conv.direct_loading import (
    COLUMN,
    FILTER,
    GAP,
    GROUP,
    IMAGE,
    IMAGE_FLOATS,
    KERNEL_FLOATS,
    PLANE,
    ROW_OF_IMAGE,
    TABLE,
    Tile,
    fill_offsets,
    fill_table,
    finders,
    kernel_loader,
    load_plane,
)
from fastcnn.kernels.cuda.runtime.device import cuda
from fastcnn.kernels.cuda.runtime.kernel import Floats, Int, Kernel, inline, register
from fastcnn.kernels.cuda.runtime.memory_access import (
    is_aligned,
    read,
    read_vector,
    shared_floats,
    write,
    write_vector,
)

REGISTERS = 128  # of a thread, at most: two blocks of 256 threads share a multiprocessor


def multiplier(tile: Tile) -> Callable:
    """Return the function that adds a slice's products to a thread's sums."""
    run, wide, half = tile.run, tile.wide, tile.filters // 2
    pitch, taps, stride = tile.filters + GAP, tile.taps_w, tile.stride_w
    reach = (run - 1) * stride + taps

    @inline
    def load_weights(weights, at, w):
        for j in range(0, wide, 4):
            w[j], w[j + 1], w[j + 2], w[j + 3] = read_vector(weights, at, j // 4 * half)

    @inline
    def multiply_window(
        sums, pixels, w, plane, weights, x_at, w_at, slice_now, kernel_rows, taps_w,
        plane_size, x_down, stride_w, x_right,
    ):  # fmt: skip
        for _channel in range(slice_now):
            at = x_at
            for _row in range(kernel_rows):
                for i in range(reach):
                    pixels[i] = read(plane, at, i)
                for tap in range(taps):
                    load_weights(weights, w_at, w)
                    w_at = int32(w_at + pitch)
                    for i in range(run):
                        for j in range(wide):
                            sums[i, j] += pixels[i * stride + tap] * w[j]
                at = int32(at + x_down)
            x_at = int32(x_at + plane_size)

    @inline
    def multiply_taps(
        sums, pixels, w, plane, weights, x_at, w_at, slice_now, kernel_rows, taps_w,
        plane_size, x_down, stride_w, x_right,
    ):  # fmt: skip
        for _channel in range(slice_now):
            at = x_at
            for _row in range(kernel_rows):
                right = at
                for _tap in range(taps_w):
                    for i in range(run):
                        step = stride if stride > 0 else stride_w
                        pixels[i] = read(plane, right, i * step)
                    load_weights(weights, w_at, w)
                    w_at = int32(w_at + pitch)
                    for i in range(run):
                        for j in range(wide):
                            sums[i, j] += pixels[i] * w[j]
                    right = int32(right + x_right)
                at = int32(at + x_down)
            x_at = int32(x_at + plane_size)

    return multiply_window if taps else multiply_taps


@cache
def storer(run: int) -> Callable:
    """Return the function that completes four filters' sums and writes them."""

    @inline
    def store(
        sums, part, w, scale, bias, y, at, y_pixel, f, filters_now, pixels_now, relu, in_vectors
    ):
        least = float32(0) if relu else float32(-np.inf)
        for j in range(4):
            times, plus = float32(1), float32(0)
            if scale.size > 0:
                times = read(scale, f, min(j, filters_now - 1))
            if bias.size > 0:
                plus = read(bias, f, min(j, filters_now - 1))
            for i in range(run):
                value = sums[i, part + j] * times + plus
                sums[i, part + j] = least if value < least else value
        for i in range(run):
            if i < pixels_now:
                if in_vectors:
                    values = sums[i, part], sums[i, part + 1], sums[i, part + 2], sums[i, part + 3]
                    write_vector(y, at, 0, values)
                else:
                    for j in range(4):
                        if j < filters_now:
                            write(y, at, j, sums[i, part + j])
            at += y_pixel

    return store


def tile_kernel(tile: Tile) -> Kernel:
    """Make the kernel y = x * kernel (* scale + bias, ReLU) for one register tile.

    Output (row, column) of an image sums x at (row * stride_h - top + tap * dilation_h, ...); `x_`,
    `w_` and `y_` numbers are floats from one element to the next, so that the gradient of the
    input is a convolution too: of dy, with the kernel's taps backwards and its axes swapped.
    """
    run, wide, filters, threads = tile.run, tile.wide, tile.filters, tile.threads
    columns_of_threads, half = filters // wide, filters // 2
    held = (run - 1) * tile.stride_w + tile.taps_w if tile.taps_w else run
    find_tile, place = finders(run, wide, filters)
    load_kernel, multiply, store = kernel_loader(filters, threads), multiplier(tile), storer(run)

    def body(
        count: Int, x: Floats, kernel: Floats, bias: Floats, scale: Floats, y: Floats,
        height: Int, width: Int, x_first: Int, x_image: Int, x_row: Int, x_pixel: Int, inner: Int,
        out_height: Int, out_width: Int, outputs: Int, groups: Int,
        y_first: Int, y_image: Int, y_row: Int, y_pixel: Int,
        taps_h: Int, taps_w: Int, stride_h: Int, stride_w: Int, dilation_h: Int, dilation_w: Int,
        top: Int, left: Int, w_first: Int, w_h: Int, w_w: Int, w_i: Int, w_o: Int, w_group: Int,
        relu: Int, rows: Int, runs: Int, plane_rows: Int, plane_columns: Int, plane_size: Int,
        slice_size: Int, lane_bits: Int, kernel_rows: Int, vectorized: Int,
    ):  # fmt: skip
        plane = cuda.shared.array(IMAGE_FLOATS, float32)
        weights = shared_floats(KERNEL_FLOATS)
        offsets = cuda.shared.array(PLANE, int32)
        table = cuda.shared.array(TABLE, int32)
        block = cuda.shared.array(6, int32)
        sums = cuda.local.array((run, wide), float32)
        pixels = cuda.local.array(held, float32)
        w = cuda.local.array(8, float32)
        stage = cuda.local.array(6, float32)
        thread = cuda.threadIdx.x

        if thread == 0:
            find_tile(block, cuda.blockIdx.x, rows, runs, out_height, out_width, outputs, groups)
        cuda.syncthreads()
        # Rows of the plane are counted through the images too, each with its padding.
        image_rows = int32((out_height - 1) * stride_h + (taps_h - 1) * dilation_h + 1)
        plane_first = block[ROW_OF_IMAGE] * stride_h
        fill_offsets(
            offsets, block[IMAGE], plane_first, block[COLUMN] * stride_w - left, count,
            height, width, x_image, x_row, x_pixel, image_rows, top,
            plane_rows, plane_columns, threads,
        )  # fmt: skip
        taps = int32(kernel_rows * taps_w)
        fill_table(table, int32(slice_size * taps), taps, taps_w, w_i, w_h, w_w, threads)

        # Which sums are this thread's.
        filter_thread = int32(thread & (columns_of_threads - 1))
        run_row, image, row, column = place(block, thread, runs, out_height)
        busy = run_row < rows and block[IMAGE] + image < count and column < out_width
        busy = busy and block[FILTER] + filter_thread * 4 < outputs
        x_at = (image * image_rows + row * stride_h - plane_first) * plane_columns
        x_at = int32(x_at + (column - block[COLUMN]) * stride_w)
        for i in range(run):
            for j in range(wide):
                sums[i, j] = float32(0)

        for c0 in range(0, inner, slice_size):
            slice_now = int32(min(slice_size, inner - c0))
            for k0 in range(0, taps_h, kernel_rows):
                cuda.syncthreads()
                if k0 == 0:
                    x_now = x_first + block[IMAGE] * x_image + block[GROUP] * inner + c0
                    load_plane(
                        plane, offsets, x, x_now, slice_now, lane_bits,
                        int32(plane_rows * plane_columns), plane_size, threads, stage,
                    )  # fmt: skip
                w_now = int32(block[FILTER] * w_o + block[GROUP] * w_group + c0 * w_i + k0 * w_h)
                w_now = int32(w_now + w_first)
                load_kernel(
                    weights, table, kernel, w_now, taps, slice_now, outputs - block[FILTER],
                    w_i, w_o, stage,
                )  # fmt: skip
                cuda.syncthreads()
                if busy:
                    multiply(
                        sums, pixels, w, plane, weights,
                        int32(x_at + k0 * dilation_h * plane_columns), int32(filter_thread * 4),
                        slice_now, kernel_rows, taps_w,
                        plane_size, int32(dilation_h * plane_columns), stride_w, dilation_w,
                    )  # fmt: skip

        cuda.syncthreads()
        if not busy:
            return
        run_row, image, row, column = place(block, thread, runs, out_height)
        first = int32(block[FILTER] + filter_thread * 4)
        f = int32(block[GROUP] * outputs + first)
        y_at = y_first + (block[IMAGE] + image) * y_image + row * y_row + column * y_pixel + f
        left_w, left_f = int32(out_width - column), int32(outputs - first)
        in_vectors = vectorized != 0 and is_aligned(y)
        # A literal number would be another type, for which the function would be compiled again.
        part = int64(0)
        store(sums, part, w, scale, bias, y, y_at, y_pixel, f, left_f, left_w, relu, in_vectors)
        if wide == 8 and left_f > half:
            y_at += half
            f, left_f = int32(f + half), int32(left_f - half)
            part = int64(4)
            store(sums, part, w, scale, bias, y, y_at, y_pixel, f, left_f, left_w, relu, in_vectors)

    def launch(count: int, values: dict[str, int]) -> tuple[int, int]:
        column_tiles = -(-values["out_width"] // (values["runs"] * run))
        row_tiles = -(-values["out_height"] * count // values["rows"])
        filter_tiles = -(-values["outputs"] // filters)
        return row_tiles * column_tiles * filter_tiles * values["groups"], threads

    body.__name__ = body.__qualname__ = tile.name
    return register(Kernel(body, launch, most_registers=REGISTERS))
