"""Kernels that move numbers: padding, cropping, copies of rows, and small sums of weights."""

from typing import Any

import numpy as np

from fastcnn.kernels.cuda.nn.activation import rectified
from fastcnn.kernels.cuda.runtime.device import cuda
from fastcnn.kernels.cuda.runtime.indexing import own_element, per_image, quotient
from fastcnn.kernels.cuda.runtime.kernel import Floats, Int, inline, kernel, once
from fastcnn.kernels.cuda.runtime.memory_access import read
from fastcnn.kernels.shared import border

ZERO = np.float32(0)
_repeated = inline(border.repeated)


def _padded(count: int, values: dict[str, Any]) -> tuple[Any, int]:
    height = values["top"] + values["height"] + values["bottom"]
    row = values["left"] + values["row"] + values["right"]
    return per_image("size")(count, {"size": height * row})


@kernel(_padded)
def pad_image(
    count: Int, x: Floats, y: Floats, scale: Floats, offset: Floats, height: Int, row: Int,
    top: Int, bottom: Int, left: Int, right: Int, channels: Int, relu: Int,
):  # fmt: skip
    """y[H + top + bottom, left + row + right] = x[H, row] with zeros around; sizes in floats.

    With scale[C] and offset[C], x * scale + offset per channel takes x's place, after ReLU where
    asked.
    """
    i, n = cuda.grid(2)
    wide = left + row + right
    size = (top + height + bottom) * wide
    if i >= size:
        return
    line = quotient(i, wide)
    column = i - line * wide - left
    line -= top
    inside = line >= 0 and line < height and column >= 0 and column < row
    scaled = inside and scale.size > 0
    factor, summand = ZERO, ZERO
    if scaled:
        c = column - quotient(column, channels) * channels
        factor, summand = scale[c], offset[c]
    while n < count:
        value = x[(n * height + line) * row + column] if inside else ZERO
        y[n * size + i] = rectified(value * factor + summand, relu) if scaled else value
        n += cuda.gridDim.y


@kernel(per_image("height", "row"))
def crop_image(
    count: Int, x: Floats, y: Floats, height: Int, row: Int, top: Int, bottom: Int, left: Int,
    right: Int,
):  # fmt: skip
    """y[H, row] = what lies inside x[H + top + bottom, left + row + right]; sizes in floats."""
    i, n = cuda.grid(2)
    if i >= height * row:
        return
    wide = left + row + right
    line = quotient(i, row)
    at = (line + top) * wide + i - line * row + left
    while n < count:
        y[n * height * row + i] = x[n * (top + height + bottom) * wide + at]
        n += cuda.gridDim.y


def _extended(count: int, values: dict[str, Any]) -> tuple[Any, int]:
    height = values["top"] + values["height"] + values["bottom"]
    width = values["left"] + values["width"] + values["right"]
    return per_image("size")(count, {"size": height * width * values["channels"]})


@inline
def _place(i, at, size, before):
    """Return the place i, of those where a pixel of an axis may stand, counted with the padding:
    those before the axis, its own, and those behind the axis."""
    if i < before:
        return i
    return at + before if i == before else size + i - 1


@kernel(_extended)
def extend_image(
    count: Int, x: Floats, y: Floats, height: Int, width: Int, channels: Int, top: Int, bottom: Int,
    left: Int, right: Int, reflected: Int,
):  # fmt: skip
    """y[top + H + bottom, left + W + right, C] = x[H, W, C] with its own pixels around it: those at
    the edge, or, where `reflected`, those that a mirror at the outermost pixels shows.
    """
    high, wide = top + height + bottom, left + width + right
    i, n, row, column, c = own_element(high, wide, channels, count)
    row = _repeated(row - top, height, reflected)
    column = _repeated(column - left, width, reflected)
    at = (row * width + column) * channels + c
    while n < count:
        y[n * high * wide * channels + i] = x[n * height * width * channels + at]
        n += cuda.gridDim.y


