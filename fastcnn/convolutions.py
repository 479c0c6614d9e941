"""Convolutions by themselves: arrays in, an array out, by any strategy.

The same calls that a training step makes, for measurements, for tests, and for a reader who wants
to see one convolution at work.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from fastcnn import strategies
from fastcnn.engines.executable import Executable
from fastcnn.kernels.cpu.call import Calls, Region
from fastcnn.memory import vector_zeros
from fastcnn.problem import Problem
from fastcnn.strategies import DIRECTIONS, STRATEGIES


def conv2d(
    x: np.ndarray,
    kernel: np.ndarray,
    bias: np.ndarray | None,
    problem: Problem,
    strategy: str = "direct",
) -> np.ndarray:
    """Return y float32[N, OH, OW, F] for x float32[N, H, W, C], kernel [KH, KW, C / groups, F]."""
    return Convolution(strategy, "forward", problem, x, kernel, bias)().copy()


def conv2d_dx(
    dy: np.ndarray, kernel: np.ndarray, problem: Problem, strategy: str = "direct"
) -> np.ndarray:
    """Return dx float32[N, H, W, C] for dy float32[N, OH, OW, F]."""
    return Convolution(strategy, "dx", problem, dy, kernel)().copy()


def conv2d_dw(
    x: np.ndarray, dy: np.ndarray, problem: Problem, strategy: str = "direct"
) -> np.ndarray:
    """Return dw float32[KH, KW, C / groups, F], summed over the batch."""
    return Convolution(strategy, "dw", problem, x, dy)().copy()


class Convolution:
    """One direction of a problem by one strategy, on arrays that stay: call it to compute.

    `first` and `second` are (x, kernel) for "forward", (dy, kernel) for "dx", (x, dy) for "dw". A
    call returns the same array each time, computed anew, kernel packing included. Raises
    ValueError where the strategy declines or an array's shape is not the problem's.
    """

    def __init__(
        self,
        strategy: str,
        direction: str,
        problem: Problem,
        first: np.ndarray,
        second: np.ndarray,
        bias: np.ndarray | None = None,
    ):
        if direction not in DIRECTIONS:
            raise ValueError(f"direction must be one of {DIRECTIONS}. Received {direction!r}.")
        wished = strategies.wish("convolution", {direction: strategy})
        strategies.check("convolution", wished, problem)
        self.images = len(first)
        if wished[direction] == strategies.AUTO:
            self.strategy = strategies.choose(direction, problem, self.images).name
        else:
            self.strategy = wished[direction]
        arrays, self._result = _arrays(direction, problem, first, second, bias)
        calls = Calls(images=self.images)
        at = _regions(arrays, self.images)
        emit = STRATEGIES[self.strategy].emitter(direction)
        if direction == "forward":
            emit(calls, problem, at["x"], at["values"], at.get("moving"), at["weight"], False, None)
        elif direction == "dx":
            emit(calls, problem, at["x"], at["values"], at["weight"])
        else:
            emit(calls, problem, at["x"], at["target"], at["gradients"])
        self._executable = Executable(calls.made, self.images)
        self._executable.give(**arrays)
        self._versions = itertools.count()

    @property
    def workspace(self) -> int:
        """Bytes that the computation needs besides its arrays, on the threads now set."""
        return self._executable.workspace

    def __call__(self) -> np.ndarray:
        self._executable.run(self.images, next(self._versions))
        return self._result


def _arrays(
    direction: str, problem: Problem, first: Any, second: Any, bias: Any
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Return the arrays by the names that the executor knows, and the one for the result."""
    batch = len(first)
    image = (batch, problem.height, problem.width, problem.channels)
    output = (batch, problem.out_height, problem.out_width, problem.filters)
    weights = (*problem.kernel, problem.channels_per_group, problem.filters)
    wanted = {
        "forward": (image, weights, output),
        "dx": (output, weights, image),
        "dw": (image, output, weights),
    }[direction]
    arrays = {"x": _padded(first, wanted[0])}
    # Of x and dy, each image has its own piece; kernel and gradient are there once.
    arrays["target" if direction == "dw" else "values"] = _padded(second, wanted[1])
    if bias is not None:
        arrays["moving"] = _padded(bias, (problem.filters,))
    result = np.empty(wanted[2], np.float32)
    arrays["gradients" if direction == "dw" else "weight"] = result
    return arrays, result


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
