"""The kernels of sparse gradients: from max pooling's own gradient to a convolution's kernel and
input. What they compute stands in `sparse_gradients.py`.
"""

from __future__ import annotations

from fastcnn.kernels.cpu.gemm.panel_copies import transpose_rows
from fastcnn.kernels.cpu.gemm.sparse_product import (
    FIELDS,
    piece_of,
    pieces_of,
    sparse_tile_code,
)
from fastcnn.kernels.cpu.gemm.tile_code import run_sparse_tile
from fastcnn.kernels.cpu.runtime.function import kernel_function
from fastcnn.kernels.cpu.runtime.kernel import kernel, record
from fastcnn.kernels.cpu.simd.pairwise_sum import pairwise_sum
from fastcnn.kernels.cpu.simd.pointers import address_of, floats_at, half_words_at, record_at
from fastcnn.kernels.cpu.simd.vector import (
    fill,
    load,
    splat,
    splat_bits,
    store,
    where_equal,
)
from fastcnn.kernels.cpu.simd.vector_unit import LANES, VECTOR_BYTES

# `window` is how many pixels a pooling window has, `window_row` and `window_column` the bytes from
# one to the next in what the sparse tiles read, `pooled_row` and `pooled_column` those from window
# to window in the image; so many rows of windows, `band`, go through all pieces at a time.
GEOMETRY = (
    *("dy", "index", "offsets", "out_height", "out_width", "filters", "filter_bytes", "band"),
    *("window", "window_w", "window_row", "window_column", "pooled_row", "pooled_column"),
)
SPARSE_DW = record(*FIELDS, "x", "sums", *GEOMETRY)
SPARSE_DX = record(
    *FIELDS, "kernel", "dx", "dx_size", "values", "counts", "column_of", "shift_of", *GEOMETRY
)
PACK_FILTERS = record(
    *("kernel", "packed", "above", "heights", "run", "row", "filters", "filter_bytes", "parts")
)
FOLD_FILTERS = record(
    *("sums", "gradient", "partial_stride", "several"),
    *("heights", "run", "row", "filters", "filter_bytes", "parts"),
)
ANY_SIGN = 0x7FFFFFFF  # the bits of a float but for its sign


@kernel_function
def _find_offsets(op):
    """offsets[PH, PW, F] = how far the place of each gradient is from that of its window's first
    pixel, in bytes."""
    size = op.out_height * op.out_width * op.filters
    for number in range(1, max(op.window, 2), 3):  # three at a time: all that 2x2 windows need
        first, second, third = splat(number), splat(number + 1), splat(number + 2)
        to_first, to_second = _offset(op, number), _offset(op, number + 1)
        to_third = _offset(op, number + 2)
        for i in range(0, size, LANES):
            place, offset = load(op.index + 4 * i, LANES), splat_bits(0)
            if number > 1:
                offset = load(op.offsets + 4 * i, LANES)
            offset = where_equal(place, first, to_first, offset)
            offset = where_equal(place, second, to_second, offset)
            store(where_equal(place, third, to_third, offset), op.offsets + 4 * i, LANES)


@kernel_function
def _offset(op, number):
    """Return how far a pixel of a window is from the first one, as bits of a vector's lanes."""
    row, column = number // op.window_w, number % op.window_w
    return splat_bits(row * op.window_row + column * op.window_column)


@kernel(SPARSE_DW, requires=(sparse_tile_code,))
def sparse_conv2d_dw(pointer):
    """sums[F, KH, KW * C filled up] += the gradient of the kernel from one image."""
    op = record_at(pointer)
    op_address = address_of(pointer)
    _find_offsets(op)
    row_bytes = 4 * op.out_width * op.filters
    for first in range(0, op.out_height, op.band):
        rows = min(op.band, op.out_height - first)
        for piece in range(pieces_of(op)):
            row, height, vector, width = piece_of(op, piece)
            at = row_bytes * first
            source = op.x + first * op.pooled_row + row * op.source_row + vector * VECTOR_BYTES
            target = op.sums + row * op.target_row + vector * VECTOR_BYTES
            for _ in range(op.filters):
                values, offsets = op.dy + at, op.offsets + at
                run_sparse_tile(
                    *(op.sparse_tile_table, height, width, op_address),
                    *(values, offsets, source, target, rows, op.out_width),
                )
                at += 4
                target += op.filter_bytes


