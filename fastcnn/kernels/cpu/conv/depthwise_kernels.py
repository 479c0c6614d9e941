"""The kernels of depthwise convolutions: which pixels, channels and taps each tile takes."""

from __future__ import annotations

from fastcnn.kernels.cpu.runtime.function import kernel_function
from fastcnn.kernels.cpu.runtime.kernel import kernel, record
from fastcnn.kernels.cpu.simd.depthwise_tile import TAPS, make_gradient, make_sums
from fastcnn.kernels.cpu.simd.pairwise_sum import pairwise_sum
from fastcnn.kernels.cpu.simd.pointers import address_of, record_at
from fastcnn.kernels.cpu.simd.vector import load, multiply, store
from fastcnn.kernels.cpu.simd.vector_unit import LANES, VECTOR_BYTES

DEPTHWISE = record(
    *("x", "kernel", "bias", "y"),
    *("height", "width", "channels", "out_height", "out_width", "taps_h", "taps_w"),
    *("stride_h", "stride_w", "dilation_h", "dilation_w", "top", "left", "relu"),
    *("x_line", "x_row", "x_tap", "x_pixel", "w_row", "w_tap", "w_vector", "y_row", "y_pixel"),
    *("pixels", "rows_near", "vectors_near", "unrolled"),
)
PACK = record("kernel", "packed", "scale", "taps", "channels", "parts")
FOLD = record("partial", "gradient", "partial_stride", "several", "taps", "channels", "parts")


_sums = make_sums(DEPTHWISE)
_gradient = make_gradient(DEPTHWISE)


@kernel_function
def _start(vector, channels):
    """Return a vector's first channel; the last one ends with the channels and overlaps."""
    return max(0, min(vector * LANES, channels - LANES))


