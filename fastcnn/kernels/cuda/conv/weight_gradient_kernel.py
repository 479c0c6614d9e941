"""The kernels of direct convolution's kernel gradient: sums over the pixels, in registers.

A block owns all taps of a slice of channels, or a part of them, and a tile of filters; of the
batch's tiles of pixels it takes those of its K slice, one after the other. In shared memory lie the
image's pixels that a tile reaches, [position][slice], read from global memory once for all taps,
and the tile's output gradient, [pixel][filters]. A thread keeps the sums of some quads, four
channels of a tap, times WIDE filters: a pixel costs it a 16-byte load for each quad and each four
filters, and 16 multiply-adds for each pair of them.

Columns of the image lie in the order of their remainder by the stride: the inputs of neighbouring
outputs are neighbours for every stride. Where the quads are few, groups of threads take different
pixels; their sums are added in a tree at the end. Each K slice's sums go to memory of their own.
"""

from __future__ import annotations

from collections.abc import Callable

from numba import float32, int32, int64

from fastcnn.kernels.cuda.conv.direct_kernel import REGISTERS
from fastcnn.kernels.cuda.conv.weight_gradient_loading import (
    CHANNEL,
    COLUMN,
    FILTER,
    GROUP,
    IMAGE,
    IMAGE_FLOATS,
    K_SLICE,
    OUTPUT_FLOATS,
    POSITIONS,
    QUAD,
    ROW,
    GradientTile,
    fill_positions,
    find_pixels,
    loaders,
)
from fastcnn.kernels.cuda.runtime.device import cuda
from fastcnn.kernels.cuda.runtime.indexing import quotient
from fastcnn.kernels.cuda.runtime.kernel import Floats, Int, Kernel, inline, register
from fastcnn.kernels.cuda.runtime.memory_access import (
    is_aligned,
    read,
    read_vector,
    shared_floats,
    write,
    write_vector,
)

STAGE_FLOATS = IMAGE_FLOATS + OUTPUT_FLOATS