@kernel_function
def _list_values(op, first, rows):
    """List dy of each column of the windows in some rows, but for zeros: [rows, PW, columns of a
    window, F] values, and the offsets of their filters."""
    filters, columns, filter_bytes = op.filters, op.window_w, op.filter_bytes
    start = 4 * first * op.out_width * filters
    dy, index = half_words_at(op.dy + start), floats_at(op.index + start)  # the bits of dy
    values, offsets, counts = (
        half_words_at(op.values),
        half_words_at(op.offsets),
        half_words_at(op.counts),
    )
    column_of, shift_of = half_words_at(op.column_of), half_words_at(op.shift_of)
    for pixel in range(op.window):
        column_of[pixel] = pixel % columns
        shift_of[pixel] = pixel // columns * op.window_row
    for window in range(rows * op.out_width):
        source = window * filters
        for column in range(columns):
            at = first_at = (window * columns + column) * filters
            for f in range(filters):
                value, pixel = dy[source + f], int(index[source + f])
                values[at] = value
                offsets[at] = f * filter_bytes + shift_of[pixel]
                # The next one takes the place of what is none.
                at += (column_of[pixel] == column) & (value & ANY_SIGN != 0)
            counts[window * columns + column] = at - first_at


@kernel(SPARSE_DX, requires=(sparse_tile_code,))
def sparse_conv2d_dx(pointer):
    """dx[padded H, padded W, C] = the gradient of the padded image."""
    op = record_at(pointer)
    op_address = address_of(pointer)
    fill(op.dx, op.dx_size, splat(0.0))
    for first in range(0, op.out_height, op.band):
        rows = min(op.band, op.out_height - first)
        _list_values(op, first, rows)
        for piece in range(pieces_of(op)):
            _add_columns(op, op_address, piece, first, rows)


@kernel_function
def _add_columns(op, op_address, piece, first, rows):
    """Add a piece of what each column of the windows in some rows sees, downwards.

    A window below another one lies on whole vectors that were stored a moment ago, the one beside
    it across them: to load it would have to wait until they have reached the cache.
    """
    row, height, vector, width = piece_of(op, piece)
    source = op.kernel + row * op.source_row + vector * VECTOR_BYTES
    start = op.dx + row * op.target_row + vector * VECTOR_BYTES + first * op.pooled_row
    counts = half_words_at(op.counts)
    for across in range(op.out_width):
        for beside in range(op.window_w):
            target = start + across * op.pooled_column + beside * op.window_column
            column = across * op.window_w + beside
            for _ in range(rows):
                at = 4 * column * op.filters
                run_sparse_tile(
                    *(op.sparse_tile_table, height, width, op_address),
                    *(op.values + at, op.offsets + at, source, target, 1, counts[column]),
                )
                target += op.pooled_row
                column += op.out_width * op.window_w


@kernel_function
def _filters_of_part(op):
    """Return the first filter of a part and the end of them, whole vectors where they suffice."""
    vectors = (op.filters + LANES - 1) // LANES
    first, end = vectors * op.first // op.parts, vectors * (op.first + 1) // op.parts
    return first * LANES, min(end * LANES, op.filters)


@kernel(PACK_FILTERS)
def pack_filters(pointer):
    """packed[F, above + KH + above, row] = kernel[KH, run, F] in zeros; strides in bytes."""
    op = record_at(pointer)
    first, end = _filters_of_part(op)
    packed = op.packed + first * op.filter_bytes
    fill(packed, (end - first) * op.filter_bytes // 4, splat(0.0))
    for row in range(op.heights):
        source = op.kernel + 4 * (row * op.run * op.filters + first)
        target = packed + (op.above + row) * op.row
        transpose_rows(source, 4 * op.filters, op.run, end - first, target, op.filter_bytes)


@kernel(FOLD_FILTERS)
def fold_filters(pointer):
    """gradient[KH, run, F] = the chunks' pairwise sum of sums[F, KH, row]; strides in bytes.

    Unless `several`, the first chunk's is the sum already.
    """
    op = record_at(pointer)
    first, end = _filters_of_part(op)
    sums = op.sums + first * op.filter_bytes
    chunks = op.chunks if op.several else 1
    size = (end - first) * op.filter_bytes if chunks > 1 else 0
    for at in range(sums, sums + size, VECTOR_BYTES):
        store(pairwise_sum(at, op.partial_stride, chunks, LANES), at, LANES)
    for row in range(op.heights):
        target = op.gradient + 4 * (row * op.run * op.filters + first)
        source = sums + row * op.row
        transpose_rows(source, op.filter_bytes, end - first, op.run, target, 4 * op.filters)