@kernel(PACK)
def pack_depthwise(pointer):
    """packed[vector][KH, KW][LANES] = kernel[KH, KW, C] (* scale[C]); the last vector
    ends with the channels."""
    op = record_at(pointer)
    vectors = (op.channels + LANES - 1) // LANES
    lanes = min(LANES, op.channels)
    for vector in range(vectors * op.first // op.parts, vectors * (op.first + 1) // op.parts):
        c = _start(vector, op.channels)
        to = op.packed + vector * op.taps * VECTOR_BYTES
        for tap in range(op.taps):
            value = load(op.kernel + 4 * (tap * op.channels + c), lanes)
            if op.scale:
                value = multiply(value, load(op.scale + 4 * c, lanes))
            store(value, to + tap * VECTOR_BYTES, LANES)


@kernel(FOLD)
def fold_depthwise(pointer):
    """gradient[KH, KW, C] = the pairwise sum of the chunks' partial[vector][KH, KW][LANES].

    Unless `several`, the first chunk's are the sums already.
    """
    op = record_at(pointer)
    chunks = op.chunks if op.several else 1
    vectors = (op.channels + LANES - 1) // LANES
    lanes = min(LANES, op.channels)
    for tap in range(op.taps * op.first // op.parts, op.taps * (op.first + 1) // op.parts):
        for vector in range(vectors):
            at = op.partial + (vector * op.taps + tap) * VECTOR_BYTES
            total = pairwise_sum(at, op.partial_stride, chunks, LANES)
            store(total, op.gradient + 4 * (tap * op.channels + _start(vector, op.channels)), lanes)


@kernel_function
def _inside(start, step, count, size):
    """Return the first of start, start + step, ... that lies in 0..size, and the end."""
    first, end = 0, count
    while first < count and start + first * step < 0:
        first += 1
    while end > first and start + (end - 1) * step >= size:
        end -= 1
    return first, end


@kernel_function
def _group(position, out_size, stride, pad, dilation, taps, size, most):
    """Return how many positions go together from this one on, and which taps they have."""
    start = position * stride - pad
    first, end = _inside(start, dilation, taps, size)
    if most == 1 or end - first < taps:
        return 1, first, end
    _, whole = _inside(start + (taps - 1) * dilation, stride, out_size - position, size)
    groups = (max(1, whole) + most - 1) // most
    return (max(1, whole) + groups - 1) // groups, first, end


@kernel_function
def _columns(op, pixel):
    """Return how many pixels of a row go together, and their taps of a row."""
    return _group(
        *(pixel, op.out_width, op.stride_w, op.left, op.dilation_w, op.taps_w, op.width, op.pixels)
    )


@kernel_function
def _rows(op, row, bottom, most):
    """Return how many pixels of a column go together, at most `most`, and their rows of taps."""
    return _group(*(row, bottom, op.stride_h, op.top, op.dilation_h, op.taps_h, op.height, most))


@kernel(DEPTHWISE)
def depthwise_sums(pointer):
    """y[OH, OW, C] = bias[C] + sum over taps of x * kernel[KH, KW, C], then ReLU where asked.

    Some rows of some channels at a time, so that the input rows stay near. A tile is some pixels of
    a row; at the left and right edges, where pixels have fewer taps, some pixels of a column.
    """
    op = record_at(pointer)
    op_address = address_of(pointer)
    all_vectors = (op.channels + LANES - 1) // LANES
    narrow = int(op.channels < LANES)
    for top in range(0, op.out_height, op.rows_near):
        bottom = min(op.out_height, top + op.rows_near)
        for vector in range(0, all_vectors, op.vectors_near):
            vectors = min(op.vectors_near, all_vectors - vector)
            pixel = 0
            while pixel < op.out_width:
                pixels, first_w, end_w = _columns(op, pixel)
                column = pixels == 1
                x_step = op.stride_h * op.x_line if column else op.x_pixel
                y_step = op.y_row if column else op.y_pixel
                place = pixel * op.stride_w - op.left + first_w * op.dilation_w
                x = op.x + 4 * op.channels * place
                y = op.y + pixel * op.y_pixel
                weight = op.kernel + first_w * op.w_tap + vector * op.w_vector
                row = top
                while row < bottom:
                    rows, first_h, end_h = _rows(op, row, bottom, op.pixels if column else 1)
                    line = row * op.stride_h - op.top + first_h * op.dilation_h
                    kind = narrow
                    if narrow == 0 and pixels >= 4 and op.unrolled:
                        kind = op.taps_w
                    at = x + line * op.x_line, weight + first_h * op.w_row, y + row * op.y_row
                    taps = end_h - first_h, end_w - first_w
                    _sums(
                        pixels * rows, kind, op_address, *at, x_step, y_step, *taps, vector, vectors
                    )
                    row += rows
                pixel += pixels


@kernel(DEPTHWISE)
def depthwise_gradient(pointer):
    """kernel += the kernel's gradient, from x and y = the gradient of the output."""
    op = record_at(pointer)
    op_address = address_of(pointer)
    all_vectors = (op.channels + LANES - 1) // LANES
    narrow = int(op.channels < LANES)
    most = 1 if narrow else TAPS
    for top in range(0, op.out_height, op.rows_near):
        bottom = min(op.out_height, top + op.rows_near)
        for vector in range(0, all_vectors, op.vectors_near):
            vectors = min(op.vectors_near, all_vectors - vector)
            pixel = 0
            while pixel < op.out_width:
                pixels, first_w, end_w = _columns(op, pixel)
                column = pixels == 1
                x_step = op.stride_h * op.x_line if column else op.x_pixel
                y_step = op.y_row if column else op.y_pixel
                row = top
                while row < bottom:
                    rows, first_h, end_h = _rows(op, row, bottom, op.pixels if column else 1)
                    y = op.y + row * op.y_row + pixel * op.y_pixel
                    for tap_h in range(first_h, end_h, most):
                        place_h = row * op.stride_h - op.top + tap_h * op.dilation_h
                        for tap_w in range(first_w, end_w, most):
                            place = pixel * op.stride_w - op.left + tap_w * op.dilation_w
                            x = op.x + place_h * op.x_line + 4 * op.channels * place
                            to = op.kernel + tap_h * op.w_row + tap_w * op.w_tap
                            to += vector * op.w_vector
                            taps = min(most, end_h - tap_h), min(most, end_w - tap_w)
                            at = x, y, to, x_step, y_step
                            _gradient(
                                *taps, narrow, op_address, *at, pixels * rows, vector, vectors
                            )
                    row += rows
                pixel += pixels
