"""The kernels of depthwise convolution: each channel by itself, bound by memory.

Neighbouring threads take neighbouring channels, so that a warp reads and writes whole lines of
memory. A thread computes a run of neighbouring pixels of one channel: where the taps of a kernel
row are known, it loads the pixels that the run reaches once for all of them. The rows of a block
lie below each other: what they share comes from the first-level cache.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from numba import float32, int32

from fastcnn.kernels.cuda.runtime.device import cuda
from fastcnn.kernels.cuda.runtime.indexing import quotient
from fastcnn.kernels.cuda.runtime.kernel import Floats, Int, Kernel, inline, register
from fastcnn.kernels.cuda.runtime.memory_access import inside, read, write
from fastcnn.kernels.cuda.runtime.reduction import sum_rows

THREADS = 256
LANE_BITS = 5  # neighbouring channels of a block, at most: a warp's width
ROW_BITS = 3  # rows of a block
ROWS = 1 << ROW_BITS


class Run(NamedTuple):
    """The sizes that a kernel is compiled for: 0 taps or stride stand for any number."""

    pixels: int
    taps_w: int
    stride_w: int

    @property
    def name(self) -> str:
        return f"depthwise_taps_{self.taps_w or 'any'}_stride_{self.stride_w or 'any'}"


class Piece(NamedTuple):
    """The taps of which a thread sums the gradient, neighbours; stride 0 stands for any."""

    pixels: int  # of a row that are multiplied at a time
    taps_h: int
    taps_w: int
    stride_w: int

    @property
    def name(self) -> str:
        stride = self.stride_w or "any"
        return f"depthwise_gradient_taps_{self.taps_h}x{self.taps_w}_stride_{stride}"


def row_loader(pixels: int) -> Callable:
    """Return the function that loads so many pixels of an image row, zeros outside of it."""

    @inline
    def load_row(held, x, at, column, width, step, x_pixel):
        """held[i] = pixel column + i * step of the row at `at`."""
        offset, apart = int32(column * x_pixel), int32(step * x_pixel)
        for i in range(pixels):
            held[i] = float32(0)
            if inside(int32(column + i * step), width):
                held[i] = read(x, at, offset)
            offset = int32(offset + apart)

    return load_row


def summer(run: Run) -> Callable:
    """Return the function that adds a kernel row's products to a run's sums."""
    pixels, taps, stride = run
    load_row = row_loader((pixels - 1) * stride + taps if taps else pixels)

    @inline
    def add_window(
        sums, held, x, kernel, x_at, w_at, column, width, x_pixel, taps_w, stride_w, dilation_w, w_w
    ):
        load_row(held, x, x_at, column, width, 1, x_pixel)
        for tap in range(taps):
            w = read(kernel, w_at, 0)
            w_at += w_w
            for i in range(pixels):
                sums[i] += held[i * stride + tap] * w

    @inline
    def add_taps(
        sums, held, x, kernel, x_at, w_at, column, width, x_pixel, taps_w, stride_w, dilation_w, w_w
    ):
        for _tap in range(taps_w):
            load_row(held, x, x_at, column, width, stride_w, x_pixel)
            w = read(kernel, w_at, 0)
            w_at += w_w
            column = int32(column + dilation_w)
            for i in range(pixels):
                sums[i] += held[i] * w

    return add_window if taps else add_taps


def run_kernel(run: Run) -> Kernel:
    """Make the kernel y = x * kernel (* scale + bias, ReLU), channel by channel, for one run."""
    pixels, taps, stride = run
    reach = (pixels - 1) * stride + taps if taps else pixels
    add_row = summer(run)

    def body(
        count: Int, x: Floats, kernel: Floats, bias: Floats, scale: Floats, y: Floats,
        height: Int, width: Int, x_first: Int, x_image: Int, x_row: Int, x_pixel: Int,
        channels: Int, out_height: Int, out_width: Int,
        y_first: Int, y_image: Int, y_row: Int, y_pixel: Int,
        taps_h: Int, taps_w: Int, stride_h: Int, stride_w: Int, dilation_h: Int, dilation_w: Int,
        top: Int, left: Int, w_first: Int, w_h: Int, w_w: Int, relu: Int, lane_bits: Int,
    ):  # fmt: skip
        sums = cuda.local.array(pixels, float32)
        held = cuda.local.array(reach, float32)
        thread, number = int32(cuda.threadIdx.x), int32(cuda.blockIdx.x)
        runs = int32(THREADS >> (lane_bits + ROW_BITS))
        channel_blocks = int32((channels + (1 << lane_bits) - 1) >> lane_bits)
        run_blocks = quotient(out_width + runs * pixels - 1, runs * pixels)
        rest = quotient(number, channel_blocks)
        c = int32((number - rest * channel_blocks) << lane_bits)
        c = int32(c + (thread & ((1 << lane_bits) - 1)))
        thread = int32(thread >> lane_bits)
        row = quotient(rest, run_blocks)
        column = int32((rest - row * run_blocks) * runs + (thread >> ROW_BITS)) * pixels
        row = int32(row * ROWS + (thread & (ROWS - 1)))  # counted through the batch
        image = quotient(row, out_height)
        row = int32(row - image * out_height)
        if c >= channels or image >= count or column >= out_width:
            return
        for i in range(pixels):
            sums[i] = float32(0)
        x_image_at = x_first + image * x_image + c
        w_at = w_first + c
        line = int32(row * stride_h - top)
        first = int32(column * stride_w - left)
        for _tap in range(taps_h):
            if inside(line, height):
                add_row(
                    sums, held, x, kernel, x_image_at + line * x_row, w_at,
                    first, width, x_pixel, taps_w, stride_w, dilation_w, w_w,
                )  # fmt: skip
            line = int32(line + dilation_h)
            w_at += w_h
        times, plus = float32(1), float32(0)
        if scale.size > 0:
            times = read(scale, c, 0)
        if bias.size > 0:
            plus = read(bias, c, 0)
        at = y_first + image * y_image + row * y_row + column * y_pixel + c
        for i in range(pixels):
            if column + i < out_width:
                total = sums[i] * times + plus
                if relu and total < float32(0):
                    total = float32(0)
                write(y, at, 0, total)
            at += y_pixel

    def launch(count: int, values: dict[str, int]) -> tuple[int, int]:
        runs = THREADS >> (values["lane_bits"] + ROW_BITS)
        channel_blocks = -(-values["channels"] >> values["lane_bits"])
        run_blocks = -(-values["out_width"] // (runs * pixels))
        return channel_blocks * run_blocks * -(-values["out_height"] * count // ROWS), THREADS

    body.__name__ = body.__qualname__ = run.name
    return register(Kernel(body, launch, False))


def piece_kernel(piece: Piece) -> Kernel:
    """Make the kernel partial[k_slice, taps_h, taps_w, C] = sum of x dy over a K slice's rows.

    A block takes a piece of the taps, and of the rows of the batch's output every k_slices-th set
    of as many as it has threads for a channel; these threads' sums are added in a tree.
    """
    pixels, piece_h, piece_w, stride = piece
    reach = (pixels - 1) * stride + piece_w if stride else pixels
    load_x, load_dy = row_loader(reach), row_loader(pixels)

    @inline
    def add_products(sums, held, held_dy, tap_h):
        for tap in range(piece_w):
            for i in range(pixels):
                sums[tap_h, tap] += held[i * stride + tap if stride else i] * held_dy[i]

    def body(
        count: Int, x: Floats, dy: Floats, partial: Floats,
        height: Int, width: Int, x_first: Int, x_image: Int, x_row: Int, x_pixel: Int,
        channels: Int, out_height: Int, out_width: Int,
        taps_h: Int, taps_w: Int, stride_h: Int, stride_w: Int, dilation_h: Int, dilation_w: Int,
        top: Int, left: Int, k_slices: Int, lane_bits: Int,
    ):  # fmt: skip
        shared = cuda.shared.array(THREADS, float32)
        sums = cuda.local.array((piece_h, piece_w), float32)
        held = cuda.local.array(reach, float32)
        held_dy = cuda.local.array(pixels, float32)
        thread, number = int32(cuda.threadIdx.x), int32(cuda.blockIdx.x)
        lanes = int32(1 << lane_bits)
        channel_blocks = int32((channels + lanes - 1) >> lane_bits)
        rest = quotient(number, channel_blocks)
        c = int32(((number - rest * channel_blocks) << lane_bits) + (thread & (lanes - 1)))
        pieces_w = quotient(taps_w, piece_w)
        pieces = int32(pieces_w * quotient(taps_h, piece_h))
        k_slice = quotient(rest, pieces)
        rest = int32(rest - k_slice * pieces)
        first_h = quotient(rest, pieces_w)
        first_w = int32(rest - first_h * pieces_w) * piece_w
        first_h = int32(first_h * piece_h)
        for tap_h in range(piece_h):
            for tap in range(piece_w):
                sums[tap_h, tap] = float32(0)

        rows = int32(THREADS >> lane_bits)
        start = int32(k_slice * rows + (thread >> lane_bits))
        end = int32(count * out_height) if c < channels else int32(0)
        for row in range(start, end, int32(k_slices * rows)):
            image = quotient(row, out_height)
            line = int32((row - image * out_height) * stride_h + first_h * dilation_h - top)
            x_at = x_first + image * x_image + c
            dy_at = row * out_width * channels + c
            for column in range(0, out_width, pixels):
                load_dy(held_dy, dy, dy_at, int32(column), out_width, 1, channels)
                first = int32(column * stride_w + first_w * dilation_w - left)
                for tap_h in range(piece_h):
                    input_row = int32(line + tap_h * dilation_h)
                    if inside(input_row, height):
                        load_x(
                            held, x, x_at + input_row * x_row, first, width,
                            1 if stride else stride_w, x_pixel,
                        )  # fmt: skip
                        add_products(sums, held, held_dy, tap_h)

        for tap_h in range(piece_h):
            for tap in range(piece_w):
                shared[thread] = sums[tap_h, tap]
                sum_rows(shared, thread, lanes)
                if thread < lanes and c < channels:
                    at = (k_slice * taps_h + first_h + tap_h) * taps_w + first_w + tap
                    write(partial, at * channels, c, shared[thread])

    def launch(count: int, values: dict[str, int]) -> tuple[int, int]:
        pieces = values["taps_h"] // piece_h * (values["taps_w"] // piece_w)
        channel_blocks = -(-values["channels"] >> values["lane_bits"])
        return channel_blocks * pieces * values["k_slices"], THREADS

    body.__name__ = body.__qualname__ = piece.name
    return register(Kernel(body, launch, False))
