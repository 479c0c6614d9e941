"""The column matrix of an image, and the way back: what both forms of im2col share.

Row p of a group's matrix [OH * OW, KH * KW * C / groups] holds the window of output pixel p, zero
where it hangs over the image's edge. A convolution is a product with that matrix.
"""

from __future__ import annotations

from math import ceil, gcd
from typing import NamedTuple

from fastcnn.graph.problem import Problem
from fastcnn.kernels.call import IMAGE, Calls, Region
from fastcnn.kernels.cpu import costs as cpu
from fastcnn.kernels.cpu.runtime.function import kernel_function
from fastcnn.kernels.cpu.runtime.kernel import kernel, record
from fastcnn.kernels.cpu.simd.pointers import record_at
from fastcnn.kernels.cpu.simd.vector import add, copy, fill, load, load_between, splat, store
from fastcnn.kernels.cpu.simd.vector_unit import LANES
from fastcnn.kernels.shared.problem_sizes import window_sizes

# `runs` pieces of `run` floats each make one row of a window: KW * C numbers that lie together in
# the image, or KW pieces of C / groups. Taps that meet one image pixel are `tap_step` apart, and
# their output pixels `out_step`.
COLUMNS = record(
    *("image", "columns", "height", "width", "channels", "groups", "out_height", "out_width"),
    *("taps_h", "taps_w", "stride_h", "stride_w", "dilation_h", "dilation_w", "top", "left"),
    *("runs", "run", "tap_step_h", "tap_step_w", "out_step_h", "out_step_w"),
)


@kernel_function
def _copy_inside(target, row, start, size, row_size):
    """Copy floats start .. start + size of an image row; those outside 0 .. row_size are zero."""
    if start >= 0 and start + size <= row_size:
        copy(target, row + 4 * start, size)
        return
    for i in range(0, size, LANES):
        at = start + i
        inside = load_between(row + 4 * at, -at, min(size - i, row_size - at))
        store(inside, target + 4 * i, min(LANES, size - i))


@kernel(COLUMNS)
def image_to_columns(pointer):
    """columns[groups, OH * OW, KH * KW * C / groups] = the windows of image[H, W, C]."""
    op = record_at(pointer)
    row_size = op.width * op.channels
    window_row = op.runs * op.run
    zero = splat(0.0)
    to = op.columns
    for group in range(op.groups):
        for out_row in range(op.out_height):
            for out_column in range(op.out_width):
                first = out_column * op.stride_w - op.left
                for tap in range(op.taps_h):
                    row = out_row * op.stride_h - op.top + tap * op.dilation_h
                    if row < 0 or row >= op.height:
                        fill(to, window_row, zero)
                        to += 4 * window_row
                        continue
                    source = op.image + 4 * row * row_size
                    for run in range(op.runs):
                        start = (first + run * op.dilation_w) * op.channels + group * op.run
                        _copy_inside(to, source, start, op.run, row_size)
                        to += 4 * op.run


@kernel_function
def _meeting(place, taps, dilation, stride, outputs):
    """Return how many taps meet a pixel along an axis, the first of them, and its output."""
    count, first_tap, first_output = 0, 0, 0
    for tap in range(taps):
        distance = place - tap * dilation
        if distance >= 0 and distance % stride == 0 and distance // stride < outputs:
            if count == 0:
                first_tap, first_output = tap, distance // stride
            count += 1
    return count, first_tap, first_output


