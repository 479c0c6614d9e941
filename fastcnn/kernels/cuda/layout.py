"""Kernels that move numbers: padding, cropping, copies of rows, and small sums of weights."""

from typing import Any

import numpy as np

from fastcnn.kernels.cuda.nn.activation import rectified
from fastcnn.kernels.cuda.runtime.device import cuda
from fastcnn.kernels.cuda.runtime.indexing import per_image, quotient
from fastcnn.kernels.cuda.runtime.kernel import Floats, Int, kernel, once

ZERO = np.float32(0)


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


@kernel(once("size"))
def fill_zero(y: Floats, size: Int):
    """y[:size] = 0."""
    for i in range(cuda.grid(1), size, cuda.gridsize(1)):
        y[i] = ZERO


@kernel(once("size"))
def fold_bias(bias: Floats, scale: Floats, shift: Floats, y: Floats, size: Int):
    """y = bias * scale + shift: a convolution's bias after batch normalization is folded in."""
    for i in range(cuda.grid(1), size, cuda.gridsize(1)):
        y[i] = shift[i]
        if bias.size > 0:
            y[i] += bias[i] * scale[i]
