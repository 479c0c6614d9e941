"""Loaders of a convolution's operands for the tiles of a product: im2col without making columns.

The columns of an image are a matrix [pixels, taps_h * taps_w * channels]: what pixel (i, j) and tap
(u, v) meet lies at row i * step_h + base_h + u * tap_h of the source image, likewise its column;
zero outside. Either the pixels lie along a tile and the taps are walked through, or the other way
around. The same matrix stands behind a convolution, with the image as the source, and behind the
gradient of its input, with dy as the source and taps that go backwards.
"""

from __future__ import annotations

from functools import cache

from numba import int32, int64

from fastcnn.kernels.cuda.gemm.loader import Loader, share
from fastcnn.kernels.cuda.gemm.tile import Tile
from fastcnn.kernels.cuda.runtime.indexing import quotient
from fastcnn.kernels.cuda.runtime.kernel import inline
from fastcnn.kernels.cuda.runtime.memory_access import FLOAT, inside, locate

NOWHERE = -(1 << 24)  # a row of an image that is outside of it, with any tap


@inline
def next_tap(near, step, channels, taps_w):
    """Go so many numbers further through the taps: near[1:4] are channel, tap_w and tap_h."""
    near[1] += step
    while near[1] >= channels:
        near[1] -= channels
        near[2] += 1
        if near[2] == taps_w:
            near[2] = 0
            near[3] += 1


@inline
def first_tap(near, k, channels, taps_w):
    """Set near[0:4] to number k of the taps: k, channel, tap_w and tap_h."""
    tap = quotient(k, channels)
    near[0] = k
    near[1] = k - tap * channels
    near[3] = quotient(tap, taps_w)
    near[2] = tap - near[3] * taps_w


@cache
def pixels(tile: Tile) -> Loader:
    """Return a loader of the columns with the pixels of all images along the tile.

    Shape: (number of pixels, pixels of an image, of its rows), (step_h, step_w), (base_h, base_w),
    (tap_h, tap_w, taps_w), then the source: (height, width, floats of a pixel, channels used, the
    first of them).
    """
    own = share(tile, tile.rows, along=False)
    each, seat, move, depth, stride = own.each, own.seat, own.move, tile.depth, tile.stride
    rows, columns, places = 4, 4 + each, 4 + 2 * each

    @inline
    def begin(near, far, array, shape, start, first):
        (number, of_image, of_row), steps, base, taps, source = shape
        height, width, wide, channels, channel = source
        place, inner = seat()
        first_tap(near, first + inner, channels, taps[2])
        image = quotient(start, of_image)
        far[0] = locate(array, int64(image) * height * width * wide + channel)
        for i in range(each):
            at = int32(start + place + i * stride)
            further = quotient(at, of_image) - image
            pixel = int32(at - (image + further) * of_image)
            line = quotient(pixel, of_row)
            near[rows + i] = line * steps[0] + base[0]
            near[columns + i] = (pixel - line * of_row) * steps[1] + base[1]
            from_image = (further * height + near[rows + i]) * width + near[columns + i]
            near[places + i] = from_image * wide
            if at >= number:
                near[rows + i] = NOWHERE

    @inline
    def load(to, array, near, far, shape, last):
        (height, width, wide, channels, _), taps = shape[4], shape[3]
        down, right = int32(near[3] * taps[0]), int32(near[2] * taps[1])
        address = far[0] + FLOAT * (int64(int32(down * width + right)) * wide + near[1])
        valid = near[0] < last
        for i in range(each):
            row, column = int32(near[rows + i] + down), int32(near[columns + i] + right)
            met = valid and inside(row, height) and inside(column, width)
            move(to, i, array, address, near[places + i], met)
        near[0] += depth
        next_tap(near, depth, channels, taps[2])

    return Loader(begin, load, 4 + 3 * each, 1, own)


@cache
def taps(tile: Tile) -> Loader:
    """Return a loader of the columns, transposed: taps along the tile, pixels of all images inside.

    Shape: (number of taps' numbers, taps_w), (tap_h, tap_w), (steps_h, step_w), (base_h, base_w),
    (pixels of a column, of a row), then the source as in `pixels`.
    """
    own = share(tile, tile.rows, along=True)
    each, seat, move, depth, stride = own.each, own.seat, own.move, tile.depth, tile.stride
    rows, columns, places = 3, 3 + each, 3 + 2 * each

    @inline
    def begin(near, far, array, shape, start, first):
        (number, taps_w), tap, _, _, (of_column, of_row), source = shape
        height, width, wide, channels, channel = source
        first_place, inner = seat()
        k = int32(first + inner)
        line = quotient(k, of_row)
        image = quotient(line, of_column)
        near[0], near[1], near[2] = k, k - line * of_row, line - image * of_column
        far[0] = locate(array, int64(image) * height * width * wide + channel)
        for i in range(each):
            place = int32(start + first_place + i * stride)
            window = quotient(place, channels)
            line = quotient(window, taps_w)
            near[rows + i] = line * tap[0] if place < number else NOWHERE
            near[columns + i] = (window - line * taps_w) * tap[1]
            from_pixel = line * tap[0] * width + near[columns + i]
            near[places + i] = from_pixel * wide + place - window * channels

    @inline
    def load(to, array, near, far, shape, last):
        _, _, steps, base, (of_column, of_row), (height, width, wide, _, _) = shape
        down = int32(near[2] * steps[0] + base[0])
        right = int32(near[1] * steps[1] + base[1])
        address = far[0] + FLOAT * int64(int32(down * width + right)) * wide
        valid = near[0] < last
        for i in range(each):
            row, column = int32(near[rows + i] + down), int32(near[columns + i] + right)
            met = valid and inside(row, height) and inside(column, width)
            move(to, i, array, address, near[places + i], met)
        near[0] += depth
        near[1] += depth
        while near[1] >= of_row:
            near[1] -= of_row
            near[2] += 1
            if near[2] == of_column:
                near[2] = 0
                far[0] += FLOAT * int64(height) * width * wide

    return Loader(begin, load, 3 + 3 * each, 1, own)


@cache
def transposed_kernel(tile: Tile) -> Loader:
    """Return a loader of the kernel for the gradient of the input: channels along the tile.

    Shape: (number of channels, floats from one to the next), (filters of a tap, taps_w), (floats
    from a tap to the one below, to the one on the right), base.
    """
    own = share(tile, tile.columns, along=False)
    each, seat, move, depth, stride = own.each, own.seat, own.move, tile.depth, tile.stride
    left = 4

    @inline
    def begin(near, far, array, shape, start, first):
        (number, row), (filters, taps_w), _, base = shape
        line, inner = seat()
        first_tap(near, first + inner, filters, taps_w)
        place = int32(start + line)
        near[left] = number - place
        far[0] = locate(array, base + int64(place) * row)

    @inline
    def load(to, array, near, far, shape, last):
        (_, row), (filters, taps_w), (below, beside), _ = shape
        address = far[0] + FLOAT * (int64(near[3]) * below + int64(near[2]) * beside + near[1])
        valid, further, step = near[0] < last, near[left], int32(stride * row)
        for i in range(each):
            move(to, i, array, address, int32(i * step), valid and further > int32(i * stride))
        near[0] += depth
        next_tap(near, depth, filters, taps_w)

    return Loader(begin, load, 5, 1, own)
