"""Images resampled under an affine map, and the gradients of image and map; one image at a time.

theta = (a, b, c, d, e, f) says which place of x a pixel of y shows: with u and v from -1 to 1 over
the width and height of y, and likewise over x, the place is (a u + b v + c, d u + e v + f). The
four pixels around it are weighed by their distances; what lies outside x is 0. In pixels, those of
column j and row i of y show

    column = (W / OW (a (2j + 1 - OW)) + W / OH (b (2i + 1 - OH)) + W c + W - 1) / 2

and the row likewise, so that the map (1, 0, 0, 0, 1, 0) shows each pixel exactly.

References:
    Jaderberg et al., 2015: Spatial transformer networks.
"""

from __future__ import annotations

import math

import numpy as np

from fastcnn.kernels.cpu.runtime.function import kernel_function
from fastcnn.kernels.cpu.runtime.kernel import kernel, record
from fastcnn.kernels.cpu.simd.pointers import floats, record_at
from fastcnn.kernels.cpu.simd.vector import fma, load, splat, store
from fastcnn.kernels.cpu.simd.vector_unit import LANES
from fastcnn.kernels.shared import affine_sampling

SIZES = ("height", "width", "channels", "out_height", "out_width")
AFFINE_SAMPLE = record("x", "theta", "y", *SIZES)
AFFINE_SAMPLE_DX = record("theta", "dy", "dx", *SIZES)
AFFINE_SAMPLE_DTHETA = record("x", "theta", "dy", "dtheta", *SIZES)

f32 = np.float32
ZERO, ONE, HALF = f32(0), f32(1), f32(0.5)
step_of = kernel_function(affine_sampling.step_of)
place_of = kernel_function(affine_sampling.place_of)
_meets, _weight = kernel_function(affine_sampling.meets), kernel_function(affine_sampling.weight)


@kernel_function
def _places(op, theta, i, j):
    """Return the row and the column of x that pixel (i, j) of y shows, and both steps."""
    across = step_of(j, op.out_width, op.width)
    down = step_of(i, op.out_height, op.height)
    wide, high = f32(op.width) / f32(op.height), f32(op.height) / f32(op.width)
    column = place_of(across, down, theta[0], theta[1], theta[2], op.width, wide)
    row = place_of(down, across, theta[4], theta[3], theta[5], op.height, high)
    return row, column, across, down * wide, across * high, down


@kernel(AFFINE_SAMPLE)
def affine_sample(pointer):
    """y[OH, OW, C] = x[H, W, C] where theta[6] says, between its pixels."""
    op = record_at(pointer)
    theta = floats(op.theta, 6)
    for i in range(op.out_height):
        for j in range(op.out_width):
            row, column, _, _, _, _ = _places(op, theta, i, j)
            to = op.y + 4 * (i * op.out_width + j) * op.channels
            inside = _meets(row, op.height) and _meets(column, op.width)
            start = splat(row + column if row != row or column != column else ZERO)  # NaN stays
            top = math.floor(row) if inside else 0
            left = math.floor(column) if inside else 0
            for c in range(0, op.channels, LANES):
                lanes = min(LANES, op.channels - c)
                total = start
                if inside:
                    for m in range(top, top + 2):
                        for n in range(left, left + 2):
                            weight = _weight(row, m, op.height) * _weight(column, n, op.width)
                            if weight != ZERO:
                                at = op.x + 4 * ((m * op.width + n) * op.channels + c)
                                total = fma(load(at, lanes), splat(weight), total)
                store(total, to + 4 * c, lanes)


@kernel(AFFINE_SAMPLE_DX)
def affine_sample_dx(pointer):
    """dx[H, W, C] = the sums of dy[OH, OW, C], weighed, where it shows a pixel."""
    op = record_at(pointer)
    theta = floats(op.theta, 6)
    floats(op.dx, op.height * op.width * op.channels)[:] = 0
    for i in range(op.out_height):
        for j in range(op.out_width):
            row, column, _, _, _, _ = _places(op, theta, i, j)
            if not (_meets(row, op.height) and _meets(column, op.width)):
                continue
            dy = op.dy + 4 * (i * op.out_width + j) * op.channels
            top, left = math.floor(row), math.floor(column)
            for m in range(top, top + 2):
                for n in range(left, left + 2):
                    weight = _weight(row, m, op.height) * _weight(column, n, op.width)
                    if weight == ZERO:
                        continue
                    at = op.dx + 4 * (m * op.width + n) * op.channels
                    for c in range(0, op.channels, LANES):
                        lanes = min(LANES, op.channels - c)
                        total = fma(load(dy + 4 * c, lanes), splat(weight), load(at + 4 * c, lanes))
                        store(total, at + 4 * c, lanes)


@kernel(AFFINE_SAMPLE_DTHETA)
def affine_sample_dtheta(pointer):
    """dtheta[6] = how the loss changes with the map."""
    op = record_at(pointer)
    theta, dtheta = floats(op.theta, 6), floats(op.dtheta, 6)
    x = floats(op.x, op.height * op.width * op.channels)
    dtheta[:] = 0
    for i in range(op.out_height):
        for j in range(op.out_width):
            row, column, across, down_wide, across_high, down = _places(op, theta, i, j)
            if not (_meets(row, op.height) and _meets(column, op.width)):
                continue
            at = (i * op.out_width + j) * op.channels
            dy = floats(op.dy + 4 * at, op.channels)
            top, left = math.floor(row), math.floor(column)
            by_row, by_column = ZERO, ZERO
            for m in range(top, top + 2):
                for n in range(left, left + 2):
                    if m < 0 or m >= op.height or n < 0 or n >= op.width:
                        continue
                    total = ZERO
                    for c in range(op.channels):
                        total += dy[c] * x[(m * op.width + n) * op.channels + c]
                    sign_row = -ONE if m == top else ONE
                    sign_column = -ONE if n == left else ONE
                    by_row += sign_row * _weight(column, n, op.width) * total
                    by_column += sign_column * _weight(row, m, op.height) * total
            dtheta[0] += HALF * by_column * across
            dtheta[1] += HALF * by_column * down_wide
            dtheta[2] += HALF * by_column * f32(op.width)
            dtheta[3] += HALF * by_row * across_high
            dtheta[4] += HALF * by_row * down
            dtheta[5] += HALF * by_row * f32(op.height)
