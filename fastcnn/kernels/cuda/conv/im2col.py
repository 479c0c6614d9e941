"""Convolution as one matrix product on the GPU: im2col whose columns are never written down.

Each block of threads computes a tile of the product of the column matrix with the kernel and looks
up, slice by slice, the pixels that its part of the columns consists of (`gemm/conv_loader.py`).
With c = C / groups and f = F / groups, for each group and all images at once:

    y[N * OH * OW, f]   = columns[N * OH * OW, KH * KW * c] @ kernel[KH * KW * c, f]
    dw[KH * KW * c, f]  = columns^T @ dy[N * OH * OW, f]
    dx[N * H * W, c]    = columns of dy[N * H * W, KH * KW * f] @ kernel^T

For dx with strides, the pixels are dealt with in stride_h * stride_w phases: those of one phase
meet the same taps, and no others are multiplied. A 1 x 1 kernel with stride 1 and no padding is the
product of the image itself.

References:
    S. Chetlur et al., cuDNN: Efficient Primitives for Deep Learning, 2014.
    V. Dumoulin and F. Visin, A guide to convolution arithmetic for deep learning, 2016 (phases).
    K. Chellapilla, S. Puri and P. Simard, High Performance Convolutional Neural Networks for
    Document Processing, 2006 (im2col).
"""

from __future__ import annotations

from math import ceil, gcd

from fastcnn.graph.problem import Problem
from fastcnn.kernels.call import Calls, LayerOperands, Region
from fastcnn.kernels.cuda.conv.im2col_kernels import make_dw, make_dx, make_forward
from fastcnn.kernels.cuda.gemm.gemm import (
    Lines,
    Strides,
    check_counts,
    emit_plan,
    product,
    sum_of_products,
)
from fastcnn.kernels.cuda.gemm.tile import FLOAT32, TF32
from fastcnn.kernels.cuda.gemm.tile_selection import ALL_TILES, Plan, best_plan, can_vectorize
from fastcnn.kernels.shared.problem_sizes import window_sizes

# The input's gradient needs more registers beside a tile's sums than larger tiles leave.
LARGEST_DX = 128 * 64

FORWARD = {tile: make_forward(tile) for tile in ALL_TILES}
DX = {tile: make_dx(tile) for tile in ALL_TILES if tile.rows * tile.columns <= LARGEST_DX}
DW = {tile: make_dw(tile) for tile in ALL_TILES}

# How much longer it takes to look up pixels, tap by tap, than to go through a matrix.
WINDOW = 1.1


def cycles(direction: str, problem: Problem, images: int) -> float:
    """Estimate the nanoseconds of one image in a batch of so many."""
    return _time(direction, problem, images, FLOAT32)


def cycles_tf32(direction: str, problem: Problem, images: int) -> float:
    """Estimate the same with tensor cores."""
    return _time(direction, problem, images, TF32)


def _time(direction: str, problem: Problem, images: int, precision: str) -> float:
    time = _plan(direction, problem, images, precision, vectorized=False).time / images
    return time if is_columns(problem) else WINDOW * time


def _plan(direction: str, problem: Problem, images: int, precision: str, vectorized: bool) -> Plan:
    """Return how the product of a direction is computed."""
    window, outputs = window_size(problem), problem.filters_per_group
    pixels = images * problem.out_height * problem.out_width
    if direction == "forward":
        return best_plan(pixels, outputs, window, problem.groups, precision, vectorized)
    if direction == "dw":
        return best_plan(window, outputs, pixels, problem.groups, precision, vectorized)
    (stride_h, stride_w), taps = problem.strides, problem.kernel[0] * problem.kernel[1]
    rows = images * ceil(problem.height / stride_h) * ceil(problem.width / stride_w)
    # The taps are dealt out to the phases: each meets that many on average.
    phases = stride_h * stride_w
    inner, groups = ceil(taps / phases * outputs), problem.groups * phases
    inputs = problem.channels_per_group
    return best_plan(rows, inputs, inner, groups, precision, vectorized, LARGEST_DX)


