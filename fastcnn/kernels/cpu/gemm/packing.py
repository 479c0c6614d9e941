"""What the strategies of a convolution share: the padded image and the packed kernel."""

from __future__ import annotations

from math import ceil

from fastcnn.graph.problem import Problem
from fastcnn.kernels.call import BATCH, GLOBAL, IMAGE, Address, Calls, Region
from fastcnn.kernels.cpu.layout import copy_rows, pack_kernel, pad_image
from fastcnn.kernels.cpu.simd.vector_unit import LANES, VECTOR_BYTES


def padded_source(calls: Calls, problem: Problem, x: Region) -> Region:
    """Return the image with its padding: x itself where there is none."""
    if not problem.padded:
        return x
    (top, bottom), (left, right) = problem.padding
    channels = problem.channels
    size = 4 * problem.padded_height * problem.padded_width * channels
    padded = Region(size, label="padded")
    calls.emit(
        pad_image,
        IMAGE,
        "y",
        {"x": x, "y": padded},
        height=problem.height,
        row=problem.width * channels,
        top=top,
        bottom=bottom,
        left=left * channels,
        right=right * channels,
    )
    return padded


def packed_kernel(
    calls: Calls,
    problem: Problem,
    kernel: Region,
    pixels: int,
    flipped: bool = False,
    scale: Region | None = None,
) -> Region:
    """Return the kernel packed for the tiles.

    `kernel` is [KH, KW, C / groups, F]. With `flipped`, `problem` is that of dx: both axes of the
    kernel run backwards and channels and filters change places.
    """
    taps_h, taps_w = problem.kernel
    inner, outputs = problem.channels_per_group, problem.filters_per_group
    if flipped:
        # Stored as [KH, KW, outputs, inner * groups].
        row = inner * problem.groups
        tap = outputs * row
        strides = {"s_h": -taps_w * tap, "s_w": -tap, "s_i": 1, "s_o": row, "s_g": inner}
        source = Address(kernel, 4 * (taps_h * taps_w - 1) * tap)
    else:
        row = outputs * problem.groups
        tap = inner * row
        strides = {"s_h": taps_w * tap, "s_w": tap, "s_i": row, "s_o": 1, "s_g": outputs}
        source = Address(kernel)
    layout = {
        "taps_h": taps_h,
        "taps_w": taps_w,
        "wide_w": wide_taps(problem, pixels),
        "inner": inner,
        "outputs": outputs,
        "pixels": pixels,
        "shift": problem.strides[1],
        "groups": problem.groups,
        **strides,
    }
    return packed_matrix(calls, source, layout, scale=scale)


def packed_matrix(
    calls: Calls,
    matrix: Region | Address,
    layout: dict[str, int],
    label: str = "packed",
    scale: Region | None = None,
) -> Region:
    """Return packed[group][vector][taps_h, wide_w, inner][LANES] of a matrix for the tiles.

    `layout` are numbers of `pack_kernel`: inner and outputs, rows and columns of the matrix, whose
    element (i, o) lies at i * s_i + o * s_o floats; groups and taps where there are several.
    """
    layout = {"taps_h": 1, "taps_w": 1, "wide_w": 1, "pixels": 1, "groups": 1, **layout}
    vectors = layout["groups"] * ceil(layout["pixels"] * layout["outputs"] / LANES)
    steps = layout["taps_h"] * layout["wide_w"] * layout["inner"]
    packed = Region(vectors * steps * VECTOR_BYTES, GLOBAL, label=label)
    places = {"kernel": matrix, "packed": packed, "scale": scale}
    calls.emit(pack_kernel, BATCH, "packed", places, parts=min(vectors, 16), **layout)
    return packed


def wide_taps(problem: Problem, pixels: int) -> int:
    """Return the columns of a kernel that is widened for `pixels` neighbouring pixels as one."""
    return problem.kernel[1] + (pixels - 1) * problem.strides[1]


def repeated(calls: Calls, bias: Region, size: int, times: int) -> Region:
    """Return the bias written `times` times side by side."""
    side_by_side = Region(4 * size * times, GLOBAL, label="bias")
    calls.emit(
        copy_rows,
        BATCH,
        "y",
        {"x": bias, "y": side_by_side},
        rows=times,
        columns=size,
        x_row=0,
        y_row=size,
    )
    return side_by_side
