"""Start here: convolution on a GPU as its definition says, one thread for each number of a result.

The twins of kernels/reference/conv2d.py. Arrays are flat, one image behind the other; `_at` says
where a number lies, `_place` which number a thread has. `@kernel` is Numba's `cuda.jit`, told the
types by annotations and the number of threads by a function (`_each_output`). Nothing is shared
between threads, so each reads from memory all that it needs: what every faster kernel sets out to
avoid.

Shapes: x [N, H, W, C], kernel [KH, KW, C / groups, F], y [N, OH, OW, F] and windows
[N, OH, OW, KH, KW, C]; `inner` is C / groups, `outputs` F / groups.
"""

import numpy as np

from fastcnn.kernels.cuda.runtime.device import cuda
from fastcnn.kernels.cuda.runtime.kernel import Floats, Int, elements, inline, kernel, once

ZERO = np.float32(0)

_each_output = elements("out_height", "out_width", "filters")
_each_pixel = elements("height", "width", "channels")
_each_tap = once("taps_h", "taps_w", "inner", "filters")
_each_of_windows = elements("out_height", "out_width", "taps_h", "taps_w", "channels")


@inline
def _at(n, i, j, c, height, width, channels):
    """Return where [n, i, j, c] lies in an array [..., height, width, channels]."""
    return ((n * height + i) * width + j) * channels + c


@inline
def _place(number, height, width, channels):
    """Return (n, i, j, c) of a number in an array [..., height, width, channels]."""
    pixel, row = number // channels, number // (channels * width)
    return row // height, row % height, pixel % width, number % channels


@inline
def _finished(total, f, scale, bias, relu):
    """Return a filter's sum after what inference folds into a convolution."""
    if scale.size > 0:
        total *= scale[f]
    if bias.size > 0:
        total += bias[f]
    return max(total, ZERO) if relu else total


@kernel(_each_output)
def reference_forward(
    count: Int, x: Floats, kernel: Floats, scale: Floats, bias: Floats, y: Floats,
    height: Int, width: Int, channels: Int, out_height: Int, out_width: Int, filters: Int,
    inner: Int, outputs: Int, taps_h: Int, taps_w: Int, stride_h: Int, stride_w: Int,
    dilation_h: Int, dilation_w: Int, top: Int, left: Int, relu: Int,
):  # fmt: skip
    """y[n, i, j, f] = sum over a, b, c of x[n, row, column, c] * kernel[a, b, c, f]."""
    size = count * out_height * out_width * filters
    for number in range(cuda.grid(1), size, cuda.gridsize(1)):
        n, i, j, f = _place(number, out_height, out_width, filters)
        first = f // outputs * inner
        total = ZERO
        for a in range(taps_h):
            row = i * stride_h + a * dilation_h - top
            for b in range(taps_w):
                column = j * stride_w + b * dilation_w - left
                if row >= 0 and row < height and column >= 0 and column < width:
                    for c in range(inner):
                        pixel = x[_at(n, row, column, first + c, height, width, channels)]
                        total += pixel * kernel[_at(a, b, c, f, taps_w, inner, filters)]
        y[number] = _finished(total, f, scale, bias, relu)


@kernel(_each_pixel)
def reference_dx(
    count: Int, dy: Floats, kernel: Floats, dx: Floats,
    height: Int, width: Int, channels: Int, out_height: Int, out_width: Int, filters: Int,
    inner: Int, outputs: Int, taps_h: Int, taps_w: Int, stride_h: Int, stride_w: Int,
    dilation_h: Int, dilation_w: Int, top: Int, left: Int,
):  # fmt: skip
    """dx[n, row, column, c] = sum of dy * kernel over all outputs that the pixel went into."""
    for number in range(cuda.grid(1), count * height * width * channels, cuda.gridsize(1)):
        n, row, column, c = _place(number, height, width, channels)
        group = c // inner
        total = ZERO
        for a in range(taps_h):
            down = row + top - a * dilation_h
            i = down // stride_h
            for b in range(taps_w):
                across = column + left - b * dilation_w
                j = across // stride_w
                on_stride = down % stride_h == 0 and across % stride_w == 0
                if on_stride and i >= 0 and i < out_height and j >= 0 and j < out_width:
                    for f in range(group * outputs, (group + 1) * outputs):
                        weight = kernel[_at(a, b, c - group * inner, f, taps_w, inner, filters)]
                        total += dy[_at(n, i, j, f, out_height, out_width, filters)] * weight
        dx[number] = total


@kernel(_each_tap)
def reference_dw(
    count: Int, x: Floats, dy: Floats, dw: Floats,
    height: Int, width: Int, channels: Int, out_height: Int, out_width: Int, filters: Int,
    inner: Int, outputs: Int, taps_h: Int, taps_w: Int, stride_h: Int, stride_w: Int,
    dilation_h: Int, dilation_w: Int, top: Int, left: Int,
):  # fmt: skip
    """dw[a, b, c, f] = sum of x[n, row, column, c] * dy[n, i, j, f] over the batch's outputs."""
    for number in range(cuda.grid(1), taps_h * taps_w * inner * filters, cuda.gridsize(1)):
        a, b, c, f = _place(number, taps_w, inner, filters)
        c += f // outputs * inner
        total = ZERO
        for n in range(count):
            for i in range(out_height):
                row = i * stride_h + a * dilation_h - top
                for j in range(out_width):
                    column = j * stride_w + b * dilation_w - left
                    if row >= 0 and row < height and column >= 0 and column < width:
                        pixel = x[_at(n, row, column, c, height, width, channels)]
                        total += pixel * dy[_at(n, i, j, f, out_height, out_width, filters)]
        dw[number] = total