def _checked_plan(
    calls: Calls, direction: str, problem: Problem, first: Region, second: Region
) -> Plan:
    """Return how the product of two arrays is computed; ValueError if it is beyond the kernels."""
    inputs, outputs = problem.channels_per_group, problem.filters_per_group
    vectorized = can_vectorize((first, second), outputs, outputs if direction == "dx" else inputs)
    plan = _plan(direction, problem, calls.images, calls.precision, vectorized)
    source = problem.height * problem.width * problem.channels
    pixels = of_image = problem.out_height * problem.out_width
    if direction == "dx":
        source, pixels = of_image * problem.filters, problem.height * problem.width
        (stride_h, stride_w) = problem.strides
        of_image = max(1, (problem.height // stride_h) * (problem.width // stride_w))
    # A block looks up pixels from the first image that it meets; dw goes from image to image.
    met = 1 if direction == "dw" else ceil(plan.tile.rows / of_image) + 1
    check_counts(calls, calls.images * pixels, met * source)
    return plan


def conv2d_im2col(calls: Calls, problem: Problem, operands: LayerOperands) -> None:
    """Emit y = x * kernel + bias; `scale` multiplies each filter of the kernel first."""
    inputs, outputs = problem.channels_per_group, problem.filters_per_group
    rows = problem.out_height * problem.out_width
    if is_columns(problem):
        product(
            calls,
            operands.x,
            operands.kernel,
            operands.y,
            rows,
            outputs,
            inputs,
            _strides(problem),
            bias=operands.bias,
            scale=operands.scale,
            relu=operands.relu,
        )
        return
    plan = _checked_plan(calls, "forward", problem, operands.x, operands.kernel)
    lines = Lines(rows, outputs, problem.groups, outputs, problem.filters)
    values = {**geometry(problem), "relu": operands.relu}
    output = "y", operands.y
    emit_plan(calls, plan, FORWARD[plan.tile], operands.places, output, lines, **values)


def conv2d_im2col_dx(
    calls: Calls, problem: Problem, dy: Region, kernel: Region, out: Region
) -> None:
    """Emit the gradient of the input."""
    inputs, outputs = problem.channels_per_group, problem.filters_per_group
    rows = problem.height * problem.width
    if is_columns(problem):
        product(
            calls,
            dy,
            kernel,
            out,
            rows,
            inputs,
            outputs,
            _strides(problem, backward=True),
            transposed=True,
        )
        return
    plan = _checked_plan(calls, "dx", problem, dy, kernel)
    places = {"dy": dy, "kernel": kernel}
    lines = Lines(rows, inputs, problem.groups, inputs, problem.channels)
    strides, dilation = problem.strides, problem.dilation
    every_h, every_w = (s // gcd(s, d) for s, d in zip(strides, dilation, strict=True))
    values = {**geometry(problem), "every_h": every_h, "every_w": every_w}
    emit_plan(calls, plan, DX[plan.tile], places, ("dx", out), lines, **values)


def conv2d_im2col_dw(
    calls: Calls, problem: Problem, x: Region, dy: Region, gradient: Region
) -> None:
    """Emit the gradient of the kernel: columns^T @ dy, over all images."""
    inputs, outputs = problem.channels_per_group, problem.filters_per_group
    if is_columns(problem):
        sum_of_products(
            calls,
            x,
            dy,
            gradient,
            inputs,
            outputs,
            problem.height * problem.width,
            _strides(problem),
        )
        return
    plan = _checked_plan(calls, "dw", problem, x, dy)
    places, output = {"x": x, "dy": dy}, ("gradient", gradient)
    lines = Lines(window_size(problem), outputs, problem.groups, outputs, problem.filters, False)
    emit_plan(calls, plan, DW[plan.tile], places, output, lines, **geometry(problem))


def _strides(problem: Problem, backward: bool = False) -> Strides:
    """Return how the pixels, the kernel or dy, and the result of a 1x1 convolution lie: each group
    beside the next. With `backward`, the pixels are those of dy and the result is dx."""
    image = problem.channels, problem.channels_per_group
    output = problem.filters, problem.filters_per_group
    (a_row, a_group), (c_row, c_group) = (output, image) if backward else (image, output)
    b_row, b_group = output
    return Strides(problem.groups, a_row, b_row, c_row, a_group, b_group, c_group)


def window_size(problem: Problem) -> int:
    """Return the numbers under a window, of one group."""
    return problem.kernel[0] * problem.kernel[1] * problem.channels_per_group


def is_columns(problem: Problem) -> bool:
    """Say whether the image already is the column matrix."""
    return problem.kernel == problem.strides == (1, 1) and not problem.padded


def geometry(problem: Problem) -> dict[str, int]:
    """Return the sizes of a problem as the kernels take them."""
    return {**window_sizes(problem), "filters": problem.filters}