def multiplier(tile: GradientTile) -> Callable:
    """Return the function that adds a tile's products to a thread's sums."""
    quads, wide, half, pitch = tile.quads, tile.wide, tile.filters // 2, tile.slice

    @inline
    def multiply_pixel(sums, stage, a, b, first, second, out, u):
        for q in range(quads):
            at = first if q == 0 else second
            a[4 * q], a[4 * q + 1], a[4 * q + 2], a[4 * q + 3] = read_vector(stage, at, u * pitch)
        for j in range(0, wide, 4):
            vector = read_vector(stage, out, u * tile.filters + j // 4 * half)
            b[j], b[j + 1], b[j + 2], b[j + 3] = vector
        for i in range(4 * quads):
            for j in range(wide):
                sums[i, j] += a[i] * b[j]

    @inline
    def multiply(
        sums, stage, a, b, first, second, filter_at,
        group, groups, tile_rows, column_bits, row_step,
    ):  # fmt: skip
        """Four neighbouring pixels at a time; `row_step` floats lie between two rows of them."""
        bits = int32(column_bits - 2)
        for pixels in range(group, int32(tile_rows << bits), groups):
            down, across = int32(pixels >> bits), int32(pixels & ((1 << bits) - 1))
            pixel = int32(down * row_step + across * 4 * pitch)
            out = int32(IMAGE_FLOATS + pixels * 4 * tile.filters + filter_at)
            at, other = int32(first + pixel), int32(second + pixel)
            # No loop: one of so many instructions would stay a loop. No literals: each is a type,
            # for which the function would be compiled again.
            multiply_pixel(sums, stage, a, b, at, other, out, int64(0))
            multiply_pixel(sums, stage, a, b, at, other, out, int64(1))
            multiply_pixel(sums, stage, a, b, at, other, out, int64(2))
            multiply_pixel(sums, stage, a, b, at, other, out, int64(3))

    return multiply


def adder(tile: GradientTile) -> Callable:
    """Return the function that adds the sums of groups of threads in a tree."""
    quads, wide = tile.quads, tile.wide

    @inline
    def add_groups(sums, stage, thread, group, group_threads, groups):
        half = groups >> 1
        while half > 0:
            step = int32(half * group_threads)
            cuda.syncthreads()
            if group >= half and group < 2 * half:
                at = int32(thread - step)
                for i in range(4 * quads):
                    for j in range(wide):
                        write(stage, at, 0, sums[i, j])
                        at = int32(at + step)
            cuda.syncthreads()
            if group < half:
                at = int32(thread)
                for i in range(4 * quads):
                    for j in range(wide):
                        sums[i, j] += read(stage, at, 0)
                        at = int32(at + step)
            half >>= 1

    return add_groups


def gradient_kernel(tile: GradientTile) -> Kernel:
    """Make the kernel sums[k_slice, taps_h, taps_w, C / groups, F] = x^T dy of a slice's pixels."""
    filters, wide, quads, slice_size = tile
    threads_across, half = filters // wide, filters // 2
    bits = threads_across.bit_length() - 1
    quads_of_tap, held = slice_size // 4, 4 * quads
    load_image, load_output = loaders(tile)
    multiply, add_groups = multiplier(tile), adder(tile)

    @inline
    def find_sums(block, number, outputs, groups, inner, row_tiles, row_threads):
        filter_tiles = quotient(outputs + filters - 1, filters)
        rest = quotient(number, filter_tiles)
        block[FILTER] = (number - rest * filter_tiles) * filters
        number = rest
        rest = quotient(number, row_tiles)
        block[QUAD] = (number - rest * row_tiles) * row_threads * quads
        number = rest
        slices = quotient(inner + slice_size - 1, slice_size)
        rest = quotient(number, slices)
        block[CHANNEL] = (number - rest * slices) * slice_size
        block[K_SLICE] = quotient(rest, groups)
        block[GROUP] = rest - block[K_SLICE] * groups

    @inline
    def tap_of(quad, taps):
        return min(quotient(quad, quads_of_tap), int32(taps - 1))

    @inline
    def place(quad, taps_h, taps_w, dilation_h, dilation_w, phase, stride_w):
        """Where a quad of the first pixel lies in shared memory."""
        tap = tap_of(quad, taps_h * taps_w)
        down = quotient(tap, taps_w)
        across = int32((tap - down * taps_w) * dilation_w)
        whole = quotient(across, stride_w)
        position = (across - whole * stride_w) * phase + whole
        position += down * dilation_h * phase * stride_w
        return int32(position * slice_size + quad % quads_of_tap * 4)

    @inline
    def store(
        sums, q, partial, block, quad, taps, inner, outputs, groups, first_filter, vectorized
    ):
        c = int32(block[CHANNEL] + quad % quads_of_tap * 4)
        tap = quotient(quad, quads_of_tap)
        at = ((block[K_SLICE] * taps + tap) * inner + c) * groups + block[GROUP]
        at = at * outputs + first_filter
        for i in range(4):
            if tap < taps and c + i < inner:
                for part in range(0, wide, 4):
                    f = first_filter + part // 4 * half
                    if vectorized and f < outputs:
                        vector = (
                            sums[4 * q + i, part],
                            sums[4 * q + i, part + 1],
                            sums[4 * q + i, part + 2],
                            sums[4 * q + i, part + 3],
                        )
                        write_vector(partial, at, part // 4 * half, vector)
                    else:
                        for j in range(4):
                            if f + j < outputs:
                                write(partial, at, part // 4 * half + j, sums[4 * q + i, part + j])
            at += groups * outputs

    def body(
        count: Int, x: Floats, dy: Floats, partial: Floats,
        height: Int, width: Int, x_first: Int, x_image: Int, x_row: Int, x_pixel: Int, inner: Int,
        out_height: Int, out_width: Int, outputs: Int, groups: Int,
        taps_h: Int, taps_w: Int, stride_h: Int, stride_w: Int, dilation_h: Int, dilation_w: Int,
        top: Int, left: Int, tile_rows: Int, column_bits: Int, plane_rows: Int, phase: Int,
        row_threads: Int, pixel_groups: Int, row_tiles: Int, k_slices: Int,
        x_vectorized: Int, y_vectorized: Int,
    ):  # fmt: skip
        stage = shared_floats(STAGE_FLOATS)
        offsets = cuda.shared.array(POSITIONS, int32)
        block = cuda.shared.array(8, int32)
        sums = cuda.local.array((held, wide), float32)
        a = cuda.local.array(held, float32)
        b = cuda.local.array(wide, float32)
        thread = int32(cuda.threadIdx.x)
        if thread == 0:
            find_sums(block, cuda.blockIdx.x, outputs, groups, inner, row_tiles, row_threads)
        cuda.syncthreads()
        filter_at = int32((thread & (threads_across - 1)) * 4)
        group = quotient(thread >> bits, row_threads)
        quad = int32(block[QUAD] + (thread >> bits) - group * row_threads)
        first = place(quad, taps_h, taps_w, dilation_h, dilation_w, phase, stride_w)
        second = place(
            quad + row_threads, taps_h, taps_w, dilation_h, dilation_w, phase, stride_w
        )  # fmt: skip
        for i in range(4 * quads):
            for j in range(wide):
                sums[i, j] = float32(0)

        columns = int32(phase * stride_w)
        tiles = quotient(out_height + tile_rows - 1, tile_rows)
        tiles = int32(tiles * ((out_width + (1 << column_bits) - 1) >> column_bits) * count)
        for number in range(block[K_SLICE], tiles, k_slices):
            cuda.syncthreads()
            if thread == 0:
                find_pixels(block, number, out_height, out_width, tile_rows, column_bits)
            cuda.syncthreads()
            fill_positions(
                offsets, block[ROW] * stride_h - top, block[COLUMN] * stride_w - left,
                height, width, x_row, x_pixel, plane_rows, phase, stride_w,
            )  # fmt: skip
            filters_now = int32(outputs - block[FILTER])
            dy_first = block[IMAGE] * out_height * out_width * groups * outputs
            dy_first += block[GROUP] * outputs + block[FILTER]
            load_output(
                stage, dy, dy_first, block[ROW], block[COLUMN], out_height, out_width,
                groups * outputs, filters_now, tile_rows, column_bits,
                y_vectorized != 0 and is_aligned(dy),
            )  # fmt: skip
            cuda.syncthreads()
            x_at = x_first + block[IMAGE] * x_image + block[GROUP] * inner + block[CHANNEL]
            channels_now = int32(inner - block[CHANNEL])
            load_image(
                stage, offsets, x, x_at, channels_now, plane_rows * columns,
                x_vectorized != 0 and is_aligned(x),
            )  # fmt: skip
            cuda.syncthreads()
            multiply(
                sums, stage, a, b, first, second, filter_at,
                group, pixel_groups, tile_rows, column_bits, int32(stride_h * columns * slice_size),
            )  # fmt: skip

        group_threads = row_threads << bits
        add_groups(sums, stage, thread, group, group_threads, pixel_groups)
        if group > 0:
            return
        vectorized = y_vectorized != 0 and is_aligned(partial)
        first_filter = int32(block[FILTER] + filter_at)
        taps = int32(taps_h * taps_w)
        store(sums, 0, partial, block, quad, taps, inner, outputs, groups, first_filter, vectorized)
        if quads == 2:
            quad = int32(quad + row_threads)
            store(
                sums,
                1,
                partial,
                block,
                quad,
                taps,
                inner,
                outputs,
                groups,
                first_filter,
                vectorized,
            )

    def launch(count: int, values: dict[str, int]) -> tuple[int, int]:
        tiles = -(-values["outputs"] // filters) * -(-values["inner"] // slice_size)
        blocks = tiles * values["row_tiles"] * values["groups"] * values["k_slices"]
        return blocks, values["row_threads"] * threads_across * values["pixel_groups"]

    body.__name__ = body.__qualname__ = tile.name
    return register(Kernel(body, launch, most_registers=REGISTERS))
