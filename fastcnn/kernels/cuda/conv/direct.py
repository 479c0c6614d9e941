"""Direct convolution: tiles of the image in shared memory, tiles of sums in registers.

A tile of the image is read from global memory once for all taps of the kernel, where a matrix
product of columns would read each pixel once for each (`direct_kernel`). The gradient of the input
is a convolution too: of the output's gradient, with the kernel's taps backwards and its axes
swapped, for each remainder of the stride by itself. The gradient of the kernel sums over the pixels
of the batch in a fixed number of K slices, which a second kernel adds in order
(`direct_weight_gradient`).

Shapes: x [H, W, C], kernel [KH, KW, C / groups, F], y [OH, OW, F] of each image; every stride,
padding, dilation and group. Operations: OH * OW * KH * KW * F * C / groups multiply-adds an image
and direction. Workspace: none; for dw the sums of the K slices. Depthwise problems go to
`depthwise`.
"""

from __future__ import annotations

from collections.abc import Mapping

from fastcnn.graph.problem import Problem
from fastcnn.kernels.call import IMAGE, Calls, LayerOperands, Region
from fastcnn.kernels.cuda.conv import depthwise, direct_weight_gradient
from fastcnn.kernels.cuda.conv.direct_naive import direct_plain
from fastcnn.kernels.cuda.conv.direct_tile_selection import KERNELS, Shape, plan
from fastcnn.kernels.cuda.runtime.cost_model import LAUNCH, MULTIPLY_ADDS
from fastcnn.kernels.shared.axis import Axis, backward_axes, forward_axis, geometry, image_strides

PLAIN_SHARE = 0.05  # of the instructions of the kernel without tiles that are multiply-adds


def cycles(direction: str, problem: Problem, images: int) -> float:
    """Estimate the nanoseconds of one image in a batch of so many."""
    if problem.depthwise:
        return depthwise.time(direction, problem, images) / images
    if direction == "dw":
        return direct_weight_gradient.time(problem, images) / images
    shapes = [_forward(problem)] if direction == "forward" else _backward(problem)
    return sum(_time(shape, images) for shape in shapes) / images


def _time(shape: Shape, images: int) -> float:
    laid = plan(_with_taps(shape), images)
    if laid is not None:
        return laid.time
    return LAUNCH + images * shape.multiply_adds / (MULTIPLY_ADDS * PLAIN_SHARE)


def _forward(problem: Problem) -> Shape:
    return Shape(
        forward_axis(problem, 0),
        forward_axis(problem, 1),
        problem.channels_per_group,
        problem.filters_per_group,
        problem.groups,
    )


def _backward(problem: Problem) -> list[Shape]:
    """The input's gradient: a convolution for each remainder of the strides."""
    inner, outputs = problem.filters_per_group, problem.channels_per_group
    return [
        Shape(rows, columns, inner, outputs, problem.groups)
        for rows in backward_axes(problem, 0)
        for columns in backward_axes(problem, 1)
    ]


def _with_taps(shape: Shape) -> Shape:
    """The same sums over at least one tap: those over none are sums over no channels."""
    if shape.taps:
        return shape
    rows, columns = (_one_tap(axis) for axis in (shape.rows, shape.columns))
    return Shape(rows, columns, 0, shape.outputs, shape.groups)


def _one_tap(axis: Axis) -> Axis:
    return Axis(axis.size, axis.out_size, 1, 1, 1, 0, first=axis.first, step=axis.step)


def conv2d_direct(calls: Calls, problem: Problem, operands: LayerOperands) -> None:
    """Emit y = x * kernel + bias; `scale` multiplies each filter of the kernel first."""
    if problem.depthwise:
        depthwise.forward(calls, problem, operands)
        return
    places, relu = operands.places, operands.relu
    sizes = (problem.height, problem.width), (problem.out_height, problem.out_width)
    steps = problem.filters, 1, problem.filters_per_group
    _convolve(calls, problem, _forward(problem), places, *sizes, problem.channels, steps, relu)


def conv2d_direct_dx(
    calls: Calls, problem: Problem, dy: Region, kernel: Region, out: Region
) -> None:
    """Emit the gradient of the input."""
    if problem.depthwise:
        depthwise.dx(calls, problem, dy, kernel, out)
        return
    places = {"x": dy, "kernel": kernel, "y": out}
    sizes = (problem.out_height, problem.out_width), (problem.height, problem.width)
    steps = 1, problem.filters, problem.filters_per_group
    for shape in _backward(problem):
        _convolve(calls, problem, _with_taps(shape), places, *sizes, problem.filters, steps)


def conv2d_direct_dw(
    calls: Calls, problem: Problem, x: Region, dy: Region, gradient: Region
) -> None:
    """Emit the gradient of the kernel: sums over the pixels of the batch, in fixed K slices."""
    if problem.depthwise:
        depthwise.dw(calls, problem, x, dy, gradient)
        return
    direct_weight_gradient.dw(calls, problem, x, dy, gradient)


def _convolve(
    calls: Calls,
    problem: Problem,
    shape: Shape,
    places: Mapping[str, Region | None],
    x_size: tuple[int, int],
    y_size: tuple[int, int],
    channels: int,
    w_steps: tuple[int, int, int],
    relu: bool = False,
) -> None:
    """Emit one convolution: by a tile, or without where none fits.

    `w_steps` are the floats of the kernel from one channel, one filter and one group to the next.
    """
    w_i, w_o, w_group = w_steps
    rows, columns = shape.rows, shape.columns
    outputs, filters = shape.outputs, shape.groups * shape.outputs
    w_tap = problem.channels_per_group * problem.filters
    w_row = problem.kernel[1] * w_tap
    values = {
        **geometry(rows, columns),
        **image_strides(rows, columns, x_size[1], x_size[0] * x_size[1], channels),
        "inner": shape.inner,
        "outputs": outputs,
        "groups": shape.groups,
        "y_first": (rows.first * y_size[1] + columns.first) * filters,
        "y_image": y_size[0] * y_size[1] * filters,
        "y_row": rows.step * y_size[1] * filters,
        "y_pixel": columns.step * filters,
        "w_first": rows.first_tap * w_row + columns.first_tap * w_tap,
        "w_h": rows.tap_step * w_row,
        "w_w": columns.tap_step * w_tap,
        "w_i": w_i,
        "w_o": w_o,
        "w_group": w_group,
        "relu": relu,
    }
    laid = plan(shape, calls.images)
    if laid is None:
        calls.emit(direct_plain, IMAGE, "y", places, **values)
        return
    values |= laid.values
    # Sums of four filters are written at once where all rows of filters begin at 16 bytes.
    calls.emit(KERNELS[laid.tile], IMAGE, "y", places, **values, vectorized=outputs % 4 == 0)
