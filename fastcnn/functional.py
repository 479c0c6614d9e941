"""Convolutions by themselves: arrays in, an array out, by any strategy.

The same calls that a training step makes, for measurements, for tests, and for a reader who wants
to see one convolution at work.
"""

from __future__ import annotations

import itertools
import time
from math import prod

import numpy as np
import numpy.typing as npt

from fastcnn import strategies
from fastcnn.backends import nested_call
from fastcnn.backends.cpu.executable import Executable
from fastcnn.graph.problem import Problem
from fastcnn.kernels.call import Call, Calls, LayerOperands, Region
from fastcnn.strategies import DIRECTIONS
from fastcnn.utils.aligned_memory import vector_zeros


def conv2d(
    x: np.ndarray,
    kernel: np.ndarray,
    bias: np.ndarray | None,
    problem: Problem,
    strategy: str = "direct",
) -> np.ndarray:
    """Return the 2-D convolution of images with kernels, and a bias.

    Args:
        x: The images, float32.
        kernel: The kernels, float32.
        bias: float32 [F], or None.
        problem: The shapes, strides, padding, dilation and groups.
        strategy: A name of `fastcnn.strategies.STRATEGIES`, or "auto".

    Returns:
        y, float32, a new array.

    Raises:
        ValueError: The strategy cannot compute the problem, or an array's shape is not the
            problem's.

    Shape:
        x: [N, H, W, C]; kernel: [KH, KW, C / groups, F]; y: [N, OH, OW, F].
    """
    return Convolution(strategy, "forward", problem, x, kernel, bias)().copy()


def conv2d_dx(
    dy: np.ndarray, kernel: np.ndarray, problem: Problem, strategy: str = "direct"
) -> np.ndarray:
    """Return the gradient of a convolution's input.

    Args:
        dy: The gradient of its output, float32.
        kernel: The kernels, float32.
        problem: The shapes, strides, padding, dilation and groups.
        strategy: A name of `fastcnn.strategies.STRATEGIES`, or "auto".

    Returns:
        dx, float32, a new array.

    Raises:
        ValueError: The strategy cannot compute the problem, or an array's shape is not the
            problem's.

    Shape:
        dy: [N, OH, OW, F]; kernel: [KH, KW, C / groups, F]; dx: [N, H, W, C].
    """
    return Convolution(strategy, "dx", problem, dy, kernel)().copy()


def conv2d_dw(
    x: np.ndarray, dy: np.ndarray, problem: Problem, strategy: str = "direct"
) -> np.ndarray:
    """Return the gradient of a convolution's kernels, summed over the batch.

    Args:
        x: The images, float32.
        dy: The gradient of the output, float32.
        problem: The shapes, strides, padding, dilation and groups.
        strategy: A name of `fastcnn.strategies.STRATEGIES`, or "auto".

    Returns:
        dw, float32, a new array.

    Raises:
        ValueError: The strategy cannot compute the problem, or an array's shape is not the
            problem's.

    Shape:
        x: [N, H, W, C]; dy: [N, OH, OW, F]; dw: [KH, KW, C / groups, F].
    """
    return Convolution(strategy, "dw", problem, x, dy)().copy()


class Convolution:
    """One direction of a problem by one strategy, on arrays that stay: call it to compute.

    A call returns the same array each time, computed anew, kernel packing included; `timed` makes
    one and returns its seconds, on a GPU without copies from and to the host.

    Args:
        strategy: A name of `fastcnn.strategies.STRATEGIES`, or "auto".
        direction: "forward", "dx" or "dw".
        problem: The shapes, strides, padding, dilation and groups.
        first: x, or dy for "dx".
        second: The kernel, or dy for "dw".
        bias: float32 [F] for "forward", or None.
        device: "cpu" or "cuda".
        precision: "float32", or on a GPU with tensor cores "tf32".

    Raises:
        ValueError: There is no such direction or strategy, the strategy cannot compute the problem,
            or an array's shape is not the problem's.

    Shape:
        As `conv2d`'s, `conv2d_dx`'s and `conv2d_dw`'s.
    """

    def __init__(
        self,
        strategy: str,
        direction: str,
        problem: Problem,
        first: np.ndarray,
        second: np.ndarray,
        bias: np.ndarray | None = None,
        device: str = "cpu",
        precision: str = "float32",
    ):
        if direction not in DIRECTIONS:
            raise ValueError(f"direction must be one of {DIRECTIONS}. Received {direction!r}.")
        wished = strategies.wish("convolution", {direction: strategy})
        if wished[direction] == strategies.SPARSE:
            raise ValueError(
                f"convolution: strategy '{strategies.SPARSE}' takes the gradient of a max pooling "
                "behind the convolution, so only a network has it. Name another strategy, or "
                f"'{strategies.AUTO}'."
            )
        strategies.check("convolution", wished, problem, device)
        self.images = len(first)
        if wished[direction] == strategies.AUTO:
            self.strategy = strategies.choose(
                direction, problem, self.images, device=device, precision=precision
            ).name
        else:
            self.strategy = wished[direction]
        arrays, self._result = _arrays(direction, problem, first, second, bias)
        calls = Calls(self.images, precision)
        at = _regions(direction, arrays, self.images)
        emit = strategies.table(device)[self.strategy].emitter(direction)
        if direction == "forward":
            operands = LayerOperands(at["x"], at["kernel"], at["y"], at.get("bias"))
            emit(calls, problem, operands)
        elif direction == "dx":
            emit(calls, problem, at["dy"], at["kernel"], at["dx"])
        else:
            emit(calls, problem, at["x"], at["dy"], at["dw"])
        ready = _OnCpu if device == "cpu" else _OnCuda
        self._ready: _OnCpu | _OnCuda = ready(calls.emitted, self.images, arrays)

    @property
    def workspace(self) -> int:
        """Bytes that the computation needs besides its arrays, on the threads now set."""
        return self._ready.workspace

    def __call__(self) -> np.ndarray:
        self._ready.run()
        self._ready.read(self._result)
        return self._result

    def timed(self) -> float:
        """Compute once; return the seconds that it took."""
        return self._ready.timed()


