"""The kernels of Winograd convolution: transforms of tiles, of kernels and of their gradients.

The basis elements e = (i, j) of a transformed array lie one after the other: V[e][tile][C] and so
on. They are `step` bytes apart, an odd number of cache lines, since under a power of two all would
compete for the same few lines of the cache; so are the tiles of many channels.
"""

from __future__ import annotations

import numpy as np

from fastcnn.kernels.cpu.gemm.tiled import GRID
from fastcnn.kernels.cpu.runtime.function import kernel_function
from fastcnn.kernels.cpu.runtime.kernel import kernel, own_fields, record
from fastcnn.kernels.cpu.simd.pointers import address_of, call, floats, record_at
from fastcnn.kernels.cpu.simd.vector import add, load, multiply, splat, store, stream, transpose
from fastcnn.kernels.cpu.simd.vector_unit import LANES, VECTOR_BYTES
from fastcnn.kernels.cpu.simd.winograd_transform import two_sided
from fastcnn.kernels.shared.winograd import FORMS, matrices

# A grid of tiles, which multiplies in every basis element, and the image around it. x_row and
# x_column are bytes from one pixel to the next; `band` is how many tile rows go through at once.
WINOGRAD = record(
    *own_fields(GRID),
    *("x", "v", "products", "y", "spare", "offset", "tiles"),
    *("form", "m", "taps", "tiles_h", "tiles_w", "band", "x_row", "x_column", "channels"),
    *("v_tile", "v_step"),
    *("out_height", "out_width", "filters", "products_tile", "products_step"),
    *("rectified", "transposed"),
)
KERNEL = record(
    *("kernel", "u", "block", "scale"),
    *("form", "m", "taps", "inner", "outputs", "s_tap", "s_i", "s_o", "u_step", "large", "parts"),
)
GRADIENT = record(
    *("d", "gradient", "partial_stride", "several"),
    *("form", "m", "taps", "channels", "filters", "d_step", "parts"),
)
# A block of LANES rows of a vector: for the kernel's taps side by side, for basis elements not a
# power of two apart.
TAP_BYTES = LANES * VECTOR_BYTES
ELEMENT_BYTES = TAP_BYTES + VECTOR_BYTES

_OUTPUTS, _KERNELS, _INPUTS = zip(*(matrices(m, taps) for m, taps in FORMS), strict=True)
_input = two_sided("winograd_input", _INPUTS)
_output = two_sided("winograd_output", _OUTPUTS, finished=True)
_kernel = two_sided("winograd_kernel", _KERNELS)
# For the gradient of the kernel, outputs and kernel change places.
_transposed_output = two_sided("winograd_transposed_output", [matrix.T for matrix in _OUTPUTS])
_transposed_kernel = two_sided("winograd_transposed_kernel", [matrix.T for matrix in _KERNELS])


@kernel_function
def _transform_inputs(op, first, end):
    """v[e][tile, C] = B^T d B for the tiles of tile rows first..end; A d A^T where `transposed`."""
    size = op.m + op.taps - 1
    v_row = size * op.v_step
    for row in range(first, end):
        for column in range(op.tiles_w):
            source = op.x + op.m * (row * op.x_row + column * op.x_column)
            target = op.v + op.v_tile * ((row - first) * op.tiles_w + column)
            for c in range(0, op.channels, LANES):
                lanes = min(LANES, op.channels - c)
                at, to = source + 4 * c, target + 4 * c
                steps = op.x_row, op.x_column
                if op.transposed:
                    _transposed_output(op.form, at, *steps, lanes, to, v_row, op.v_step)
                else:
                    _input(op.form, at, *steps, lanes, to, v_row, op.v_step)


@kernel_function
def _transform_outputs(op, first, end):
    """y[OH, OW, F] = A^T products A (+ offset, then ReLU) for the tiles of tile rows first..end."""
    size = op.m + op.taps - 1
    from_row = size * op.products_step
    pixel = 4 * op.filters
    floor = splat(np.float32(0)) if op.rectified else splat(np.float32(-np.inf))
    for row in range(first, end):
        high = min(op.m, op.out_height - row * op.m)
        for column in range(op.tiles_w):
            wide = min(op.m, op.out_width - column * op.m)
            whole = high == op.m and wide == op.m
            source = op.products + op.products_tile * ((row - first) * op.tiles_w + column)
            target = op.y + pixel * op.m * (row * op.out_width + column)
            for f in range(0, op.filters, LANES):
                lanes = min(LANES, op.filters - f)
                start = load(op.offset + 4 * f, lanes) if op.offset else splat(np.float32(0))
                # A tile that the image's edge cuts is made aside, and its inside copied.
                to, to_row, to_column = target + 4 * f, pixel * op.out_width, pixel
                if not whole:
                    to, to_row, to_column = op.spare, op.m * VECTOR_BYTES, VECTOR_BYTES
                at = source + 4 * f
                steps, to_steps = (from_row, op.products_step), (to_row, to_column)
                _output(op.form, at, *steps, lanes, to, *to_steps, start, floor)
                if not whole:
                    for i in range(high):
                        for j in range(wide):
                            inside = load(op.spare + (op.m * i + j) * VECTOR_BYTES, lanes)
                            store(inside, target + 4 * f + pixel * (i * op.out_width + j), lanes)


