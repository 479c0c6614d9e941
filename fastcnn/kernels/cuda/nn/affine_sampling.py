"""Images resampled under an affine map, and the gradients of image and map.

The mathematics stands in the CPU's file. A pixel's gradient is gathered: its thread asks each row
of y which of its pixels may show it, so that nothing is added by two threads. That of the map is a
block's, for each image.
"""

import math
from typing import Any

import numpy as np

from fastcnn.kernels.cuda.runtime.device import SIMULATED, cuda
from fastcnn.kernels.cuda.runtime.indexing import own_element, per_image, quotient
from fastcnn.kernels.cuda.runtime.kernel import MOST_BLOCKS, Floats, Int, inline, kernel
from fastcnn.kernels.cuda.runtime.memory_access import read
from fastcnn.kernels.cuda.runtime.reduction import sum_rows
from fastcnn.kernels.shared import affine_sampling

f32 = np.float32
ZERO, ONE, TWO, HALF = f32(0), f32(1), f32(2), f32(0.5)
THREADS = 128 if not SIMULATED else 8
step_of = inline(affine_sampling.step_of)
place_of = inline(affine_sampling.place_of)
_meets, _weight = inline(affine_sampling.meets), inline(affine_sampling.weight)


def _a_block_an_image(count: int, values: dict[str, Any]) -> tuple[int, int]:
    return max(1, min(MOST_BLOCKS, count)), THREADS


@inline
def _places(theta, at, i, j, height, width, out_height, out_width):
    """Return the row and the column of x that pixel (i, j) of y shows."""
    across, down = step_of(j, out_width, width), step_of(i, out_height, height)
    wide, high = f32(width) / f32(height), f32(height) / f32(width)
    a, b, c = read(theta, at, 0), read(theta, at, 1), read(theta, at, 2)
    d, e, f = read(theta, at, 3), read(theta, at, 4), read(theta, at, 5)
    column = place_of(across, down, a, b, c, width, wide)
    return place_of(down, across, e, d, f, height, high), column


@inline
def _narrowed(first, end, start, slope, target):
    """Return the part of first..end in which start + slope * j may be less than 1 from a target."""
    if abs(slope) < f32(1e-6):
        return first, end if abs(start - target) < TWO else first
    low = (target - ONE - start) / slope
    high = (target + ONE - start) / slope
    if low > high:
        low, high = high, low
    low = max(low, f32(first - 1))
    high = min(high, f32(end + 1))
    if not low <= high:  # a NaN too
        return first, first
    before, after = np.int32(math.floor(low)) - 1, np.int32(math.floor(high)) + 3
    return np.int32(max(first, before)), np.int32(min(end, after))


@kernel(per_image("out_height", "out_width", "channels"))
def affine_sample(
    count: Int, x: Floats, theta: Floats, y: Floats, height: Int, width: Int, channels: Int,
    out_height: Int, out_width: Int,
):  # fmt: skip
    """y[OH, OW, C] = x[H, W, C] where theta[6] says, between its pixels."""
    k, image, i, j, c = own_element(out_height, out_width, channels, count)
    while image < count:
        row, column = _places(theta, image * 6, i, j, height, width, out_height, out_width)
        total = row + column if row != row or column != column else ZERO  # NaN stays
        if _meets(row, height) and _meets(column, width):
            top, left = np.int32(math.floor(row)), np.int32(math.floor(column))
            for m in range(top, top + 2):
                for n in range(left, left + 2):
                    weight = _weight(row, m, height) * _weight(column, n, width)
                    if weight != ZERO:
                        at = ((image * height + m) * width + n) * channels
                        total += weight * read(x, at, c)
        y[image * out_height * out_width * channels + k] = total
        image += cuda.gridDim.y


@kernel(per_image("height", "width", "channels"))
def affine_sample_dx(
    count: Int, theta: Floats, dy: Floats, dx: Floats, height: Int, width: Int, channels: Int,
    out_height: Int, out_width: Int,
):  # fmt: skip
    """dx[H, W, C] = the sums of dy[OH, OW, C], weighed, where it shows a pixel."""
    k, image, m, n, c = own_element(height, width, channels, count)
    while image < count:
        at = image * 6
        # From one column of y to the next, in columns and in rows of x.
        slope_column = read(theta, at, 0) * (f32(width) / f32(out_width))
        slope_row = read(theta, at, 3) * (f32(height) / f32(out_width))
        total = ZERO
        for i in range(out_height):
            row, column = _places(theta, at, i, 0, height, width, out_height, out_width)
            first, end = _narrowed(np.int32(0), out_width, column, slope_column, f32(n))
            first, end = _narrowed(first, end, row, slope_row, f32(m))
            for j in range(first, end):
                row, column = _places(theta, at, i, j, height, width, out_height, out_width)
                if abs(row - f32(m)) < ONE and abs(column - f32(n)) < ONE:
                    weight = _weight(row, m, height) * _weight(column, n, width)
                    shown = ((image * out_height + i) * out_width + j) * channels
                    total += weight * read(dy, shown, c)
        dx[image * height * width * channels + k] = total
        image += cuda.gridDim.y


@kernel(_a_block_an_image)
def affine_sample_dtheta(
    count: Int, x: Floats, theta: Floats, dy: Floats, dtheta: Floats, height: Int, width: Int,
    channels: Int, out_height: Int, out_width: Int,
):  # fmt: skip
    """dtheta[6] = how the loss changes with the map."""
    shared = cuda.shared.array(THREADS, np.float32)
    sums = cuda.local.array(6, np.float32)
    thread = cuda.threadIdx.x
    wide, high = f32(width) / f32(height), f32(height) / f32(width)
    for image in range(cuda.blockIdx.x, count, cuda.gridDim.x):
        for number in range(6):
            sums[number] = ZERO
        for pixel in range(thread, out_height * out_width, THREADS):
            i = quotient(pixel, out_width)
            j = pixel - i * out_width
            row, column = _places(theta, image * 6, i, j, height, width, out_height, out_width)
            if _meets(row, height) and _meets(column, width):
                top, left = np.int32(math.floor(row)), np.int32(math.floor(column))
                by_row, by_column = ZERO, ZERO
                for m in range(top, top + 2):
                    for n in range(left, left + 2):
                        if m >= 0 and m < height and n >= 0 and n < width:
                            total = ZERO
                            at = ((image * height + m) * width + n) * channels
                            shown = (image * out_height * out_width + pixel) * channels
                            for c in range(channels):
                                total += read(dy, shown, c) * read(x, at, c)
                            sign_row = -ONE if m == top else ONE
                            sign_column = -ONE if n == left else ONE
                            by_row += sign_row * _weight(column, n, width) * total
                            by_column += sign_column * _weight(row, m, height) * total
                across, down = step_of(j, out_width, width), step_of(i, out_height, height)
                sums[0] += HALF * by_column * across
                sums[1] += HALF * by_column * (down * wide)
                sums[2] += HALF * by_column * f32(width)
                sums[3] += HALF * by_row * (across * high)
                sums[4] += HALF * by_row * down
                sums[5] += HALF * by_row * f32(height)
        for number in range(6):
            shared[thread] = sums[number]
            sum_rows(shared, thread, 1)
            if thread == 0:
                dtheta[image * 6 + number] = shared[0]
            cuda.syncthreads()