class _OnCpu:
    """Calls ready to run on the host's own arrays."""

    def __init__(self, calls: list[Call], images: int, arrays: dict[str, np.ndarray]):
        self._executable = Executable(calls, images)
        self._executable.give(**arrays)
        self._images = images
        self._versions = itertools.count()

    @property
    def workspace(self) -> int:
        return self._executable.workspace

    def run(self) -> None:
        with nested_call.refused():
            self._executable.run(self._images, next(self._versions))

    def timed(self) -> float:
        start = time.perf_counter()
        self.run()
        return time.perf_counter() - start

    def read(self, result: np.ndarray) -> None:
        """Nothing to do: the result is the array that the calls wrote."""


class _OnCuda:
    """Launches ready to run on the device's copies of the arrays."""

    def __init__(self, calls: list[Call], images: int, arrays: dict[str, np.ndarray]):
        from fastcnn.backends.cuda.graphs import Replay
        from fastcnn.backends.cuda.launches import Launches
        from fastcnn.backends.cuda.memory import lack_told, to_device
        from fastcnn.backends.cuda.streams import new_stream
        from fastcnn.kernels.cuda.runtime.device import cuda

        device = {
            name: to_device(array.reshape(-1), "a convolution's arrays")
            for name, array in arrays.items()
        }
        self._launches = Launches(calls, images, device)
        self._result = device[list(arrays)[-1]]
        self._default = cuda.default_stream()
        with lack_told("a stream and its events"):
            self._stream = stream = new_stream()
            self._before, self._start, self._end = (cuda.event() for _ in range(3))
        # As a training step runs them: without the host's time between one launch and the next.
        self._replay = Replay(stream, lambda: self._launches.launch(images, stream))
        self._repeats = False

    @property
    def workspace(self) -> int:
        return self._launches.workspace

    def run(self) -> None:
        self._replay.run()
        self._stream.synchronize()

    def timed(self) -> float:
        if not self._repeats:
            # The first run compiles, the second records: from then on it is the same work.
            for _ in range(2):
                self.run()
            self._repeats = True
        # A contest puts a copy on the default stream that clears the caches and must be over.
        self._before.record(self._default)
        self._before.wait(self._stream)
        self._start.record(self._stream)
        self._replay.run()
        self._end.record(self._stream)
        self._end.synchronize()
        return 1e-3 * float(self._start.elapsed_time(self._end))

    def read(self, result: np.ndarray) -> None:
        """Copy what the launches wrote to the host."""
        self._result.copy_to_host(result.reshape(-1))


# The arrays of a model's program, as engines know them, whose places the operands take, by role.
PLACES = {
    "forward": {"x": "x", "kernel": "values", "bias": "moving", "y": "weight"},
    "dx": {"dy": "x", "kernel": "values", "dx": "weight"},
    "dw": {"x": "x", "dy": "target", "dw": "gradients"},
}
OF_IMAGES = ("x", "target", "weight")  # those of which each image has a piece of its own


def _arrays(
    direction: str,
    problem: Problem,
    first: np.ndarray,
    second: npt.ArrayLike,
    bias: npt.ArrayLike | None,
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
    names = list(PLACES[direction].values())
    arrays = {names[0]: _padded(first, wanted[0]), names[1]: _padded(second, wanted[1])}
    if bias is not None:
        arrays[PLACES["forward"]["bias"]] = _padded(bias, (problem.filters,))
    result = vector_zeros(prod(wanted[2])).reshape(wanted[2])
    arrays[names[-1]] = result
    return arrays, result


def _padded(array: npt.ArrayLike, shape: tuple[int, ...]) -> np.ndarray:
    """Return a contiguous float32 copy that vector loads may read a little past."""
    source = np.asarray(array, np.float32)
    if source.shape != shape:
        raise ValueError(f"Expected an array of shape {shape}. Received {source.shape}.")
    copy = vector_zeros(source.size).reshape(shape)
    copy[...] = source
    return copy


def _regions(direction: str, arrays: dict[str, np.ndarray], batch: int) -> dict[str, Region]:
    """Return where each operand lies, by its role."""
    regions = {}
    for role, name in PLACES[direction].items():
        if name in arrays:
            per_image = name in OF_IMAGES
            size = arrays[name].nbytes // (batch if per_image else 1)
            regions[role] = Region(size, name, per_image=per_image)
    return regions
