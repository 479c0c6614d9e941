"""The kernels of sparse gradients: from max pooling's own gradient to a convolution's kernel and
input. What they compute stands in `sparse_gradients.py`.
"""

from __future__ import annotations

from fastcnn.kernels.cpu.gemm.sparse_product import FIELDS, piece_of, sparse_tile_code
from fastcnn.kernels.cpu.gemm.tile_code import run_sparse_tile
from fastcnn.kernels.cpu.runtime.function import kernel_function
from fastcnn.kernels.cpu.runtime.kernel import kernel, record
from fastcnn.kernels.cpu.simd.pairwise_sum import pairwise_sum
from fastcnn.kernels.cpu.simd.pointers import address_of, floats_at, half_words_at, record_at
from fastcnn.kernels.cpu.simd.vector import store
from fastcnn.kernels.cpu.simd.vector_unit import LANES, VECTOR_BYTES

# `window` is how many pixels a pooling window has, `window_row` and `window_column` the bytes from
# one to the next in what the sparse tiles read, `pooled_row` and `pooled_column` those from window
# to window in the image; so many rows of windows, `band`, go through all pieces at a time.
# `pixel_numbers` has room for two numbers of each of a window's pixels.
GEOMETRY = (
    *("dy", "index", "offsets", "pixel_numbers"),
    *("out_height", "out_width", "filters", "filter_bytes", "band"),
    *("window", "window_w", "window_row", "window_column", "pooled_row", "pooled_column"),
)
SPARSE_DW = record(*FIELDS, "x", "sums", *GEOMETRY)
SPARSE_DX = record(*FIELDS, "kernel", "dx", "dx_size", "values", "counts", *GEOMETRY)
PACK_FILTERS = record(
    *("kernel", "packed", "above", "heights", "run", "row", "filters", "filter_size", "parts")
)
FOLD_FILTERS = record(
    *("sums", "gradient", "partial_stride", "several"),
    *("heights", "run", "row", "filters", "filter_size", "parts"),
)
ANY_SIGN = 0x7FFFFFFF  # the bits of a float but for its sign


@kernel(SPARSE_DW, requires=(sparse_tile_code,))
def sparse_conv2d_dw(pointer):
    """sums[F, KH, KW * C filled up] += the gradient of the kernel from one image."""
    op = record_at(pointer)
    op_address = address_of(pointer)
    offset_of, offsets = half_words_at(op.pixel_numbers), half_words_at(op.offsets)
    for pixel in range(op.window):
        row, column = pixel // op.window_w, pixel % op.window_w
        offset_of[pixel] = row * op.window_row + column * op.window_column
    index = floats_at(op.index)
    for i in range(op.out_height * op.out_width * op.filters):
        offsets[i] = offset_of[int(index[i])]
    for first in range(0, op.out_height, op.band):
        rows = min(op.band, op.out_height - first)
        for piece in range(op.bands * op.stacks):
            row, height, vector, width = piece_of(op, piece)
            at = 4 * first * op.out_width * op.filters
            source = op.x + first * op.pooled_row + row * op.source_row + vector * VECTOR_BYTES
            target = op.sums + row * op.target_row + vector * VECTOR_BYTES
            for _ in range(op.filters):
                run_sparse_tile(
                    *(op.sparse_tile_table, height, width, op_address),
                    *(op.dy + at, op.offsets + at, source, target, rows, op.out_width),
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
    values, offsets = half_words_at(op.values), half_words_at(op.offsets)
    counts = half_words_at(op.counts)
    column_of = half_words_at(op.pixel_numbers)
    shift_of = half_words_at(op.pixel_numbers + 4 * op.window)
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
                # The next one takes the place of what is none; a NaN is one.
                at += (column_of[pixel] == column) & (value & ANY_SIGN != 0)
            counts[window * columns + column] = at - first_at


@kernel(SPARSE_DX, requires=(sparse_tile_code,))
def sparse_conv2d_dx(pointer):
    """dx[padded H, padded W, C] = the gradient of the padded image."""
    op = record_at(pointer)
    op_address = address_of(pointer)
    dx, counts = half_words_at(op.dx), half_words_at(op.counts)
    for i in range(op.dx_size):
        dx[i] = 0
    for first in range(0, op.out_height, op.band):
        rows = min(op.band, op.out_height - first)
        _list_values(op, first, rows)
        across = op.out_width * op.window_w
        for piece in range(op.bands * op.stacks):
            row, height, vector, width = piece_of(op, piece)
            source = op.kernel + row * op.source_row + vector * VECTOR_BYTES
            start = op.dx + row * op.target_row + vector * VECTOR_BYTES + first * op.pooled_row
            # Down one column of windows after the other. A window below another one lies on whole
            # vectors that were stored a moment ago, the one beside it across them: to load it would
            # have to wait until they have reached the cache.
            for column in range(across):
                window, beside = column // op.window_w, column % op.window_w
                target = start + window * op.pooled_column + beside * op.window_column
                for number in range(column, rows * across, across):
                    at = 4 * number * op.filters
                    run_sparse_tile(
                        *(op.sparse_tile_table, height, width, op_address),
                        *(op.values + at, op.offsets + at, source, target, 1, counts[number]),
                    )
                    target += op.pooled_row


@kernel(PACK_FILTERS)
def pack_filters(pointer):
    """packed[F, above + KH + above, row] = kernel[KH, run, F] in zeros."""
    op = record_at(pointer)
    kernel, packed = half_words_at(op.kernel), half_words_at(op.packed)
    for f in range(op.filters * op.first // op.parts, op.filters * (op.first + 1) // op.parts):
        at = f * op.filter_size
        for i in range(op.filter_size):
            packed[at + i] = 0
        for row in range(op.heights):
            to, source = at + (op.above + row) * op.row, row * op.run * op.filters + f
            for i in range(op.run):
                packed[to + i] = kernel[source + i * op.filters]


@kernel(FOLD_FILTERS)
def fold_filters(pointer):
    """gradient[KH, run, F] = the chunks' pairwise sum of sums[F, KH, row].

    Unless `several`, the first chunk's is the sum already.
    """
    op = record_at(pointer)
    sums, gradient = half_words_at(op.sums), half_words_at(op.gradient)
    chunks = op.chunks if op.several else 1
    for f in range(op.filters * op.first // op.parts, op.filters * (op.first + 1) // op.parts):
        first = f * op.filter_size
        for i in range(first, first + op.filter_size if chunks > 1 else first, LANES):
            at = op.sums + 4 * i
            store(pairwise_sum(at, op.partial_stride, chunks, LANES), at, LANES)
        for row in range(op.heights):
            source, to = first + row * op.row, row * op.run * op.filters + f
            for i in range(op.run):
                gradient[to + i * op.filters] = sums[source + i]