@kernel(_each_of_windows)
def reference_im2col(
    count: Int, x: Floats, windows: Floats,
    height: Int, width: Int, channels: Int, out_height: Int, out_width: Int,
    taps_h: Int, taps_w: Int, stride_h: Int, stride_w: Int,
    dilation_h: Int, dilation_w: Int, top: Int, left: Int,
):  # fmt: skip
    """windows[n, i, j, a, b, c] = x[n, row, column, c], or 0 outside the image."""
    size = count * out_height * out_width * taps_h * taps_w * channels
    for number in range(cuda.grid(1), size, cuda.gridsize(1)):
        output, a, b, c = _place(number, taps_h, taps_w, channels)
        _, n, i, j = _place(output, count, out_height, out_width)
        row = i * stride_h + a * dilation_h - top
        column = j * stride_w + b * dilation_w - left
        value = ZERO
        if row >= 0 and row < height and column >= 0 and column < width:
            value = x[_at(n, row, column, c, height, width, channels)]
        windows[number] = value


@kernel(_each_pixel)
def reference_col2im(
    count: Int, windows: Floats, dx: Floats,
    height: Int, width: Int, channels: Int, out_height: Int, out_width: Int,
    taps_h: Int, taps_w: Int, stride_h: Int, stride_w: Int,
    dilation_h: Int, dilation_w: Int, top: Int, left: Int,
):  # fmt: skip
    """dx[n, row, column, c] = the sum of the pixel's copies in all windows."""
    for number in range(cuda.grid(1), count * height * width * channels, cuda.gridsize(1)):
        n, row, column, c = _place(number, height, width, channels)
        total = ZERO
        for a in range(taps_h):
            down = row + top - a * dilation_h
            i = down // stride_h
            for b in range(taps_w):
                across = column + left - b * dilation_w
                j = across // stride_w
                on_stride = down % stride_h == 0 and across % stride_w == 0
                if on_stride and i >= 0 and i < out_height and j >= 0 and j < out_width:
                    output = (n * out_height + i) * out_width + j
                    total += windows[_at(output, a, b, c, taps_h, taps_w, channels)]
        dx[number] = total


@kernel(_each_output)
def reference_product(
    count: Int, windows: Floats, kernel: Floats, scale: Floats, bias: Floats, y: Floats,
    channels: Int, out_height: Int, out_width: Int, filters: Int,
    inner: Int, outputs: Int, taps_h: Int, taps_w: Int, relu: Int,
):  # fmt: skip
    """y = windows @ kernel: a row of the one, a column of the other."""
    size = count * out_height * out_width * filters
    for number in range(cuda.grid(1), size, cuda.gridsize(1)):
        output, f = number // filters, number % filters
        first = f // outputs * inner
        total = ZERO
        for a in range(taps_h):
            for b in range(taps_w):
                for c in range(inner):
                    pixel = windows[_at(output, a, b, first + c, taps_h, taps_w, channels)]
                    total += pixel * kernel[_at(a, b, c, f, taps_w, inner, filters)]
        y[number] = _finished(total, f, scale, bias, relu)


@kernel(_each_of_windows)
def reference_product_dx(
    count: Int, dy: Floats, kernel: Floats, windows: Floats,
    channels: Int, out_height: Int, out_width: Int, filters: Int,
    inner: Int, outputs: Int, taps_h: Int, taps_w: Int,
):  # fmt: skip
    """The windows' gradient: dy @ kernel^T."""
    size = count * out_height * out_width * taps_h * taps_w * channels
    for number in range(cuda.grid(1), size, cuda.gridsize(1)):
        output, a, b, c = _place(number, taps_h, taps_w, channels)
        group = c // inner
        total = ZERO
        for f in range(group * outputs, (group + 1) * outputs):
            weight = kernel[_at(a, b, c - group * inner, f, taps_w, inner, filters)]
            total += dy[output * filters + f] * weight
        windows[number] = total


@kernel(_each_tap)
def reference_product_dw(
    count: Int, windows: Floats, dy: Floats, dw: Floats,
    channels: Int, out_height: Int, out_width: Int, filters: Int,
    inner: Int, outputs: Int, taps_h: Int, taps_w: Int,
):  # fmt: skip
    """dw = windows^T @ dy: a column of each."""
    for number in range(cuda.grid(1), taps_h * taps_w * inner * filters, cuda.gridsize(1)):
        a, b, c, f = _place(number, taps_w, inner, filters)
        c += f // outputs * inner
        total = ZERO
        for output in range(count * out_height * out_width):
            pixel = windows[_at(output, a, b, c, taps_h, taps_w, channels)]
            total += pixel * dy[output * filters + f]
        dw[number] = total
