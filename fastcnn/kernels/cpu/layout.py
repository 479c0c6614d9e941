"""Kernels that move numbers: padding, packing kernels for the tiles, summing what chunks found."""

from __future__ import annotations

import numpy as np

from fastcnn.kernels.cpu.runtime.function import kernel_function
from fastcnn.kernels.cpu.runtime.kernel import kernel, record
from fastcnn.kernels.cpu.simd.pairwise_sum import pairwise_sum
from fastcnn.kernels.cpu.simd.pointers import floats, record_at
from fastcnn.kernels.cpu.simd.vector import (
    add,
    copy,
    fill,
    fma,
    load,
    splat,
    store,
    transpose,
    where_larger,
)
from fastcnn.kernels.cpu.simd.vector_unit import LANES, VECTOR_BYTES
from fastcnn.kernels.shared import border

PAD = record(
    *("x", "y", "scale", "offset"),
    *("height", "row", "top", "bottom", "left", "right", "channels", "relu"),
)
CROP = record("x", "y", "height", "row", "top", "bottom", "left", "right")
EXTENDED = (*("height", "width", "channels", "top", "bottom", "left", "right"), "reflected")
EXTEND = record("x", "y", *EXTENDED)
EXTEND_DX = record("dy", "dx", *EXTENDED)
COPY_ROWS = record("x", "y", "rows", "columns", "x_row", "y_row")
PERMUTE = record("x", "y", "n_0", "n_1", "n_2", "n_3", "s_0", "s_1", "s_2", "s_3")
FILL = record("y", "size")
PACK = record(
    *("kernel", "packed", "scale"),
    *("taps_h", "taps_w", "wide_w", "inner", "outputs", "pixels", "shift"),
    *("s_h", "s_w", "s_i", "s_o", "s_g", "groups", "scale_inner", "parts"),
)
FOLD = record(
    *("partial", "gradient", "partial_stride", "several"),
    *("taps_h", "taps_w", "wide_w", "inner", "outputs", "pixels", "shift", "parts"),
)
CONNECT = record("kernel", "numbers", "dense", "taps", "pairs", "connected")
FOLD_BIAS = record("bias", "scale", "shift", "y", "size")

_repeated = kernel_function(border.repeated)


@kernel_function
def _scaled_row(op, target, source):
    """Write one row of x * scale + offset per channel."""
    floor = splat(0.0) if op.relu else splat(-np.inf)
    for c in range(0, op.channels, LANES):
        lanes = min(LANES, op.channels - c)
        scale, offset = load(op.scale + 4 * c, lanes), load(op.offset + 4 * c, lanes)
        for at in range(4 * c, 4 * op.row, 4 * op.channels):
            value = fma(load(source + at, lanes), scale, offset)
            store(where_larger(value, floor, value, floor), target + at, lanes)


@kernel(PAD)
def pad_image(pointer):
    """y[H + top + bottom, left + row + right] = x[H, row] with zeros around; sizes in floats.

    With scale[C] and offset[C], x * scale + offset per channel takes x's place, after ReLU where
    asked.
    """
    op = record_at(pointer)
    zero = splat(0.0)
    wide = op.left + op.row + op.right
    fill(op.y, op.top * wide + op.left, zero)
    at = op.y + 4 * (op.top * wide + op.left)
    gap = op.right + op.left
    for row in range(op.height):
        if op.scale:
            _scaled_row(op, at, op.x + 4 * row * op.row)
        else:
            copy(at, op.x + 4 * row * op.row, op.row)
        # Between rows the right margin meets the next left one; the last row's is the bottom's
        # start.
        fill(at + 4 * op.row, gap if row < op.height - 1 else op.right + op.bottom * wide, zero)
        at += 4 * (op.row + gap)


@kernel(CROP)
def crop_image(pointer):
    """y[H, row] = what lies inside x[H + top + bottom, left + row + right]; sizes in floats."""
    op = record_at(pointer)
    wide = op.left + op.row + op.right
    at = op.x + 4 * (op.top * wide + op.left)
    for row in range(op.height):
        copy(op.y + 4 * row * op.row, at + 4 * row * wide, op.row)


@kernel(EXTEND)
def extend_image(pointer):
    """y[top + H + bottom, left + W + right, C] = x[H, W, C] with its own pixels around it: those at
    the edge, or, where `reflected`, those that a mirror at the outermost pixels shows.
    """
    op = record_at(pointer)
    pixel = 4 * op.channels
    to = op.y
    for row in range(-op.top, op.height + op.bottom):
        source = op.x + _repeated(row, op.height, op.reflected) * op.width * pixel
        for column in range(-op.left, 0):
            copy(to, source + _repeated(column, op.width, op.reflected) * pixel, op.channels)
            to += pixel
        copy(to, source, op.width * op.channels)
        to += op.width * pixel
        for column in range(op.width, op.width + op.right):
            copy(to, source + _repeated(column, op.width, op.reflected) * pixel, op.channels)
            to += pixel


