"""Direct convolution without tiles: for kernels whose reach does not fit in shared memory."""

from __future__ import annotations

from numba import float32, int32

from fastcnn.kernels.cuda.gemm.tile import finish
from fastcnn.kernels.cuda.runtime.device import cuda
from fastcnn.kernels.cuda.runtime.indexing import quotient
from fastcnn.kernels.cuda.runtime.kernel import Floats, Int, elements, kernel, once
from fastcnn.kernels.cuda.runtime.memory_access import read, write

elements_of_k_slices = once("k_slices", "taps_h", "taps_w", "inner", "groups", "outputs")


@kernel(elements("out_height", "out_width", "groups", "outputs"))
def direct_plain(
    count: Int, x: Floats, kernel: Floats, bias: Floats, scale: Floats, y: Floats,
    height: Int, width: Int, x_first: Int, x_image: Int, x_row: Int, x_pixel: Int, inner: Int,
    out_height: Int, out_width: Int, outputs: Int, groups: Int,
    y_first: Int, y_image: Int, y_row: Int, y_pixel: Int,
    taps_h: Int, taps_w: Int, stride_h: Int, stride_w: Int, dilation_h: Int, dilation_w: Int,
    top: Int, left: Int, w_first: Int, w_h: Int, w_w: Int, w_i: Int, w_o: Int, w_group: Int,
    relu: Int,
):  # fmt: skip
    """The same sums as `tile_kernel`'s, a thread for each."""
    filters = groups * outputs
    pixels = out_height * out_width
    for number in range(cuda.grid(1), count * pixels * filters, cuda.gridsize(1)):
        place = number // filters
        f = int32(number - place * filters)
        image = place // pixels
        pixel = int32(place - image * pixels)
        row, group = quotient(pixel, out_width), quotient(f, outputs)
        column = int32(pixel - row * out_width)
        x_at = x_first + image * x_image + group * inner
        w_at = w_first + group * w_group + (f - group * outputs) * w_o
        total = float32(0)
        for tap_h in range(taps_h):
            x_line = row * stride_h + tap_h * dilation_h - top
            if x_line < 0 or x_line >= height:
                continue
            for tap_w in range(taps_w):
                x_column = column * stride_w + tap_w * dilation_w - left
                if x_column < 0 or x_column >= width:
                    continue
                x_tap = x_at + x_line * x_row + x_column * x_pixel
                w_tap = w_at + tap_h * w_h + tap_w * w_w
                for c in range(inner):
                    total += read(x, x_tap, c) * read(kernel, w_tap, c * w_i)
        total = finish(total, scale, bias, f, relu)
        write(y, y_first + image * y_image + row * y_row, column * y_pixel + f, total)


@kernel(elements_of_k_slices)
def direct_plain_gradient(
    count: Int, x: Floats, dy: Floats, partial: Floats,
    height: Int, width: Int, x_first: Int, x_image: Int, x_row: Int, x_pixel: Int, inner: Int,
    out_height: Int, out_width: Int, outputs: Int, groups: Int,
    taps_h: Int, taps_w: Int, stride_h: Int, stride_w: Int, dilation_h: Int, dilation_w: Int,
    top: Int, left: Int, k_slices: Int,
):  # fmt: skip
    """partial[k_slice, taps_h, taps_w, inner, groups * outputs]: K slice s sums every k_slices-th
    image from s on, a thread for each number."""
    filters = groups * outputs
    size = taps_h * taps_w * inner * filters
    for number in range(cuda.grid(1), k_slices * size, cuda.gridsize(1)):
        k_slice = number // size
        rest = int32(number - k_slice * size)
        row = quotient(rest, filters)
        f = int32(rest - row * filters)
        tap = quotient(row, inner)
        c = quotient(f, outputs) * inner + row - tap * inner
        tap_h = quotient(tap, taps_w)
        down = tap_h * dilation_h - top
        across = (tap - tap_h * taps_w) * dilation_w - left
        total = float32(0)
        for image in range(k_slice, count, k_slices):
            x_at = x_first + image * x_image + c
            for out_row in range(out_height):
                x_line = out_row * stride_h + down
                if x_line < 0 or x_line >= height:
                    continue
                dy_at = (image * out_height + out_row) * out_width * filters + f
                for out_column in range(out_width):
                    x_column = out_column * stride_w + across
                    if x_column >= 0 and x_column < width:
                        x_value = read(x, x_at, x_line * x_row + x_column * x_pixel)
                        total += x_value * read(dy, dy_at, out_column * filters)
        write(partial, number, 0, total)
