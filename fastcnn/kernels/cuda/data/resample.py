"""Augmented batches of images that lie on the device: what `_ext/augment.pyx` does on the host.

Places are whole numbers of 2^-32 pixels and every operation is rounded as there, no product
together with a sum: the same numbers give the same bits on both devices.
"""

import math
from typing import Any

import numpy as np

from fastcnn.kernels.cuda.runtime.device import cuda
from fastcnn.kernels.cuda.runtime.indexing import MOST_ROWS, per_image, quotient
from fastcnn.kernels.cuda.runtime.kernel import (
    THREADS,
    Bytes,
    Doubles,
    Float,
    Floats,
    Int,
    Ints,
    Kernel,
    inline,
    kernel,
)
from fastcnn.kernels.cuda.runtime.rounding import cut, product, product_of_doubles

# In the order of _ext.augment's FILL_MODES.
CONSTANT, NEAREST, REFLECT, WRAP = range(4)
PLACES = 32  # bits of a place behind the whole pixel
PER_PIXEL = np.float64(1 << PLACES)
HALF_PIXEL = 1 << (PLACES - 1)
HALF = np.float64(0.5)
PART = np.float32(2.0**-24)  # float32 holds so much of a pixel
ZERO = np.float32(0)


def an_image(count: int, values: dict[str, Any]) -> tuple[int, int]:
    """Launch a block for each image."""
    return min(count, MOST_ROWS), THREADS


def _adding(images_type: type, name: str) -> Kernel:
    def add_mean(
        count: Int,
        images: images_type,  # type: ignore[valid-type]
        indices: Ints,
        colours: Floats,
        pixels: Int,
        channels: Int,
        side: Int,
        record: Int,
    ):
        """colours[n, offset] += colours[n, mean] times the mean colour of images[indices[n]].

        Sums are exact for bytes, of images of less than 2^22 pixels.
        """
        sums = cuda.shared.array(THREADS, np.float32)
        means = cuda.shared.array(3, np.float64)
        t = cuda.threadIdx.x
        group = min(channels, THREADS)
        lanes = quotient(THREADS, group)
        lane = quotient(t, group)
        for n in range(cuda.blockIdx.x, count, cuda.gridDim.x):
            start = int(indices[n]) * pixels * channels
            offset = n * record + side * side
            mean = offset + channels
            for base in range(0, channels, group):
                channel = base + t - lane * group
                total = ZERO
                if lane < lanes and channel < channels:
                    for p in range(lane, pixels, lanes):
                        at = start + p * channels + channel
                        total += np.float32(images[at])  # type: ignore[index]
                sums[t] = total
                cuda.syncthreads()
                if lane == 0 and channel < channels:
                    whole = np.float64(0)
                    for k in range(t, lanes * group, group):
                        whole += np.float64(sums[k])
                    whole /= np.float64(pixels)
                    if side == 3:
                        means[channel] = whole
                    else:
                        term = product_of_doubles(np.float64(colours[mean]), whole)
                        colours[offset + channel] = np.float32(
                            np.float64(colours[offset + channel]) + term
                        )
                cuda.syncthreads()
            if side == 3 and t < 3:
                term = np.float64(colours[offset + t])
                for k in range(3):
                    factor = np.float64(colours[mean + 3 * t + k])
                    term += product_of_doubles(factor, means[k])
                colours[offset + t] = np.float32(term)

    add_mean.__name__ = add_mean.__qualname__ = name
    return kernel(an_image)(add_mean)


@inline
def fixed(place):
    """Return a place in pixels as a whole number of 2^-32 pixels."""
    return np.int64(math.floor(place * PER_PIXEL + HALF))


@inline
def fraction(place):
    """Return what lies behind the whole pixel, its upper 24 bits."""
    return np.float32(np.int32((place >> (PLACES - 24)) & 0xFFFFFF)) * PART


@inline
def remainder(i, period):
    return i - quotient(i, period) * period


@inline
def shown(i, size, fill_mode):
    """Return the row or column of an image that is shown for one outside; -1 for the fill value."""
    if i >= 0 and i < size:
        return np.int32(i)
    if fill_mode == CONSTANT:
        return np.int32(-1)
    if fill_mode == NEAREST:
        return np.int32(0) if i < 0 else np.int32(size - 1)
    mirrored = np.int32(-1 - i if i < 0 else i)
    if fill_mode == WRAP:
        rest = remainder(mirrored, size)
        return np.int32(size - 1 - rest) if i < 0 else np.int32(rest)
    rest = remainder(mirrored, np.int32(2 * size))
    return np.int32(min(rest, 2 * size - 1 - rest))


