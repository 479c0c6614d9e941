"""The kernels of im2col: convolution and its gradients as products in tiles; see im2col.py.

Beside a convolution's arrays, each takes a scale and a bias of the columns, which may be missing.
"""

from __future__ import annotations

from math import ceil
from typing import Any

from numba import float32, int32, int64

from fastcnn.kernels.cuda.gemm.conv_loader import pixels, taps, transposed_kernel
from fastcnn.kernels.cuda.gemm.mainloop import make_sweep
from fastcnn.kernels.cuda.gemm.matrix_loader import along
from fastcnn.kernels.cuda.gemm.tile import (
    Tile,
    limits_of,
    make_place,
    part_of,
    row_at,
    tile_kernel,
)
from fastcnn.kernels.cuda.runtime.device import cuda
from fastcnn.kernels.cuda.runtime.indexing import quotient
from fastcnn.kernels.cuda.runtime.kernel import Floats, Int, Kernel, inline


def make_forward(tile: Tile) -> Kernel:
    sweep, storing = make_sweep(tile, pixels(tile), along(tile, tile.columns))
    store, size = storing(row_at), tile.sums
    place, depth = make_place(tile), tile.depth

    def body(
        count: Int, x: Floats, kernel: Floats, scale: Floats, bias: Floats, y: Floats, height: Int,
        width: Int, channels: Int, filters: Int, groups: Int, out_height: Int, out_width: Int,
        taps_h: Int, taps_w: Int, stride_h: Int, stride_w: Int, dilation_h: Int, dilation_w: Int,
        top: Int, left: Int, c_k_slice: Int, k_slices: Int, relu: Int,
    ):  # fmt: skip
        """y = x * kernel; a block computes one tile of one K slice of a group."""
        sums = cuda.local.array(size, float32)
        inputs, outputs = quotient(channels, groups), quotient(filters, groups)
        of_image = int32(out_height * out_width)
        rows = int32(count * of_image)
        row, column, group, k_slice = place(outputs, k_slices)
        first, last = part_of(taps_h * taps_w * inputs, k_slice, k_slices, depth)
        x_shape = (
            (rows, of_image, out_width),
            (stride_h, stride_w),
            (-top, -left),
            (dilation_h, dilation_w, taps_w),
            (height, width, channels, inputs, group * inputs),
        )
        kernel_shape = (outputs, filters, int64(group * outputs))
        sweep(sums, x, x_shape, row, kernel, kernel_shape, column, first, last)
        tile_place, of_group = (row, column, rows, outputs), (group, outputs, filters)
        limits = limits_of(y, tile_place, of_group, (k_slice, c_k_slice), relu)
        store(sums, y, scale, bias, filters, limits)

    def launch(count: int, values: dict[str, Any]) -> tuple[tuple[int, int, int], int]:
        rows = count * values["out_height"] * values["out_width"]
        blocks = tile.blocks(rows, values["filters"] // values["groups"])
        return (blocks, 1, values["groups"] * values["k_slices"]), tile.threads

    body.__name__ = f"im2col_{tile.name}"
    return tile_kernel(launch, tile)(body)


@inline
def phase_of(place, stride, dilation, every, taps, pad, size):
    """Return what the pixels of a phase have in common, along one axis: the first of them, how many
    there are, their first tap, how many taps, and the source pixel that these two meet.

    Pixel p meets tap t at source pixel (p + pad - t * dilation) / stride, where that is a whole
    number: for pixels `stride` apart and taps `every` = stride / gcd(stride, dilation) apart.
    """
    first = (place - pad) % stride
    number = (size - first + stride - 1) // stride
    tap = 0
    while tap < every and (tap * dilation) % stride != place:
        tap += 1
    several = 0
    # Some phases meet no tap at all.
    if tap < every and tap < taps:
        several = (taps - tap + every - 1) // every
    base = (first + pad - tap * dilation) // stride
    return int32(first), int32(max(0, number)), int32(tap), int32(several), int32(base)


@inline
def _pixel_at(shape, row):
    """Return where a row of a phase's product lies in dx."""
    (of_image, of_row), (first_h, first_w), (stride_h, stride_w), (height, width, channels) = shape
    image = quotient(row, of_image)
    row = int32(row - image * of_image)
    line = quotient(row, of_row)
    down = first_h + line * stride_h
    right = first_w + (row - line * of_row) * stride_w
    return ((int64(image) * height + down) * width + right) * channels


def make_dx(tile: Tile) -> Kernel:
    sweep, storing = make_sweep(tile, pixels(tile), transposed_kernel(tile))
    store, size = storing(_pixel_at), tile.sums
    place, depth = make_place(tile), tile.depth

    def body(
        count: Int, dy: Floats, kernel: Floats, scale: Floats, bias: Floats, dx: Floats,
        height: Int, width: Int, channels: Int, filters: Int, groups: Int, out_height: Int,
        out_width: Int, taps_h: Int, taps_w: Int, stride_h: Int, stride_w: Int, dilation_h: Int,
        dilation_w: Int, top: Int, left: Int, every_h: Int, every_w: Int, c_k_slice: Int,
        k_slices: Int, relu: Int,
    ):  # fmt: skip
        """dx; a block computes one tile of one K slice of a phase of a group."""
        sums = cuda.local.array(size, float32)
        inputs, outputs = quotient(channels, groups), quotient(filters, groups)
        row, column, rest, k_slice = place(inputs, k_slices)
        line = quotient(rest, stride_w)
        group = quotient(line, stride_h)
        first_h, rows_h, tap_h, many_h, base_h = phase_of(
            line - group * stride_h, stride_h, dilation_h, every_h, taps_h, top, height
        )
        first_w, rows_w, tap_w, many_w, base_w = phase_of(
            rest - line * stride_w, stride_w, dilation_w, every_w, taps_w, left, width
        )
        of_image = int32(rows_h * rows_w)
        rows = int32(count * of_image)
        # A tile beyond the phase's pixels has nothing to do.
        if row < rows:
            first, last = part_of(many_h * many_w * outputs, k_slice, k_slices, depth)
            dy_shape = (
                (rows, of_image, rows_w),
                (int32(1), int32(1)),
                (base_h, base_w),
                (
                    int32(-(dilation_h * every_h // stride_h)),
                    int32(-(dilation_w * every_w // stride_w)),
                    max(many_w, int32(1)),
                ),
                (out_height, out_width, filters, outputs, group * outputs),
            )
            below = taps_w * inputs * filters
            beside = inputs * filters
            kernel_shape = (
                (inputs, filters),
                (outputs, max(many_w, int32(1))),
                (every_h * below, every_w * beside),
                int64(tap_h * below + tap_w * beside + group * outputs),
            )
            sweep(sums, dy, dy_shape, row, kernel, kernel_shape, column, first, last)
            pixel = (
                (of_image, rows_w),
                (first_h, first_w),
                (stride_h, stride_w),
                (height, width, channels),
            )
            tile_place, of_group = (row, column, rows, inputs), (group, inputs, channels)
            limits = limits_of(dx, tile_place, of_group, (k_slice, c_k_slice), relu)
            store(sums, dx, scale, bias, pixel, limits)

    def launch(count: int, values: dict[str, Any]) -> tuple[tuple[int, int, int], int]:
        rows = ceil(values["height"] / values["stride_h"]) * ceil(
            values["width"] / values["stride_w"]
        )
        blocks = tile.blocks(count * rows, values["channels"] // values["groups"])
        phases = values["stride_h"] * values["stride_w"]
        return (blocks, 1, values["groups"] * phases * values["k_slices"]), tile.threads

    body.__name__ = f"im2col_dx_{tile.name}"
    return tile_kernel(launch, tile)(body)


def make_dw(tile: Tile) -> Kernel:
    sweep, storing = make_sweep(tile, taps(tile), along(tile, tile.columns))
    store, size = storing(row_at), tile.sums
    place, depth = make_place(tile), tile.depth

    def body(
        count: Int, x: Floats, dy: Floats, scale: Floats, bias: Floats, gradient: Floats,
        height: Int, width: Int, channels: Int, filters: Int, groups: Int, out_height: Int,
        out_width: Int, taps_h: Int, taps_w: Int, stride_h: Int, stride_w: Int, dilation_h: Int,
        dilation_w: Int, top: Int, left: Int, c_k_slice: Int, k_slices: Int, relu: Int,
    ):  # fmt: skip
        """The kernel's gradient; a block computes one tile of one K slice of a group."""
        sums = cuda.local.array(size, float32)
        inputs, outputs = quotient(channels, groups), quotient(filters, groups)
        rows = int32(taps_h * taps_w * inputs)
        row, column, group, k_slice = place(outputs, k_slices)
        first, last = part_of(count * out_height * out_width, k_slice, k_slices, depth)
        x_shape = (
            (rows, taps_w),
            (dilation_h, dilation_w),
            (stride_h, stride_w),
            (-top, -left),
            (out_height, out_width),
            (height, width, channels, inputs, group * inputs),
        )
        dy_shape = (outputs, filters, int64(group * outputs))
        sweep(sums, x, x_shape, row, dy, dy_shape, column, first, last)
        tile_place, of_group = (row, column, rows, outputs), (group, outputs, filters)
        limits = limits_of(gradient, tile_place, of_group, (k_slice, c_k_slice), relu)
        store(sums, gradient, scale, bias, filters, limits)

    def launch(count: int, values: dict[str, Any]) -> tuple[tuple[int, int, int], int]:
        groups = values["groups"]
        rows = values["taps_h"] * values["taps_w"] * values["channels"] // groups
        blocks = tile.blocks(rows, values["filters"] // groups)
        return (blocks, 1, groups * values["k_slices"]), tile.threads

    body.__name__ = f"im2col_dw_{tile.name}"
    return tile_kernel(launch, tile)(body)