@kernel(COLUMNS)
def columns_to_sums(pointer):
    """image[H, W, C] = each number's sum over the places in the columns that stand for it.

    Gathered pixel by pixel: to scatter column by column would load what was stored a moment ago,
    which stalls.
    """
    op = record_at(pointer)
    inner = op.channels // op.groups
    window = op.taps_h * op.taps_w * inner
    group_size = op.out_height * op.out_width * window
    # The next tap that meets a pixel stands further on in its window, which is one further back.
    step_h = 4 * (op.tap_step_h * op.taps_w * inner - op.out_step_h * op.out_width * window)
    step_w = 4 * (op.tap_step_w * inner - op.out_step_w * window)
    to = op.image
    for row in range(op.height):
        rows, tap_h, out_row = _meeting(
            row + op.top, op.taps_h, op.dilation_h, op.stride_h, op.out_height
        )
        for column in range(op.width):
            taps, tap_w, out_column = _meeting(
                column + op.left, op.taps_w, op.dilation_w, op.stride_w, op.out_width
            )
            first = (out_row * op.out_width + out_column) * window
            first += (tap_h * op.taps_w + tap_w) * inner
            for group in range(op.groups):
                for c in range(0, inner, LANES):
                    lanes = min(LANES, inner - c)
                    start = op.columns + 4 * (first + group * group_size + c)
                    total = splat(0.0)
                    for _ in range(rows):
                        at = start
                        for _ in range(taps):
                            total = add(total, load(at, lanes))
                            at += step_w
                        start += step_h
                    store(total, to, lanes)
                    to += 4 * lanes


class Columns(NamedTuple):
    """A column matrix: its memory, and the bytes between its rows and between its groups."""

    region: Region
    row: int
    group: int


def window_size(problem: Problem) -> int:
    """Return the floats of a row of the matrix."""
    return problem.kernel[0] * problem.kernel[1] * problem.channels_per_group


def pixels(problem: Problem) -> int:
    """Return the rows of the matrix."""
    return problem.out_height * problem.out_width


def is_columns(problem: Problem) -> bool:
    """Say whether the image already is the column matrix."""
    return problem.kernel == problem.strides == (1, 1) and not problem.padded


def empty_columns(problem: Problem, image: Region) -> Columns:
    """Return where the column matrix goes: the image itself where that is one."""
    if is_columns(problem):
        return Columns(image, 4 * problem.channels, 4 * problem.channels_per_group)
    row = 4 * window_size(problem)
    group = pixels(problem) * row
    return Columns(Region(problem.groups * group, label="columns"), row, group)


def columns_of(calls: Calls, problem: Problem, x: Region) -> Columns:
    """Return the column matrix of x, with the call that makes it."""
    columns = empty_columns(problem, x)
    if columns.region is not x:
        places = {"image": x, "columns": columns.region}
        calls.emit(image_to_columns, IMAGE, "columns", places, **_geometry(problem))
    return columns


def sum_columns(calls: Calls, problem: Problem, columns: Columns, out: Region) -> None:
    """Emit the way back: the gradient of the image from that of its columns."""
    if columns.region is not out:
        places = {"image": out, "columns": columns.region}
        calls.emit(columns_to_sums, IMAGE, "image", places, **_geometry(problem))


def _geometry(problem: Problem) -> dict[str, int]:
    together = problem.groups == 1 and problem.dilation[1] == 1
    runs = 1 if together else problem.kernel[1]
    (stride_h, stride_w), (dilation_h, dilation_w) = problem.strides, problem.dilation
    common_h, common_w = gcd(stride_h, dilation_h), gcd(stride_w, dilation_w)
    return {
        **window_sizes(problem),
        "runs": runs,
        "run": problem.kernel[1] * problem.channels_per_group // runs,
        "tap_step_h": stride_h // common_h,
        "tap_step_w": stride_w // common_w,
        "out_step_h": dilation_h // common_h,
        "out_step_w": dilation_w // common_w,
    }


CACHE = 1 << 20  # bytes of a matrix that a thread's second-level cache surely holds


def copy_cycles(direction: str, problem: Problem) -> float:
    """Estimate the cycles of one image besides the product: making or summing the columns."""
    size = 4 * problem.groups * pixels(problem) * window_size(problem)
    traffic = 2 * size / cpu.costs.bytes_a_cycle if size > CACHE else 0.0  # written once, read once
    if direction == "dx":
        places = problem.height * problem.width
        vectors = problem.groups * ceil(problem.channels_per_group / LANES)
        taps = problem.kernel[0] * problem.kernel[1]
        return traffic + places * (15 + 6 * vectors) + 4 * pixels(problem) * taps * vectors
    values = _geometry(problem)
    pieces = problem.groups * pixels(problem) * problem.kernel[0] * values["runs"]
    return traffic + pieces * (10 + 6 * ceil(values["run"] / LANES))
