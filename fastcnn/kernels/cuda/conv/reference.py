"""The definitions as strategies: "reference" is direct convolution with a thread for each number,
"reference-im2col" the same by a matrix of windows (`columns`).

They show what every further idea brings, and are never chosen by "auto". The kernels, to be read
first, are in reference_kernels.py.
"""

from __future__ import annotations

from fastcnn.graph.problem import Problem
from fastcnn.kernels.call import BATCH, IMAGE, Calls, LayerOperands, Region
from fastcnn.kernels.cuda.conv.im2col import geometry
from fastcnn.kernels.cuda.conv.reference_kernels import (
    reference_col2im,
    reference_dw,
    reference_dx,
    reference_forward,
    reference_im2col,
    reference_product,
    reference_product_dw,
    reference_product_dx,
)
from fastcnn.kernels.cuda.runtime.kernel import Kernel


def conv2d_reference(
    calls: Calls, problem: Problem, operands: LayerOperands, columns: bool = False
) -> None:
    """Emit y = x * kernel + bias; `scale` multiplies each filter of the kernel."""
    places = operands.places
    kernel = reference_forward
    if columns:
        places["windows"] = _windows_of(calls, problem, places.pop("x"))
        kernel = reference_product
    values = _values(kernel, problem)
    calls.emit(kernel, IMAGE, "y", places, relu=operands.relu, **values)


def conv2d_reference_dx(
    calls: Calls, problem: Problem, dy: Region, kernel: Region, out: Region, columns: bool = False
) -> None:
    """Emit the gradient of the input."""
    places = {"dy": dy, "kernel": kernel}
    if not columns:
        values = _values(reference_dx, problem)
        calls.emit(reference_dx, IMAGE, "dx", {**places, "dx": out}, **values)
        return
    windows = _windows(problem)
    values = _values(reference_product_dx, problem)
    calls.emit(reference_product_dx, IMAGE, "windows", {**places, "windows": windows}, **values)
    values = _values(reference_col2im, problem)
    calls.emit(reference_col2im, IMAGE, "dx", {"windows": windows, "dx": out}, **values)


def conv2d_reference_dw(
    calls: Calls, problem: Problem, x: Region, dy: Region, gradient: Region, columns: bool = False
) -> None:
    """Emit the gradient of the kernel, summed over the batch by each thread."""
    places = {"dy": dy, "dw": gradient}
    kernel = reference_dw
    if columns:
        places["windows"] = _windows_of(calls, problem, x)
        kernel = reference_product_dw
    else:
        places["x"] = x
    calls.emit(kernel, BATCH, "dw", places, **_values(kernel, problem))


def _windows(problem: Problem) -> Region:
    """Return room for an image's windows, [OH, OW, KH, KW, C]."""
    taps = problem.kernel[0] * problem.kernel[1]
    outputs = problem.out_height * problem.out_width
    return Region(4 * outputs * taps * problem.channels, label="windows")


def _windows_of(calls: Calls, problem: Problem, x: Region | None) -> Region:
    """Emit im2col; return where its windows are."""
    windows = _windows(problem)
    values = _values(reference_im2col, problem)
    calls.emit(reference_im2col, IMAGE, "windows", {"x": x, "windows": windows}, **values)
    return windows


def _values(kernel: Kernel, problem: Problem) -> dict[str, int]:
    """Return the numbers of a problem that a kernel takes."""
    values = geometry(problem)
    values |= {"inner": problem.channels_per_group, "outputs": problem.filters_per_group}
    return {name: value for name, value in values.items() if name in kernel.fields}
