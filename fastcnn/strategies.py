"""Ways to compute a convolution, as plain functions over whole batches.

The same calls that a training step makes, by themselves: for tests, for measurements, and for a
reader who wants to see one convolution at work. Each function takes arrays and returns a new one;
`plan` returns a function that computes the same again and again on the same arrays.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np

from fastcnn.engines.executable import Executable
from fastcnn.kernels.cpu import conv_direct, conv_dx
from fastcnn.kernels.cpu.call import Calls, Region
from fastcnn.memory import vector_zeros
from fastcnn.problem import Problem

DIRECTIONS = ("forward", "dx", "dw")


def conv2d_direct(
    x: np.ndarray, kernel: np.ndarray, bias: np.ndarray | None, problem: Problem
) -> np.ndarray:
    """Return y float32[N, OH, OW, F] for x float32[N, H, W, C], kernel [KH, KW, C / groups, F]."""
    return plan("forward", problem, x, kernel, bias)()


def conv2d_direct_dx(dy: np.ndarray, kernel: np.ndarray, problem: Problem) -> np.ndarray:
    """Return dx float32[N, H, W, C] for dy float32[N, OH, OW, F]."""
    return plan("dx", problem, dy, kernel)()


def conv2d_direct_dw(x: np.ndarray, dy: np.ndarray, problem: Problem) -> np.ndarray:
    """Return dw float32[KH, KW, C / groups, F], summed over the batch."""
    return plan("dw", problem, x, dy)()


def plan(
    direction: str,
    problem: Problem,
    first: np.ndarray,
    second: np.ndarray,
    bias: np.ndarray | None = None,
) -> Callable[[], np.ndarray]:
    """Return a function that computes one direction of a problem.

    `first` and `second` are (x, kernel) for "forward", (dy, kernel) for "dx", (x, dy) for "dw". The
    function returns the same array each time, computed anew, kernel packing included.
    """
    if direction not in DIRECTIONS:
        raise ValueError(f"direction must be one of {DIRECTIONS}. Received {direction!r}.")
    image = (problem.height, problem.width, problem.channels)
    output = (problem.out_height, problem.out_width, problem.filters)
    weights = (*problem.kernel, problem.channels_per_group, problem.filters)
    batch = len(first)
    shapes = {
        "forward": ((batch, *image), weights, (batch, *output)),
        "dx": ((batch, *output), weights, (batch, *image)),
        "dw": ((batch, *image), (batch, *output), weights),
    }[direction]
    arrays = {"x": _padded(first, shapes[0]), "values": _padded(second, shapes[1])}
    if direction == "dw":
        # Of both, each image has its own piece.
        arrays["target"] = arrays.pop("values")
    if bias is not None:
        arrays["moving"] = _padded(bias, (problem.filters,))
    result = np.empty(shapes[2], np.float32)
    arrays["weight" if direction != "dw" else "gradients"] = result
    calls = Calls()
    _EMIT[direction](calls, problem, _regions(arrays, batch))
    executable = Executable(calls.made, batch)
    executable.give(**arrays)
    versions = itertools.count()

    def run() -> np.ndarray:
        executable.run(batch, next(versions))
        return result

    return run


def _padded(array: Any, shape: tuple[int, ...]) -> np.ndarray:
    """Return a contiguous float32 copy that vector loads may read a little past."""
    given = np.asarray(array, np.float32)
    if given.shape != shape:
        raise ValueError(f"Expected an array of shape {shape}. Received {given.shape}.")
    room = vector_zeros(given.size).reshape(shape)
    room[...] = given
    return room


def _regions(arrays: dict[str, np.ndarray], batch: int) -> dict[str, Region]:
    single = ("values", "moving", "gradients")
    sizes = {
        name: array.nbytes // (1 if name in single else batch) for name, array in arrays.items()
    }
    return {name: Region(sizes[name], name, per_image=name not in single) for name in arrays}


def _forward(calls: Calls, problem: Problem, at: dict[str, Region]) -> None:
    conv_direct.forward(calls, problem, at["x"], at["values"], at.get("moving"), at["weight"])


def _dx(calls: Calls, problem: Problem, at: dict[str, Region]) -> None:
    conv_dx.input_gradient(calls, problem, at["x"], at["values"], at["weight"])


def _dw(calls: Calls, problem: Problem, at: dict[str, Region]) -> None:
    conv_direct.dw(calls, problem, at["x"], at["target"], at["gradients"])


_EMIT = {"forward": _forward, "dx": _dx, "dw": _dw}
