"""What the kernel's gradient multiplies, copied in the order in which tiles read it.

Its inner dimension is the pixels. In an image with channels last the numbers of one channel lie
apart by a power of two where channels are many, and so push each other out of the cache. So the
image is copied channel by channel, and its output's gradient in vectors of filters.

    x [H, W, C] -> planes [C][padded H][padded W]
    dy [OH * OW, F] -> [F / LANES][OH * OW][LANES]
"""

from __future__ import annotations

from math import ceil

from fastcnn.graph.problem import Problem
from fastcnn.kernels.call import IMAGE, Calls, Region, odd_lines
from fastcnn.kernels.cpu.gemm.panel_copies import pack_rows, transpose_rows
from fastcnn.kernels.cpu.runtime.kernel import kernel, record
from fastcnn.kernels.cpu.simd.pointers import record_at
from fastcnn.kernels.cpu.simd.vector import fill, splat
from fastcnn.kernels.cpu.simd.vector_unit import LANES, VECTOR_BYTES

# `plane` is the bytes from one channel's plane to the next, `plane_row` those of a row in it.
PLANES = record(
    *("x", "y", "height", "width", "channels", "top", "left", "padded", "plane", "plane_row")
)
FILTER_VECTORS = record("dy", "y", "pixels", "filters")


@kernel(PLANES)
def channel_planes(pointer):
    """y[c, top + h, left + w] = x[h, w, c], with zeros around."""
    op = record_at(pointer)
    if op.padded:
        fill(op.y, op.channels * op.plane // 4, splat(0.0))
    row = 4 * op.width * op.channels
    for h in range(op.height):
        to = op.y + (op.top + h) * op.plane_row + 4 * op.left
        transpose_rows(op.x + h * row, 4 * op.channels, op.width, op.channels, to, op.plane)


@kernel(FILTER_VECTORS)
def filter_vectors(pointer):
    """y[f / LANES, pixel, f % LANES] = dy[pixel, f]."""
    op = record_at(pointer)
    step = op.pixels * VECTOR_BYTES
    pack_rows(op.dy, 4 * op.filters, op.pixels, op.filters, op.y, step)


def copy_cycles(problem: Problem) -> float:
    """Estimate the cycles of both copies of an image: a load and a store a cycle, and shuffles."""
    padded = problem.padded_height * problem.padded_width * problem.channels
    return 2 * (padded + problem.out_height * problem.out_width * problem.filters) / LANES


def planes_of(calls: Calls, problem: Problem, x: Region) -> tuple[Region, int, int]:
    """Return the image as planes, and the bytes from plane to plane and from row to row."""
    (top, _), (left, _) = problem.padding
    row = 4 * problem.padded_width
    plane = odd_lines(problem.padded_height * row)
    planes = Region(problem.channels * plane, label="planes")
    calls.emit(
        channel_planes,
        IMAGE,
        "y",
        {"x": x, "y": planes},
        height=problem.height,
        width=problem.width,
        channels=problem.channels,
        top=top,
        left=left,
        padded=problem.padded,
        plane=plane,
        plane_row=row,
    )
    return planes, plane, row


def vectors_of(calls: Calls, problem: Problem, dy: Region) -> Region:
    """Return the output's gradient in vectors of filters."""
    pixels = problem.out_height * problem.out_width
    size = ceil(problem.filters / LANES) * pixels * VECTOR_BYTES
    vectors = Region(size, label="filter vectors")
    calls.emit(
        filter_vectors,
        IMAGE,
        "y",
        {"dy": dy, "y": vectors},
        pixels=pixels,
        filters=problem.filters,
    )
    return vectors