@kernel(WINOGRAD)
def winograd_inputs(pointer):
    """Transform an image's tiles."""
    op = record_at(pointer)
    _transform_inputs(op, 0, op.tiles_h)


@kernel(WINOGRAD)
def winograd_outputs(pointer):
    """Transform an image's products back."""
    op = record_at(pointer)
    _transform_outputs(op, 0, op.tiles_h)


@kernel(WINOGRAD)
def winograd_bands(pointer):
    """Convolve an image, band by band, so that what lies between stays in the cache."""
    op = record_at(pointer)
    op_address = address_of(pointer)
    op.a, op.c = op.v, op.products
    for first in range(0, op.tiles_h, op.band):
        end = min(op.tiles_h, first + op.band)
        _transform_inputs(op, first, end)
        op.rows_inner = (end - first) * op.tiles_w
        call(op.tiles, op_address)
        _transform_outputs(op, first, end)


@kernel_function
def _gather_block(op, i, o, height, lanes):
    """block[tap][row][lane] = kernel[tap, i + row, o + lane] * scale[o + lane]."""
    for tap in range(op.taps * op.taps):
        source = op.kernel + 4 * (tap * op.s_tap + i * op.s_i + o * op.s_o)
        target = op.block + tap * TAP_BYTES
        if op.s_o == 1:
            for row in range(height):
                store(load(source + 4 * row * op.s_i, lanes), target + row * VECTOR_BYTES, lanes)
        elif height == LANES and lanes == LANES:
            transpose(source, 4 * op.s_o, target, VECTOR_BYTES)
        else:
            numbers = floats(source, (height - 1) * op.s_i + (lanes - 1) * op.s_o + 1)
            rows = floats(target, LANES * LANES)
            for row in range(height):
                for lane in range(lanes):
                    rows[row * LANES + lane] = numbers[row * op.s_i + lane * op.s_o]
        if op.scale:
            scale = load(op.scale + 4 * o, lanes)
            for row in range(height):
                at = target + row * VECTOR_BYTES
                store(multiply(load(at, lanes), scale), at, lanes)


@kernel_function
def _write_out(op, source, target, height):
    """u[e][i + row][LANES] = the transformed block's rows, in runs that fill whole pages fast."""
    for e in range((op.m + op.taps - 1) ** 2):
        for row in range(height):
            value = load(source + e * ELEMENT_BYTES + row * VECTOR_BYTES, LANES)
            if op.large:
                stream(value, target + e * op.u_step + row * VECTOR_BYTES)
            else:
                store(value, target + e * op.u_step + row * VECTOR_BYTES, LANES)


@kernel(KERNEL)
def winograd_kernel(pointer):
    """u[e][vector][inner][LANES] = G g G^T, packed for the tiles; strides s_* are in floats.

    The kernel goes through block by block of LANES x LANES numbers a tap; each part has a block of
    its own, and room for it transformed. `s_i` is 1 or `s_o` is.
    """
    op = record_at(pointer)
    size = op.m + op.taps - 1
    op.block += op.first * (op.taps * op.taps * TAP_BYTES + size * size * ELEMENT_BYTES)
    elements = op.block + op.taps * op.taps * TAP_BYTES
    vectors = (op.outputs + LANES - 1) // LANES
    heaps = (op.inner + LANES - 1) // LANES
    items = vectors * heaps
    for item in range(items * op.first // op.parts, items * (op.first + 1) // op.parts):
        vector, i = item // heaps, item % heaps * LANES
        height, lanes = min(LANES, op.inner - i), min(LANES, op.outputs - vector * LANES)
        _gather_block(op, i, vector * LANES, height, lanes)
        for row in range(height):
            source, target = op.block + row * VECTOR_BYTES, elements + row * VECTOR_BYTES
            rows = op.taps * TAP_BYTES, size * ELEMENT_BYTES
            steps, to_steps = (rows[0], TAP_BYTES), (rows[1], ELEMENT_BYTES)
            _kernel(op.form, source, *steps, LANES, target, *to_steps)
        _write_out(op, elements, op.u + (vector * op.inner + i) * VECTOR_BYTES, height)


@kernel(GRADIENT)
def winograd_gradient(pointer):
    """gradient[KH, KW, C, F] = G^T d G, d[e][C, F] being the sum of the chunks' in order."""
    op = record_at(pointer)
    elements = (op.m + op.taps - 1) ** 2
    d_row = (op.m + op.taps - 1) * op.d_step
    tap = 4 * op.channels * op.filters
    chunks = op.chunks if op.several else 1
    for c in range(op.channels * op.first // op.parts, op.channels * (op.first + 1) // op.parts):
        for f in range(0, op.filters, LANES):
            lanes = min(LANES, op.filters - f)
            at = op.d + 4 * (c * op.filters + f)
            for e in range(elements):
                place = at + e * op.d_step
                total = load(place, lanes)
                for chunk in range(1, chunks):
                    total = add(total, load(place + chunk * op.partial_stride, lanes))
                if chunks > 1:
                    store(total, place, lanes)
            to = op.gradient + 4 * (c * op.filters + f)
            _transposed_kernel(op.form, at, d_row, op.d_step, lanes, to, op.taps * tap, tap)