@kernel_function
def _add_row(target, source, size):
    """Add `size` floats to others."""
    for i in range(0, size, LANES):
        lanes = min(LANES, size - i)
        store(add(load(target + 4 * i, lanes), load(source + 4 * i, lanes)), target + 4 * i, lanes)


@kernel(EXTEND_DX)
def extend_image_dx(pointer):
    """dx[H, W, C] = the sum of dy wherever a pixel of x stands in y."""
    op = record_at(pointer)
    pixel = 4 * op.channels
    floats(op.dx, op.height * op.width * op.channels)[:] = 0
    at = op.dy
    for row in range(-op.top, op.height + op.bottom):
        target = op.dx + _repeated(row, op.height, op.reflected) * op.width * pixel
        for column in range(-op.left, 0):
            _add_row(target + _repeated(column, op.width, op.reflected) * pixel, at, op.channels)
            at += pixel
        _add_row(target, at, op.width * op.channels)
        at += op.width * pixel
        for column in range(op.width, op.width + op.right):
            _add_row(target + _repeated(column, op.width, op.reflected) * pixel, at, op.channels)
            at += pixel


@kernel(COPY_ROWS)
def copy_rows(pointer):
    """y[r, :columns] = x[r, :columns] for rows x_row and y_row floats apart."""
    op = record_at(pointer)
    for row in range(op.rows):
        copy(op.y + 4 * row * op.y_row, op.x + 4 * row * op.x_row, op.columns)


@kernel(PERMUTE)
def permute(pointer):
    """y[a, b, c, d] = x[a * s_0 + b * s_1 + c * s_2 + d * s_3]: sizes n_*, strides in floats."""
    op = record_at(pointer)
    at = op.y
    for a in range(op.n_0):
        for b in range(op.n_1):
            for c in range(op.n_2):
                start = op.x + 4 * (a * op.s_0 + b * op.s_1 + c * op.s_2)
                if op.s_3 == 1:
                    copy(at, start, op.n_3)
                else:
                    x, y = floats(start, (op.n_3 - 1) * op.s_3 + 1), floats(at, op.n_3)
                    for d in range(op.n_3):
                        y[d] = x[d * op.s_3]
                at += 4 * op.n_3


@kernel(FILL)
def fill_zero(pointer):
    """y[:] = 0."""
    op = record_at(pointer)
    floats(op.y, op.size)[:] = 0


@kernel_function
def pack_tap(source, packed, inner, s_i, s_o, lanes):
    """packed[i][lane] = source[i * s_i + lane * s_o] for rows of LANES; the other lanes are left.

    `source` and `packed` are addresses.
    """
    if s_o == 1:
        for i in range(inner):
            store(load(source + 4 * i * s_i, lanes), packed + i * VECTOR_BYTES, lanes)
        return
    whole = inner - inner % LANES if s_i == 1 and lanes == LANES else 0
    for i in range(0, whole, LANES):
        transpose(source + 4 * i, 4 * s_o, packed + i * VECTOR_BYTES, VECTOR_BYTES)
    if whole < inner:
        last = floats(source, (inner - 1) * s_i + (lanes - 1) * s_o + 1)
        rows = floats(packed, inner * LANES)
        for lane in range(lanes):
            for i in range(whole, inner):
                rows[i * LANES + lane] = last[i * s_i + lane * s_o]