@kernel(per_image("height", "width", "channels"))
def extend_image_dx(
    count: Int, dy: Floats, dx: Floats, height: Int, width: Int, channels: Int, top: Int,
    bottom: Int, left: Int, right: Int, reflected: Int,
):  # fmt: skip
    """dx[H, W, C] = the sum of dy wherever a pixel of x stands in y."""
    e, n, row, column, c = own_element(height, width, channels, count)
    wide = left + width + right
    image = (top + height + bottom) * wide * channels
    while n < count:
        total = ZERO
        for i in range(top + bottom + 1):
            line = _place(i, row, height, top)
            if _repeated(line - top, height, reflected) == row:
                for j in range(left + right + 1):
                    place = _place(j, column, width, left)
                    if _repeated(place - left, width, reflected) == column:
                        total += read(dy, n * image, (line * wide + place) * channels + c)
        dx[n * height * width * channels + e] = total
        n += cuda.gridDim.y


@kernel(per_image("rows", "columns"))
def copy_rows(count: Int, x: Floats, y: Floats, rows: Int, columns: Int, x_row: Int, y_row: Int):
    """y[r, :columns] = x[r, :columns] for rows x_row and y_row floats apart.

    So are the rows of different images; a single row may leave the distances out.
    """
    i, n = cuda.grid(2)
    if i >= rows * columns:
        return
    x_row, y_row = max(x_row, columns), max(y_row, columns)
    row = quotient(i, columns)
    column = i - row * columns
    while n < count:
        y[(n * rows + row) * y_row + column] = x[(n * rows + row) * x_row + column]
        n += cuda.gridDim.y


@kernel(per_image("n_0", "n_1", "n_2", "n_3"))
def permute(
    count: Int, x: Floats, y: Floats, n_0: Int, n_1: Int, n_2: Int, n_3: Int, s_0: Int, s_1: Int,
    s_2: Int, s_3: Int,
):  # fmt: skip
    """y[a, b, c, d] = x[a * s_0 + b * s_1 + c * s_2 + d * s_3]: sizes n_*, strides in floats."""
    i, n = cuda.grid(2)
    size = n_0 * n_1 * n_2 * n_3
    if i >= size:
        return
    c, b = quotient(i, n_3), quotient(i, n_2 * n_3)
    a = quotient(b, n_1)
    at = a * s_0 + (b - a * n_1) * s_1 + (c - b * n_2) * s_2 + (i - c * n_3) * s_3
    while n < count:
        y[n * size + i] = x[n * size + at]
        n += cuda.gridDim.y


@kernel(once("size"))
def fill_zero(y: Floats, size: Int):
    """y[:size] = 0."""
    for i in range(cuda.grid(1), size, cuda.gridsize(1)):
        y[i] = ZERO


@kernel(once("taps", "pairs"))
def spread_kernel(
    kernel: Floats, numbers: Floats, dense: Floats, taps: Int, pairs: Int, connected: Int
):
    """dense[taps, pairs] = kernel[taps, connected], a number for each pair of channel and filter
    that is connected: for the i-th pair the one before numbers[i], and 0 where that is 0.
    """
    for i in range(cuda.grid(1), taps * pairs, cuda.gridsize(1)):
        tap = quotient(i, pairs)
        number = np.int32(numbers[i - tap * pairs])
        dense[i] = kernel[tap * connected + number - 1] if number > 0 else ZERO


@kernel(once("taps", "pairs"))
def gather_kernel(
    kernel: Floats, numbers: Floats, dense: Floats, taps: Int, pairs: Int, connected: Int
):
    """kernel[taps, connected] = dense[taps, pairs] where pairs are connected."""
    for i in range(cuda.grid(1), taps * pairs, cuda.gridsize(1)):
        tap = quotient(i, pairs)
        number = np.int32(numbers[i - tap * pairs])
        if number > 0:
            kernel[tap * connected + number - 1] = dense[i]


@kernel(once("size"))
def fold_bias(bias: Floats, scale: Floats, shift: Floats, y: Floats, size: Int):
    """y = bias * scale + shift: a convolution's bias after batch normalization is folded in."""
    for i in range(cuda.grid(1), size, cuda.gridsize(1)):
        y[i] = shift[i]
        if bias.size > 0:
            y[i] += bias[i] * scale[i]
