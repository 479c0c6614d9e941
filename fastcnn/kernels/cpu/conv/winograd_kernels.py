"""The kernels of Winograd convolution: transforms of tiles, of kernels and of their gradients.

Each kernel exists for every form F(m x m, taps x taps), and is found by it: `INPUTS[4, 3]`. What is
never used is never compiled.

The basis elements e = (i, j) of a transformed array lie one after the other, V[e][tile][C], or
those of a tile do, V[tile][e][C]: `v_tile` and `v_step` are the bytes between tiles and between
elements (winograd_tiling.py). Rows of C are filled up with zeros to whole vectors.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from fastcnn.kernels.cpu.gemm.tiled import GRID
from fastcnn.kernels.cpu.runtime.function import kernel_function
from fastcnn.kernels.cpu.runtime.kernel import Kernel, kernel, own_fields, record
from fastcnn.kernels.cpu.simd.pointers import address_of, call, floats, record_at
from fastcnn.kernels.cpu.simd.vector import load, multiply, splat, store, stream, transpose
from fastcnn.kernels.cpu.simd.vector_unit import LANES, VECTOR_BYTES
from fastcnn.kernels.cpu.simd.winograd_transform import two_sided
from fastcnn.kernels.shared.winograd import FORMS, matrices

# A grid of tiles, which multiplies in every basis element, and the image around it. x_row, x_column
# and y_pixel are bytes from one pixel to the next; `band` is how many tile rows go through at once.
WINOGRAD = record(
    *own_fields(GRID),
    *("x", "v", "products", "y", "spare", "offset", "tiles"),
    *("tiles_h", "tiles_w", "band", "x_row", "x_column", "channels"),
    *("v_tile", "v_step"),
    *("out_height", "out_width", "filters", "y_pixel", "products_tile", "products_step"),
    "rectified",
)
KERNEL = record(
    *("kernel", "u", "block", "scale"),
    *("inner", "outputs", "s_tap", "s_i", "s_o", "u_step", "large", "parts"),
)
GRADIENT = record(*("d", "gradient", "added", "channels", "filters", "d_step", "parts"))
# A block of LANES rows of a vector: for the kernel's taps side by side, for basis elements not a
# power of two apart.
TAP_BYTES = LANES * VECTOR_BYTES
ELEMENT_BYTES = TAP_BYTES + VECTOR_BYTES

Form = tuple[int, int]


def _named(name: str, form: Form, dtype: np.dtype, body: Callable) -> Kernel:
    m, taps = form
    body.__name__ = body.__qualname__ = f"{name}_{m}x{m}_{taps}x{taps}"
    return kernel(dtype)(body)


def _inputs_transform(name: str, matrix: np.ndarray, step: int) -> Callable:
    """Return a function that makes v[e][tile, C] = matrix d matrix^T for the tiles of tile rows
    first..end, which begin `step` pixels apart."""
    transform = two_sided(name, matrix, padded=True)
    size = len(matrix)

    @kernel_function
    def transform_inputs(op, first, end):
        v_row = size * op.v_step
        for row in range(first, end):
            for column in range(op.tiles_w):
                source = op.x + step * (row * op.x_row + column * op.x_column)
                target = op.v + op.v_tile * ((row - first) * op.tiles_w + column)
                for c in range(0, op.channels, LANES):
                    lanes, at, to = min(LANES, op.channels - c), source + 4 * c, target + 4 * c
                    transform(at, op.x_row, op.x_column, lanes, to, v_row, op.v_step)

    return transform_inputs


def _outputs_transform(form: Form) -> Callable:
    """Return a function that makes y[OH, OW, F] = A^T products A (+ offset, then ReLU) for the
    tiles of tile rows first..end."""
    m, taps = form
    size = m + taps - 1
    transform = two_sided("winograd_output", matrices(m, taps)[0], finished=True)

    @kernel_function
    def transform_outputs(op, first, end):
        steps = size * op.products_step, op.products_step
        pixel = op.y_pixel
        floor = splat(np.float32(0)) if op.rectified else splat(np.float32(-np.inf))
        for row in range(first, end):
            high = min(m, op.out_height - row * m)
            for column in range(op.tiles_w):
                wide = min(m, op.out_width - column * m)
                whole = high == m and wide == m
                source = op.products + op.products_tile * ((row - first) * op.tiles_w + column)
                target = op.y + pixel * m * (row * op.out_width + column)
                for f in range(0, op.filters, LANES):
                    lanes = min(LANES, op.filters - f)
                    start = load(op.offset + 4 * f, lanes) if op.offset else splat(np.float32(0))
                    # A tile that the image's edge cuts is made aside, and its inside copied.
                    to, to_row, to_column = target + 4 * f, pixel * op.out_width, pixel
                    if not whole:
                        to, to_row, to_column = op.spare, m * VECTOR_BYTES, VECTOR_BYTES
                    transform(source + 4 * f, *steps, lanes, to, to_row, to_column, start, floor)
                    if not whole:
                        for i in range(high):
                            for j in range(wide):
                                inside = load(op.spare + (m * i + j) * VECTOR_BYTES, lanes)
                                pixels = pixel * (i * op.out_width + j)
                                store(inside, target + 4 * f + pixels, lanes)

    return transform_outputs


def _of_image(name: str, form: Form, transform: Callable) -> Kernel:
    """Return the kernel that transforms all tiles of an image."""

    def body(pointer):
        op = record_at(pointer)
        transform(op, 0, op.tiles_h)

    return _named(name, form, WINOGRAD, body)


def _inputs(form: Form) -> Kernel:
    """Return the kernel of V = B^T d B."""
    m, taps = form
    transform = _inputs_transform("winograd_input", matrices(m, taps)[2], m)
    return _of_image("winograd_inputs", form, transform)


def _output_gradients(form: Form) -> Kernel:
    """Return the kernel of W = A dy A^T."""
    m, taps = form
    transform = _inputs_transform("winograd_output_gradient", matrices(m, taps)[0].T, m)
    return _of_image("winograd_output_gradients", form, transform)


def _outputs(form: Form) -> Kernel:
    """Return the kernel of y = A^T products A."""
    return _of_image("winograd_outputs", form, _outputs_transform(form))


def _bands(form: Form) -> Kernel:
    m, taps = form
    transform_inputs = _inputs_transform("winograd_input", matrices(m, taps)[2], m)
    transform_outputs = _outputs_transform(form)

    def body(pointer):
        """Convolve an image, band by band, so that what lies between stays in the cache."""
        op = record_at(pointer)
        op_address = address_of(pointer)
        op.a, op.c = op.v, op.products
        for first in range(0, op.tiles_h, op.band):
            end = min(op.tiles_h, first + op.band)
            transform_inputs(op, first, end)
            op.rows_inner = (end - first) * op.tiles_w
            call(op.tiles, op_address)
            transform_outputs(op, first, end)

    return _named("winograd_bands", form, WINOGRAD, body)


@kernel_function
def _gather_block(op, taps, i, o, height, lanes):
    """block[tap][row][lane] = kernel[tap, i + row, o + lane] * scale[o + lane]."""
    for tap in range(taps * taps):
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
def _write_out(op, elements, source, target, height):
    """u[e][i + row][LANES] = the transformed block's rows, in runs that fill whole pages fast."""
    for e in range(elements):
        for row in range(height):
            value = load(source + e * ELEMENT_BYTES + row * VECTOR_BYTES, LANES)
            if op.large:
                stream(value, target + e * op.u_step + row * VECTOR_BYTES)
            else:
                store(value, target + e * op.u_step + row * VECTOR_BYTES, LANES)


