"""The gradients of a convolution that max pooling follows, from the pooling's own gradient.

Of each pooling window one pixel was the largest, and that one alone gets a gradient: of 2x2 windows
three numbers of four are zero. Other strategies multiply them all. Here the gradient stays a sparse
matrix dy [pixels, F], given by the pooled gradient and the place of the largest in each window:

    dw: kernel[:, :, :, f] += sum over f's pixels of dy[pixel, f] * the window of x at that pixel
    dx: the window of x at a pixel += sum over the filters f of dy[pixel, f] * kernel[:, :, :, f]

A window of x, KH rows of KW * C neighbours, lies in the image as it is, so both are products by
sparse tiles (`gemm/sparse_product.py`), whose sums stay in registers. For dx the pixels in a column
of a pooling window go together: what they see of x is one higher window, and each filter stands
between rows of zeros, from which it is read shifted to where its largest was. So a tile has more
to add up before its sums go back to memory. The gradient of the pooling's input is never written.

Shapes: dy and index [PH, PW, F] of each image, x [H, W, C], kernel [KH, KW, C, F]; pooling windows
of any size and stride that do not reach beyond the convolution's result. Operations: PH * PW * F *
KH * KW * C multiply-adds an image for dw; for dx as many as with KH + 1 rows of taps, where pooling
windows have two. Workspace: the padded image, offsets and lists of values of each thread; each
chunk's sums of dw; the kernel between its zeros.

References:
    Z. Gong et al., SparseTrain: Leveraging Dynamic Sparsity in Software for Training DNNs on
    General-Purpose SIMD Processors, 2020 (gradients that are sparse behind ReLU).
"""

from __future__ import annotations

from math import ceil, prod

from fastcnn.graph.problem import Problem
from fastcnn.kernels.call import BATCH, GLOBAL, IMAGE, LOCAL, Address, Calls, Region
from fastcnn.kernels.cpu.chunk_sums import empty_sums
from fastcnn.kernels.cpu.conv.sparse_kernels import (
    fold_filters,
    pack_filters,
    sparse_conv2d_dw,
    sparse_conv2d_dx,
)
from fastcnn.kernels.cpu.gemm.packing import padded_source
from fastcnn.kernels.cpu.gemm.sparse_product import piece_sizes, pieces, value_cycles
from fastcnn.kernels.cpu.layout import copy_rows, crop_image
from fastcnn.kernels.cpu.simd.vector_unit import LANES, VECTOR_BYTES

NEAR_DW = 20 << 10  # bytes of x, dy and offsets that all filters read before the next ones
NEAR_DX = 64 << 10  # bytes of lists that all pieces read before the next ones
ENOUGH = 24  # values of a filter, for which its sums are worth loading
# Bytes that all filters or windows read, from which on they come from memory further away, and
# how many more until they take twice the time.
FAR_DW, FAR_DX = (48 << 10, 48 << 10), (400 << 10, 600 << 10)


def declines(problem: Problem) -> str | None:
    """Return why the gradients of a problem cannot be sparse, or None."""
    if problem.groups > 1 or problem.dilation != (1, 1):
        return "it takes neither groups nor dilation"
    return None


