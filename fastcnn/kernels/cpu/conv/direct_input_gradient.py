"""The gradient of a convolution's input through a column matrix, one image row at a time.

The textbook's way is col2im: the product dy @ kernel^T [OH * OW, KH * KW * C] gives each output
pixel's window, whose numbers are then added back to the pixels they came from. Here the sum over
kernel rows is part of the product: for one row of the input, the columns [out_width, KW * C] are

    columns[p, (kw, c)] = sum over the kernel rows kh that reach this row and filters f of
                          dy[row of kh, p, f] * kernel[kh, kw, c, f]

and only their KW shifts are left to add. No zero is ever multiplied: neither the padding nor the
gaps of a stride exist. It takes any stride, padding, dilation and group.

Workspace: out_width * KW * C floats per thread.
"""

from __future__ import annotations

from math import ceil, gcd

from fastcnn.graph.problem import Problem
from fastcnn.kernels.call import IMAGE, Calls, Region
from fastcnn.kernels.cpu import costs as cpu
from fastcnn.kernels.cpu.gemm.packing import packed_matrix
from fastcnn.kernels.cpu.gemm.tiled import GRID, grid_cycles, grid_values
from fastcnn.kernels.cpu.runtime.function import kernel_function
from fastcnn.kernels.cpu.runtime.kernel import kernel, own_fields, record
from fastcnn.kernels.cpu.simd.pointers import address_of, call, floats, record_at
from fastcnn.kernels.cpu.simd.vector import add, load, load_between, splat, store
from fastcnn.kernels.cpu.simd.vector_unit import LANES, VECTOR_BYTES

# A grid, which computes the columns of one image row, and where they go.
COLUMNS = record(
    *own_fields(GRID),
    *("dy", "dx", "columns_at", "margin", "kernel", "tiles"),
    *("height", "image_width", "channels", "out_height", "out_width", "filters"),
    *("taps_h", "taps_w", "stride_h", "stride_w", "top", "left", "dilation_h", "dilation_w"),
)


