"""The definitions as strategies: `kernels/reference/`, called by the engine.

"reference" is direct convolution as plain loops, "reference-im2col" the same by a matrix of
windows (`columns`). They show what every further idea brings, and are never chosen by "auto". The
engine's threads share the images already, so that the loops are compiled here for one thread each.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from types import FunctionType
from typing import Any

import numpy as np

from fastcnn.graph.problem import Problem
from fastcnn.kernels.call import IMAGE, Calls, LayerOperands, Region
from fastcnn.kernels.cpu.chunk_sums import empty_kernel_gradient, fold_kernel_gradient
from fastcnn.kernels.cpu.runtime.host_kernel import Record, finish, host_kernel, view
from fastcnn.kernels.cpu.runtime.kernel import record
from fastcnn.kernels.shared.problem_sizes import window_sizes

GEOMETRY = (
    *("height", "width", "channels", "out_height", "out_width", "filters", "groups"),
    *("taps_h", "taps_w", "stride_h", "stride_w", "dilation_h", "dilation_w"),
    *("top", "bottom", "left", "right", "columns"),
)
FORWARD = record("x", "kernel", "bias", "scale", "y", *GEOMETRY, "relu")
DX = record("dy", "kernel", "dx", *GEOMETRY)
DW = record("x", "dy", "dw", *GEOMETRY)
_Padding = tuple[tuple[int, int], tuple[int, int]]
DIRECT, IM2COL = "conv2d_direct", "conv2d_im2col"


def conv2d_reference(
    calls: Calls, problem: Problem, operands: LayerOperands, columns: bool = False
) -> None:
    """Emit y = x * kernel + bias; `scale` multiplies each filter of the kernel."""
    values = _geometry(problem, columns)
    calls.emit(reference_forward, IMAGE, "y", operands.places, relu=operands.relu, **values)


def conv2d_reference_dx(
    calls: Calls, problem: Problem, dy: Region, kernel: Region, out: Region, columns: bool = False
) -> None:
    """Emit the gradient of the input."""
    places = {"dy": dy, "kernel": kernel, "dx": out}
    calls.emit(reference_dx, IMAGE, "dx", places, **_geometry(problem, columns))


def conv2d_reference_dw(
    calls: Calls, problem: Problem, x: Region, dy: Region, gradient: Region, columns: bool = False
) -> None:
    """Emit the gradient of the kernel, added up over each chunk's images."""
    partial = empty_kernel_gradient(calls, problem)
    places = {"x": x, "dy": dy, "dw": partial}
    calls.emit(reference_dw, IMAGE, "dw", places, **_geometry(problem, columns))
    fold_kernel_gradient(calls, problem, partial, gradient)


def _geometry(problem: Problem, columns: bool) -> dict[str, int]:
    (_, bottom), (_, right) = problem.padding
    further = {"filters": problem.filters, "bottom": bottom, "right": right, "columns": columns}
    return {**window_sizes(problem), **further}


@host_kernel(FORWARD)
def reference_forward(op: Record) -> None:
    """Compute y of one image, group by group."""
    x, kernel, y = _image(op), _kernel(op, op.kernel), _output(op, op.y)
    convolve = _compiled(op, "")
    for inputs, outputs in _groups(op):
        y[..., outputs] = convolve(x[..., inputs], kernel[..., outputs], *_window(op))
    finish(y, op, (op.filters,))


@host_kernel(DX)
def reference_dx(op: Record) -> None:
    """Compute dx of one image, group by group."""
    dy, kernel = _output(op, op.dy), _kernel(op, op.kernel)
    dx = view(op.dx, (1, op.height, op.width, op.channels))
    gradient, size = _compiled(op, "_dx"), (op.height, op.width)
    for inputs, outputs in _groups(op):
        dx[..., inputs] = gradient(dy[..., outputs], kernel[..., outputs], size, *_window(op))


@host_kernel(DW)
def reference_dw(op: Record) -> None:
    """Add the kernel's gradient of one image to its chunk's sum, group by group."""
    x, dy, dw = _image(op), _output(op, op.dy), _kernel(op, op.dw)
    gradient, taps = _compiled(op, "_dw"), (op.taps_h, op.taps_w)
    for inputs, outputs in _groups(op):
        dw[..., outputs] += gradient(x[..., inputs], dy[..., outputs], taps, *_window(op))


def _image(op: Record) -> np.ndarray:
    return view(op.x, (1, op.height, op.width, op.channels))


def _output(op: Record, address: int) -> np.ndarray:
    return view(address, (1, op.out_height, op.out_width, op.filters))


def _kernel(op: Record, address: int) -> np.ndarray:
    return view(address, (op.taps_h, op.taps_w, op.channels // op.groups, op.filters))


def _groups(op: Record) -> list[tuple[slice, slice]]:
    """Return the channels and the filters of each group."""
    channels, filters = op.channels // op.groups, op.filters // op.groups
    return [
        (slice(g * channels, (g + 1) * channels), slice(g * filters, (g + 1) * filters))
        for g in range(op.groups)
    ]


def _window(op: Record) -> tuple[tuple[int, int], _Padding, tuple[int, int]]:
    """Return strides, padding and dilation as the definitions take them."""
    padding = ((op.top, op.bottom), (op.left, op.right))
    return (op.stride_h, op.stride_w), padding, (op.dilation_h, op.dilation_w)


def _compiled(op: Record, direction: str) -> Callable[..., np.ndarray]:
    # Few need them, and each is prepared for several threads where it is imported, as is Numba.
    from fastcnn.kernels import reference

    return _one_thread(getattr(reference, (IM2COL if op.columns else DIRECT) + direction))


@cache
def _one_thread(definition: Any) -> Callable[..., np.ndarray]:
    """Return a definition, and the definitions that it calls, compiled for one thread."""
    from numba.core.dispatcher import Dispatcher  # as above

    from fastcnn.kernels.cpu.runtime.njit_cache import cached_njit

    function = definition.py_func
    names = dict(function.__globals__)
    for name in function.__code__.co_names:
        if isinstance(names.get(name), Dispatcher):
            names[name] = _one_thread(names[name])
    code = FunctionType(function.__code__, names, function.__name__)
    return cached_njit(nogil=True)(code)