def _kernels(form: Form) -> Kernel:
    m, taps = form
    size = m + taps - 1
    transform = two_sided("winograd_kernel", matrices(m, taps)[1])
    room = block_bytes(m, taps)
    tap_steps = taps * TAP_BYTES, TAP_BYTES
    element_steps = size * ELEMENT_BYTES, ELEMENT_BYTES

    def body(pointer):
        """u[e][vector][inner][LANES] = G g G^T, packed for the tiles; strides s_* are in floats.

        The kernel goes through block by block of LANES x LANES numbers a tap; each part has a block
        of its own, and room for it transformed. `s_i` is 1 or `s_o` is.
        """
        op = record_at(pointer)
        op.block += op.first * room
        elements = op.block + taps * taps * TAP_BYTES
        vectors = (op.outputs + LANES - 1) // LANES
        heaps = (op.inner + LANES - 1) // LANES
        items = vectors * heaps
        for item in range(items * op.first // op.parts, items * (op.first + 1) // op.parts):
            vector, i = item // heaps, item % heaps * LANES
            height, lanes = min(LANES, op.inner - i), min(LANES, op.outputs - vector * LANES)
            _gather_block(op, taps, i, vector * LANES, height, lanes)
            for row in range(height):
                source, target = op.block + row * VECTOR_BYTES, elements + row * VECTOR_BYTES
                transform(source, *tap_steps, LANES, target, *element_steps)
            to = op.u + (vector * op.inner + i) * VECTOR_BYTES
            _write_out(op, size * size, elements, to, height)

    return _named("winograd_kernel", form, KERNEL, body)


def block_bytes(m: int, taps: int) -> int:
    """Return the bytes that each part of a kernel's transform has: a block's taps and elements."""
    size = m + taps - 1
    return taps * taps * TAP_BYTES + size * size * ELEMENT_BYTES


def _gradients(form: Form) -> Kernel:
    m, taps = form
    size = m + taps - 1
    transform = two_sided("winograd_gradient", matrices(m, taps)[1].T, added=True)

    def body(pointer):
        """gradient[KH, KW, C, F] = G^T d G, d being [e][C, F]; where `added`, += that."""
        op = record_at(pointer)
        tap = 4 * op.channels * op.filters
        steps, to_steps = (size * op.d_step, op.d_step), (taps * tap, tap)
        part = op.first if op.parts > 1 else 0
        first, end = op.channels * part // op.parts, op.channels * (part + 1) // op.parts
        for c in range(first, end):
            for f in range(0, op.filters, LANES):
                lanes = min(LANES, op.filters - f)
                at = 4 * (c * op.filters + f)
                for i in range(0 if op.added else taps * taps):
                    store(splat(np.float32(0)), op.gradient + at + i * tap, lanes)
                transform(op.d + at, *steps, lanes, op.gradient + at, *to_steps)

    return _named("winograd_gradient", form, GRADIENT, body)


INPUTS = {form: _inputs(form) for form in FORMS}
OUTPUT_GRADIENTS = {form: _output_gradients(form) for form in FORMS}
OUTPUTS = {form: _outputs(form) for form in FORMS}
BANDS = {form: _bands(form) for form in FORMS}
KERNELS = {form: _kernels(form) for form in FORMS}
GRADIENTS = {form: _gradients(form) for form in FORMS}