@kernel(COLUMNS)
def columns_to_image(pointer):
    """dx[H, W, C] = the gradient of the input, from dy[OH, OW, F] and the packed kernel."""
    op = record_at(pointer)
    op_address = address_of(pointer)
    row_size = op.image_width * op.channels
    op.c = op.columns_at + op.margin
    shifted = op.margin > 0
    if shifted:
        _clear_margins(op)
    for row in range(op.height):
        taps, first_tap, out_row = _taps_that_reach(op, row + op.top)
        if taps == 0:
            floats(op.dx + 4 * row * row_size, row_size)[:] = 0
            continue
        op.k1 = taps
        op.a = op.dy + 4 * out_row * op.out_width * op.filters
        op.b = op.kernel + first_tap * (op.filters // op.groups) * VECTOR_BYTES
        call(op.tiles, op_address)
        if shifted:
            _add_shifted(op, row)
        elif op.groups == 1 and op.dilation_w == 1:
            _add_runs(op, row)
        else:
            _add_taps(op, row)


@kernel_function
def _taps_that_reach(op, padded_row):
    """Return how many kernel rows reach an image row, the first of them and its output row."""
    taps, first_tap, first_row = 0, 0, 0
    for tap in range(op.taps_h):
        distance = padded_row - tap * op.dilation_h
        if distance >= 0 and distance % op.stride_h == 0:
            out_row = distance // op.stride_h
            if out_row < op.out_height:
                if taps == 0:
                    first_tap, first_row = tap, out_row
                taps += 1
    return taps, first_tap, first_row


@kernel_function
def _clear_margins(op):
    """Put columns of zeros before the first column and behind the last one."""
    floats(op.columns_at, op.margin // 4)[:] = 0
    behind = op.c + op.out_width * op.c_inner
    floats(behind, op.margin // 4)[:] = 0


@kernel_function
def _add_shifted(op, row):
    """Add the columns' shifts into an image row: the taps of a pixel lie apart by a fixed distance.

    Pixel q gets tap kw from column (q + left - kw * dilation) / stride where that is whole, and
    beyond the ends a column of zeros. What lanes beyond the channels hold is no sum: the next
    pixel's are written over them.
    """
    row_size = op.image_width * op.channels
    target = op.dx + 4 * row * row_size
    stride, taps, tap_bytes = op.stride_w, op.taps_w, 4 * op.channels
    to_next_tap = stride * tap_bytes - op.dilation_w * op.c_inner
    first_tap, column = op.left % stride, op.c + op.left // stride * op.c_inner
    for pixel in range(op.image_width):
        for first in range(0, op.channels, LANES):
            at = column + first_tap * tap_bytes + 4 * first
            total = load(at, LANES) if first_tap < taps else splat(0.0)
            tap = first_tap + stride
            while tap < taps:
                at += to_next_tap
                total = add(total, load(at, LANES))
                tap += stride
            place = pixel * op.channels + first
            if place + LANES <= row_size:
                store(total, target + 4 * place, LANES)
            else:
                store(total, target + 4 * place, min(LANES, op.channels - first))
        first_tap += 1
        if first_tap == stride:
            first_tap = 0
            column += op.c_inner


@kernel_function
def _add_runs(op, row):
    """Add the columns' shifts into an image row.

    A column's KW * C numbers belong side by side in the image row, shifted from the next column's
    by stride * C. Each vector of the image row gathers from the columns that reach it, under masks:
    to scatter column by column would load what was stored a moment ago, which stalls.
    """
    run = op.taps_w * op.channels
    step = op.stride_w * op.channels
    row_size = op.image_width * op.channels
    target = op.dx + 4 * row * row_size
    # Column p covers start .. start + run of the image row, start = p * step - left. `low` is the
    # first column that reaches a vector; it only ever grows.
    low, low_start = 0, -op.left * op.channels
    for first in range(0, row_size, LANES):
        lanes = min(LANES, row_size - first)
        while low < op.out_width and low_start + run <= first:
            low += 1
            low_start += step
        total = splat(0.0)
        shift = first - low_start
        at = op.columns_at + 4 * (low * run + shift)
        pixel = low
        while pixel < op.out_width and shift > -lanes:
            total = add(total, load_between(at, -shift, min(lanes, run - shift)))
            at += 4 * (run - step)
            shift -= step
            pixel += 1
        store(total, target + 4 * first, lanes)


@kernel_function
def _add_taps(op, row):
    """Add the columns tap by tap: for groups and dilation, whose taps do not lie together."""
    row_size = op.image_width * op.channels
    inner = op.channels // op.groups
    dx = floats(op.dx + 4 * row * row_size, row_size)
    dx[:] = 0
    columns = floats(op.columns_at, op.groups * op.out_width * op.taps_w * inner)
    for group in range(op.groups):
        for pixel in range(op.out_width):
            for tap in range(op.taps_w):
                place = pixel * op.stride_w - op.left + tap * op.dilation_w
                if place < 0 or place >= op.image_width:
                    continue
                to = place * op.channels + group * inner
                at = ((group * op.out_width + pixel) * op.taps_w + tap) * inner
                for i in range(inner):
                    dx[to + i] += columns[at + i]


def dx_cycles(problem: Problem) -> float:
    """Estimate the cycles of one image."""
    run = problem.kernel[1] * problem.channels_per_group
    taps = problem.kernel[0] * problem.out_height / problem.height
    reached = min(1.0, taps)  # of the image's rows, by any kernel row
    steps = max(1, round(taps / reached * problem.filters_per_group))
    product = problem.groups * grid_cycles(1, problem.out_width, run, steps)
    vectors = ceil(problem.width * problem.channels / LANES)
    return problem.height * (reached * (product + _adding_cycles(problem, run)) + 8 * vectors)


def _adding_cycles(problem: Problem, run: int) -> float:
    """Estimate the cycles of adding the columns into an image row."""
    if _shifts_evenly(problem):
        each = ceil(problem.channels / LANES)
        return problem.width * each * (2 * problem.kernel[1] / problem.strides[1] + 8)
    # Each column is added to the vectors of the image row that it reaches.
    additions = problem.groups * problem.out_width * ((run - 1) / LANES + 1)
    return cpu.costs.addition * additions


def _shifts_evenly(problem: Problem) -> bool:
    """Say whether the taps of each pixel lie apart by one distance in the columns, and are worth a
    vector a pixel."""
    if problem.strides[1] > 1:
        return problem.groups == problem.dilation[1] == 1 and problem.channels >= LANES
    return problem.groups == 1 < problem.kernel[1]


def dx(calls: Calls, problem: Problem, dy: Region, weights: Region, out: Region) -> None:
    """Emit the gradient of the input; `weights` is the kernel [KH, KW, C / groups, F]."""
    inner, outputs = problem.channels_per_group, problem.filters_per_group
    taps_h, taps_w = problem.kernel
    run = taps_w * inner
    vectors = ceil(run / LANES)
    # packed[group][vector][kh, f][LANES]: the columns are (kw, channel).
    layout = {"taps_h": taps_h, "inner": outputs, "outputs": run, "groups": problem.groups}
    steps = {"s_h": run * problem.filters, "s_i": 1, "s_o": problem.filters, "s_g": outputs}
    packed = packed_matrix(calls, weights, layout | steps, "kernel^T")
    # Columns whose taps are added at one distance are whole vectors, between columns of zeros.
    shifted = _shifts_evenly(problem)
    length = vectors * LANES if shifted else run
    beyond = ceil(taps_w * problem.dilation[1] / problem.strides[1])  # columns on either side
    margin = 4 * beyond * length if shifted else 0
    size = 4 * problem.groups * problem.out_width * length + 2 * margin
    columns = Region(size + VECTOR_BYTES, label="columns")
    # Kernel rows that reach one image row are `tap_step` apart, their output rows `row_step`.
    common = gcd(problem.strides[0], problem.dilation[0])
    tap_step, row_step = problem.strides[0] // common, problem.dilation[0] // common
    grid = grid_values(
        problem.out_width,
        length,
        groups=problem.groups,
        a_group=4 * outputs,
        b_group=vectors * taps_h * outputs * VECTOR_BYTES,
        c_group=4 * problem.out_width * length,
        a_inner=4 * problem.filters,
        c_inner=4 * length,
        b_vector=taps_h * outputs * VECTOR_BYTES,
        k1=max(1, taps_h // tap_step),
        a_k1=-4 * row_step * problem.out_width * problem.filters,
        b_k1=tap_step * outputs * VECTOR_BYTES,
        k0=outputs,
        a_k0=4,
        b_k0=VECTOR_BYTES,
    )
    calls.emit(
        columns_to_image,
        IMAGE,
        ("dx", "columns_at"),
        {
            "dy": dy,
            "dx": out,
            "columns_at": columns,
            "kernel": packed,
            "tiles": Region(0, "tiles"),
        },
        **grid,
        margin=margin,
        height=problem.height,
        image_width=problem.width,
        channels=problem.channels,
        out_height=problem.out_height,
        out_width=problem.out_width,
        filters=problem.filters,
        taps_h=taps_h,
        taps_w=taps_w,
        stride_h=problem.strides[0],
        stride_w=problem.strides[1],
        top=problem.padding[0][0],
        left=problem.padding[1][0],
        dilation_h=problem.dilation[0],
        dilation_w=problem.dilation[1],
    )