@kernel(PACK)
def pack_kernel(pointer):
    """Lay a convolution's kernel out for the tiles: packed[group][vector][kh, kw, inner][LANES].

    Columns are `pixels` neighbouring outputs x `outputs` channels: a column (p, o) sees the kernel
    shifted by p * `shift` taps, zero elsewhere, so that few channels still fill a vector. Strides
    s_* are in floats and may be negative (a flipped kernel). `scale` multiplies each output
    channel.
    """
    op = record_at(pointer)
    columns = op.pixels * op.outputs
    vectors = (columns + LANES - 1) // LANES
    steps = op.taps_h * op.wide_w * op.inner
    for item in range(
        op.groups * vectors * op.first // op.parts, op.groups * vectors * (op.first + 1) // op.parts
    ):
        group, vector = item // vectors, item % vectors
        address = op.packed + item * steps * VECTOR_BYTES
        packed = floats(address, steps * LANES)
        if op.pixels > 1 or (vector + 1) * LANES > columns:
            packed[:] = 0
        for pixel in range(op.pixels):
            # Columns of this pixel that fall into this vector.
            low = max(pixel * op.outputs, vector * LANES)
            high = min((pixel + 1) * op.outputs, (vector + 1) * LANES)
            if low >= high:
                continue
            output = low - pixel * op.outputs
            for tap_h in range(op.taps_h):
                for tap_w in range(op.taps_w):
                    source = op.kernel + 4 * (
                        tap_h * op.s_h + tap_w * op.s_w + output * op.s_o + group * op.s_g
                    )
                    step = (tap_h * op.wide_w + tap_w + pixel * op.shift) * op.inner
                    to = address + 4 * (step * LANES + low - vector * LANES)
                    pack_tap(source, to, op.inner, op.s_i, op.s_o, high - low)
            if op.scale:
                scale = floats(op.scale, (group + 1) * op.outputs)
                for step in range(steps):
                    for lane in range(high - low):
                        at = step * LANES + low - vector * LANES + lane
                        packed[at] *= scale[group * op.outputs + output + lane]


@kernel(FOLD)
def fold_gradient(pointer):
    """Sum the chunks' kernel gradients pairwise and undo the widening by `pixels`.

    gradient[kh, kw, i, o] = sum over chunks and p of partial[kh, kw + p * shift, i, p, o]. Unless
    `several`, the first chunk's are the sums already.
    """
    op = record_at(pointer)
    chunks = op.chunks if op.several else 1
    rows = op.taps_h * op.taps_w * op.inner
    first, end = rows * op.first // op.parts, rows * (op.first + 1) // op.parts
    if op.pixels == 1:
        for i in range(first * op.outputs, end * op.outputs, LANES):
            lanes = min(LANES, end * op.outputs - i)
            total = pairwise_sum(op.partial + 4 * i, op.partial_stride, chunks, lanes)
            store(total, op.gradient + 4 * i, lanes)
        return
    for row in range(first, end):
        tap, i = row // op.inner, row % op.inner
        tap_h, tap_w = tap // op.taps_w, tap % op.taps_w
        for o in range(0, op.outputs, LANES):
            lanes = min(LANES, op.outputs - o)
            total = splat(0.0)
            for pixel in range(op.pixels):
                step = (tap_h * op.wide_w + tap_w + pixel * op.shift) * op.inner + i
                at = op.partial + 4 * ((step * op.pixels + pixel) * op.outputs + o)
                total = add(total, pairwise_sum(at, op.partial_stride, chunks, lanes))
            store(total, op.gradient + 4 * (row * op.outputs + o), lanes)


@kernel_function
def _weights_of_tap(op, tap):
    """Return a tap's weights for all pairs of channel and filter, and for those connected."""
    dense = floats(op.dense + 4 * tap * op.pairs, op.pairs)
    return dense, floats(op.kernel + 4 * tap * op.connected, op.connected)


@kernel(CONNECT)
def spread_kernel(pointer):
    """dense[taps, pairs] = kernel[taps, connected], a number for each pair of channel and filter
    that is connected: for the i-th pair the one before numbers[i], and 0 where that is 0.
    """
    op = record_at(pointer)
    numbers = floats(op.numbers, op.pairs)
    for tap in range(op.taps):
        dense, kernel = _weights_of_tap(op, tap)
        for pair in range(op.pairs):
            number = int(numbers[pair])
            dense[pair] = kernel[number - 1] if number > 0 else np.float32(0)


@kernel(CONNECT)
def gather_kernel(pointer):
    """kernel[taps, connected] = dense[taps, pairs] where pairs are connected."""
    op = record_at(pointer)
    numbers = floats(op.numbers, op.pairs)
    for tap in range(op.taps):
        dense, kernel = _weights_of_tap(op, tap)
        for pair in range(op.pairs):
            if numbers[pair] > 0:
                kernel[int(numbers[pair]) - 1] = dense[pair]


@kernel(FOLD_BIAS)
def fold_bias(pointer):
    """y = bias * scale + shift: a convolution's bias after batch normalization is folded in."""
    op = record_at(pointer)
    scale, shift, y = floats(op.scale, op.size), floats(op.shift, op.size), floats(op.y, op.size)
    for i in range(op.size):
        y[i] = shift[i]
    if op.bias:
        bias = floats(op.bias, op.size)
        for i in range(op.size):
            y[i] += bias[i] * scale[i]