@inline
def corner(start, row, column, width, channels):
    """Return where a pixel begins; -1 for the fill value."""
    if row < 0 or column < 0:
        return np.int64(-1)
    return start + (np.int64(row) * width + column) * channels


@inline
def value(images, at, channel, fill):
    return np.float32(images[at + channel]) if at >= 0 else fill


def _resampling(images_type: type, name: str) -> Kernel:
    @inline
    def sample(images, corners, across, down, channel, fill):
        """Return a number between four pixels, or that of the first where it lies on it."""
        upper = value(images, corners[0], channel, fill)
        if across == ZERO and down == ZERO:
            return upper
        right = value(images, corners[1], channel, fill)
        lower = value(images, corners[2], channel, fill)
        last = value(images, corners[3], channel, fill)
        top = upper + product(across, right - upper)
        bottom = lower + product(across, last - lower)
        return top + product(down, bottom - top)

    def resample(
        count: Int,
        images: images_type,  # type: ignore[valid-type]
        indices: Ints,
        matrices: Doubles,
        settings: Floats,
        colours: Floats,
        x: Floats,
        height: Int,
        width: Int,
        channels: Int,
        out_height: Int,
        out_width: Int,
        fill_mode: Int,
        nearest: Int,
        side: Int,
        record: Int,
        scaled: Int,
        low: Float,
        high: Float,
    ):
        """x[n, out_height, out_width, channels] = images[indices[n]], moved and coloured.

        matrices[n, 2, 3] or none; settings[3, channels]: fill value, scale and shift; colours[n,
        record]: linear[side, side] and offset[channels], or nothing with side 0.
        """
        i, n = cuda.grid(2)
        if i >= out_height * out_width:
            return
        line = quotient(i, out_width)
        column = i - line * out_width
        while n < count:
            down, across = np.int64(line) << PLACES, np.int64(column) << PLACES
            if matrices.size > 0:
                m = 6 * n
                down = fixed(product_of_doubles(matrices[m], np.float64(line)) + matrices[m + 2])
                down += column * fixed(matrices[m + 1])
                m += 3
                across = fixed(product_of_doubles(matrices[m], np.float64(line)) + matrices[m + 2])
                across += column * fixed(matrices[m + 1])
            part_down, part_across = fraction(down), fraction(across)
            if nearest:
                down, across = down + HALF_PIXEL, across + HALF_PIXEL
                part_down, part_across = ZERO, ZERO
            row, left = np.int32(down >> PLACES), np.int32(across >> PLACES)
            below = shown(row + 1, height, fill_mode)
            right = shown(left + 1, width, fill_mode)
            row, left = shown(row, height, fill_mode), shown(left, width, fill_mode)
            start = int(indices[n]) * height * width * channels
            corners = (
                corner(start, row, left, width, channels),
                corner(start, row, right, width, channels),
                corner(start, below, left, width, channels),
                corner(start, below, right, width, channels),
            )
            to = (n * out_height * out_width + i) * channels
            at = n * record
            if side == 3:
                red = sample(images, corners, part_across, part_down, 0, settings[0])
                green = sample(images, corners, part_across, part_down, 1, settings[1])
                blue = sample(images, corners, part_across, part_down, 2, settings[2])
                for c in range(3):
                    number = product(colours[at + 3 * c], red)
                    number += product(colours[at + 3 * c + 1], green)
                    number += product(colours[at + 3 * c + 2], blue)
                    number = cut(number + colours[at + 9 + c], low, high)
                    if scaled:
                        number = product(number, settings[3 + c]) + settings[6 + c]
                    x[to + c] = number
            else:
                for c in range(channels):
                    number = sample(images, corners, part_across, part_down, c, settings[c])
                    if side:
                        number = product(number, colours[at]) + colours[at + 1 + c]
                        number = cut(number, low, high)
                    if scaled:
                        number = product(number, settings[channels + c])
                        number += settings[2 * channels + c]
                    x[to + c] = number
            n += cuda.gridDim.y

    resample.__name__ = resample.__qualname__ = name
    return kernel(per_image("out_height", "out_width"))(resample)


# By the data set's dtype.
resample_images = {
    "uint8": _resampling(Bytes, "resample_bytes"),
    "float32": _resampling(Floats, "resample_floats"),
}
add_mean_colour = {
    "uint8": _adding(Bytes, "add_mean_of_bytes"),
    "float32": _adding(Floats, "add_mean_of_floats"),
}
