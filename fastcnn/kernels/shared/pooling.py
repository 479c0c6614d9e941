"""Pooling's calls, which are the same on every device; `kernels` is a device's nn/pooling.py."""

from __future__ import annotations

from types import ModuleType

from fastcnn.graph.problem import Padding, Problem
from fastcnn.kernels.call import IMAGE, Calls, Region
from fastcnn.kernels.shared.problem_sizes import image_sizes


def geometry(problem: Problem, relu: bool = False) -> dict[str, int]:
    """Return a pooling's sizes; `relu` says whether ReLU goes with it."""
    whole = problem.out_height * problem.strides[0] == problem.height
    whole = whole and problem.out_width * problem.strides[1] == problem.width
    return {
        **image_sizes(problem),
        "window_h": problem.kernel[0],
        "window_w": problem.kernel[1],
        "relu": relu,
        # Windows that tile the image write each of its pixels exactly once.
        "two_by_two": problem.kernel == (2, 2) and not problem.padded,
        "covers": whole and problem.kernel == problem.strides and not problem.padded,
    }


def max_forward(
    kernels: ModuleType,
    calls: Calls,
    problem: Problem,
    x: Region,
    y: Region,
    index: Region | None,
    relu: bool,
) -> None:
    """Emit max pooling; with `index`, where each largest value was is kept for the way back."""
    writes = ("y",) if index is None else ("y", "index")
    places = {"x": x, "y": y, "index": index}
    calls.emit(kernels.max_pool, IMAGE, writes, places, **geometry(problem, relu))


def max_dx(
    kernels: ModuleType,
    calls: Calls,
    problem: Problem,
    dy: Region,
    index: Region,
    y: Region | None,
    dx: Region,
) -> None:
    """Emit its gradient; with `y`, also that of the ReLU after it."""
    places = {"dy": dy, "index": index, "y": y, "dx": dx}
    calls.emit(kernels.max_pool_dx, IMAGE, "dx", places, **geometry(problem, y is not None))


def average_forward(
    kernels: ModuleType, calls: Calls, problem: Problem, counted: Padding, x: Region, y: Region
) -> None:
    """Emit average pooling; the pixels of the padding `counted` count as zeros."""
    values = {**geometry(problem), **_counted_sizes(counted)}
    calls.emit(kernels.average_pool, IMAGE, "y", {"x": x, "y": y}, **values)


def average_dx(
    kernels: ModuleType, calls: Calls, problem: Problem, counted: Padding, dy: Region, dx: Region
) -> None:
    """Emit its gradient."""
    values = {**geometry(problem), **_counted_sizes(counted)}
    calls.emit(kernels.average_pool_dx, IMAGE, "dx", {"dy": dy, "dx": dx}, **values)


def lp_forward(
    kernels: ModuleType, calls: Calls, problem: Problem, norm: float, x: Region, y: Region
) -> None:
    """Emit norm pooling; `kernels` is a device's nn/norm_pooling.py."""
    places = {"x": x, "y": y}
    calls.emit(kernels.lp_pool, IMAGE, "y", places, norm=float(norm), **geometry(problem))


def lp_dx(
    kernels: ModuleType,
    calls: Calls,
    problem: Problem,
    norm: float,
    x: Region,
    y: Region,
    dy: Region,
    dx: Region,
) -> None:
    """Emit its gradient."""
    places = {"x": x, "y": y, "dy": dy, "dx": dx}
    calls.emit(kernels.lp_pool_dx, IMAGE, "dx", places, norm=float(norm), **geometry(problem))


def _counted_sizes(counted: Padding) -> dict[str, int]:
    (top, bottom), (left, right) = counted
    return {
        "counted_top": top,
        "counted_bottom": bottom,
        "counted_left": left,
        "counted_right": right,
    }