def conv2d_sparse_dw(
    calls: Calls,
    problem: Problem,
    pooling: Problem,
    x: Region,
    dy: Region,
    index: Region,
    gradient: Region,
) -> None:
    """Emit the gradient of the kernel; dy and index are the pooling's, gradient [KH, KW, C, F]."""
    taps_h, filters = problem.kernel[0], problem.filters
    run = problem.kernel[1] * problem.channels
    wide = _whole_vectors(run)
    sums = empty_sums(calls, filters * taps_h * wide, "partial dw")
    steps = _Steps(problem, pooling)
    calls.emit(
        sparse_conv2d_dw,
        IMAGE,
        ("sums", "offsets", "pixel_numbers"),
        {
            "x": _readable_source(calls, problem, x),
            "dy": dy,
            "index": index,
            "offsets": Region(dy.bytes, label="offsets"),
            "pixel_numbers": _pixel_numbers(pooling),
            "sums": sums,
        },
        **_sizes(problem, pooling),
        window_row=steps.row,
        window_column=steps.column,
        band=_dw_band(problem, pooling),
        **pieces(taps_h, wide // LANES),
        step=4 * filters,
        row_step=steps.pooled_row,
        column_step=steps.pooled_column,
        pooled_row=steps.pooled_row,
        source_row=steps.image_row,
        target_row=4 * wide,
        filter_bytes=4 * taps_h * wide,
    )
    calls.emit(
        fold_filters,
        BATCH,
        "gradient",
        {"sums": sums, "gradient": gradient},
        parts=_parts(filters),
        several=1,
        heights=taps_h,
        run=run,
        row=wide,
        filters=filters,
        filter_size=taps_h * wide,
    )


def conv2d_sparse_dx(
    calls: Calls,
    problem: Problem,
    pooling: Problem,
    dy: Region,
    index: Region,
    weights: Region,
    out: Region,
) -> None:
    """Emit the gradient of the input; dy and index are the pooling's."""
    steps = _Steps(problem, pooling)
    heights, filters = _column_height(problem, pooling), problem.filters
    above, wide = heights - problem.kernel[0], _whole_vectors(problem.kernel[1] * problem.channels)
    filter_bytes = _filter_bytes(problem, pooling)
    # Each filter [KH, KW * C filled up] between as many rows of zeros as it is shifted by.
    packed = Region(filters * filter_bytes, GLOBAL, label="kernel in zeros")
    calls.emit(
        pack_filters,
        BATCH,
        "packed",
        {"kernel": weights, "packed": packed},
        parts=_parts(filters),
        above=above,
        heights=problem.kernel[0],
        run=problem.kernel[1] * problem.channels,
        row=wide,
        filters=filters,
        filter_size=filter_bytes // 4,
    )
    row_lists = 4 * pooling.out_width * pooling.kernel[1] * filters
    band = max(1, min(pooling.out_height, NEAR_DX // (2 * row_lists)))
    # What a last vector adds behind the image is zero.
    padded = Region(problem.padded_height * steps.image_row + VECTOR_BYTES, label="padded dx")
    calls.emit(
        sparse_conv2d_dx,
        IMAGE,
        ("dx", "values", "offsets", "counts", "pixel_numbers"),
        {
            "dy": dy,
            "index": index,
            "kernel": Address(packed, 4 * above * wide),
            "dx": padded,
            "values": Region(band * row_lists + 4, label="values"),
            "offsets": Region(band * row_lists + 4, label="offsets"),
            "counts": Region(4 * band * pooling.out_width * pooling.kernel[1], label="counts"),
            "pixel_numbers": _pixel_numbers(pooling),
        },
        **_sizes(problem, pooling),
        # What is to end further down is read from further up.
        window_row=-4 * problem.strides[0] * wide,
        window_column=steps.column,
        band=band,
        **pieces(heights, wide // LANES),
        step=4,
        pooled_row=steps.pooled_row,
        pooled_column=steps.pooled_column,
        filter_bytes=filter_bytes,
        source_row=4 * wide,
        target_row=steps.image_row,
        dx_size=padded.bytes // 4,
    )
    (top, bottom), (left, right) = problem.padding
    calls.emit(
        crop_image,
        IMAGE,
        "y",
        {"x": padded, "y": out},
        height=problem.height,
        row=problem.width * problem.channels,
        top=top,
        bottom=bottom,
        left=left * problem.channels,
        right=right * problem.channels,
    )


class _Steps:
    """Bytes between pixels of the padded image: those of neighbours of the result, and of pooling
    windows."""

    def __init__(self, problem: Problem, pooling: Problem):
        self.image_row = 4 * problem.padded_width * problem.channels
        self.row = problem.strides[0] * self.image_row
        self.column = 4 * problem.strides[1] * problem.channels
        self.pooled_row = pooling.strides[0] * self.row
        self.pooled_column = pooling.strides[1] * self.column


def _whole_vectors(size: int) -> int:
    return ceil(size / LANES) * LANES


def _pixel_numbers(pooling: Problem) -> Region:
    return Region(8 * prod(pooling.kernel), label="pixel numbers")


def _parts(filters: int) -> int:
    """Return the parts of what is made filter by filter: a vector of filters each."""
    return min(16, ceil(filters / LANES))


def _column_height(problem: Problem, pooling: Problem) -> int:
    """Return the rows of the image that the pixels in a column of a pooling window see."""
    return problem.kernel[0] + (pooling.kernel[0] - 1) * problem.strides[0]


def _dw_row(problem: Problem, pooling: Problem) -> int:
    """Return the bytes of x, dy and offsets that a row of pooling windows has."""
    return _Steps(problem, pooling).pooled_row + 8 * pooling.out_width * problem.filters


def _dw_band(problem: Problem, pooling: Problem) -> int:
    """Return how many rows of windows all filters go through before the next ones."""
    return max(ceil(ENOUGH / pooling.out_width), NEAR_DW // _dw_row(problem, pooling))


def _filter_bytes(problem: Problem, pooling: Problem) -> int:
    """Return the bytes of one filter between its rows of zeros."""
    heights = 2 * _column_height(problem, pooling) - problem.kernel[0]
    return 4 * heights * _whole_vectors(problem.kernel[1] * problem.channels)


def _sizes(problem: Problem, pooling: Problem) -> dict[str, int]:
    return {
        "out_height": pooling.out_height,
        "out_width": pooling.out_width,
        "filters": problem.filters,
        "window": pooling.kernel[0] * pooling.kernel[1],
        "window_w": pooling.kernel[1],
    }


def _readable_source(calls: Calls, problem: Problem, x: Region) -> Region:
    """Return the padded image, behind which whole vectors may be read."""
    if problem.padded or x.kind == LOCAL:
        return padded_source(calls, problem, x)
    copied = Region(x.bytes, label="x")
    places = {"x": x, "y": copied}
    calls.emit(copy_rows, IMAGE, "y", places, rows=1, columns=x.bytes // 4)
    return copied


def cycles(direction: str, problem: Problem, pooling: Problem) -> float:
    """Estimate the cycles of one image on one thread."""
    windows, filters = pooling.out_height * pooling.out_width, problem.filters
    heights = problem.kernel[0] if direction == "dw" else _column_height(problem, pooling)
    sizes = piece_sizes(heights, ceil(problem.kernel[1] * problem.channels / LANES))
    each = sum(value_cycles(*size) for size in sizes)
    sums = sum(2 * height * width + 30 for height, width in sizes)
    image = ceil(problem.padded_height * problem.padded_width * problem.channels / LANES)
    if direction == "dw":
        rows = min(_dw_band(problem, pooling), pooling.out_height)
        each *= _slowdown(rows * _dw_row(problem, pooling), *FAR_DW)
        return windows * filters * (1.1 * each + 1) + filters * sums + 3 * image
    each *= _slowdown(filters * _filter_bytes(problem, pooling), *FAR_DX)
    columns = pooling.kernel[1]
    return windows * (filters * (1.1 * each + 3 * columns) + columns * sums) + 3 * image


def _slowdown(size: int, far: int, twice: int) -> float:
    """Return how many times longer a tile waits for its operands where these have `size` bytes."""
    return 1 + min(max(size - far, 0) / twice, 1)
