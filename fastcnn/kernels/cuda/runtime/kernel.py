"""Kernels as the engine knows them: a function of arrays and numbers, and how wide to launch it.

A kernel is written as one Python function whose annotations say what each argument is:

    @kernel(elements("size"))
    def add(count: Int, a: Floats, b: Floats, y: Floats, size: Int, relu: Int): ...

`count` is the number of images, which lie side by side without gaps; `chunks` is the number of
parts into which sums over the batch are cut. The engine fills these two in. An array that a call
leaves out has length 0, a number that it leaves out is 0.
"""

from __future__ import annotations

import typing
from collections.abc import Callable
from math import ceil, prod
from typing import TYPE_CHECKING, Any

import numpy as np
from numba import types
from numpy.typing import NDArray

from fastcnn.kernels.cuda.runtime.cubin_cache import Cubins
from fastcnn.kernels.cuda.runtime.device import SIMULATED, compiled, cuda

Launch = Callable[[int, dict[str, Any]], tuple[Any, int]]

# What an annotation stands for: arrays in C order, and numbers. A type checker sees NumPy's types.
if TYPE_CHECKING:
    Floats = NDArray[np.float32]
    Doubles = NDArray[np.float64]
    Ints = NDArray[np.int32]
    Longs = NDArray[np.int64]
    Bytes = NDArray[np.uint8]
    Rows = NDArray[np.float32]
    Int = int
    Word = int
    Float = float
else:
    Floats = types.Array(types.float32, 1, "C")
    Doubles = types.Array(types.float64, 1, "C")
    Ints = types.Array(types.int32, 1, "C")
    Longs = types.Array(types.int64, 1, "C")
    Bytes = types.Array(types.uint8, 1, "C")
    Rows = types.Array(types.float32, 2, "C")
    Int = types.int32
    Word = types.uint32
    Float = types.float32

HEADER = ("count", "chunks")
THREADS = 256 if not SIMULATED else 64
MOST_BLOCKS = 4096  # of an element-wise launch; each thread then goes on in strides

# Kernels of other packages are not kept: their sources are not in the digest.
PACKAGE = "fastcnn.kernels.cuda."

_FORCED = {} if SIMULATED else {"forceinline": True}

_KERNELS: dict[str, Kernel] = {}


class Kernel:
    """A kernel's Python body, its arguments and its launch shape; compiled on first use.

    `launch(count, values)` returns (blocks, threads) for so many images and a call's numbers.
    `most_registers` a thread leave room for so many threads on a multiprocessor; GPUs older than
    `least_capability` lack its instructions.
    """

    def __init__(
        self,
        body: Callable,
        launch: Launch,
        fastmath: bool | set[str] = False,
        most_registers: int | None = None,
        least_capability: tuple[int, int] = (7, 5),
    ):
        self.name = body.__name__
        self.body = body
        self.launch = launch
        self.fastmath = fastmath
        self.most_registers = most_registers
        self.least_capability = least_capability
        self.arguments: dict[str, types.Type] = typing.get_type_hints(body)
        limit = {} if SIMULATED else {"max_registers": most_registers}
        self.compiled = cuda.jit(body, fastmath=fastmath, **limit)
        # Sources elsewhere are not in the digest that names the folder of what is kept.
        if not SIMULATED and str(body.__module__).startswith(PACKAGE):
            self.compiled._cache = Cubins(self.name, self.compiled.targetoptions)

    @property
    def fields(self) -> tuple[str, ...]:
        """The names of the arguments that a call gives."""
        return tuple(name for name in self.arguments if name not in HEADER)

    @property
    def signature(self) -> tuple[types.Type, ...]:
        """The types of all arguments."""
        return tuple(self.arguments.values())

    @property
    def loaded(self) -> bool:
        """Whether there is code in this process; the simulator needs none."""
        return SIMULATED or self.signature in self.compiled.overloads

    def in_cache(self) -> bool:
        """Say whether machine code for the GPU in use is on disk."""
        cubins = self.compiled._cache
        return isinstance(cubins, Cubins) and cubins.has(self.signature)

    def load(self) -> None:
        """Load the machine code, compiling it where there is none on disk."""
        if not self.loaded:
            self.compiled.compile(self.signature)

    def keep(self) -> None:
        """Compile the kernel for the folder on disk, without a GPU to load it."""
        code = compiled(self.compiled, self.signature)
        self.compiled._cache.save_overload(self.signature, code)

    def dtype(self, field: str) -> np.dtype:
        """Return the type of an array's elements or of a number."""
        declared = self.arguments[field]
        return np.dtype(str(getattr(declared, "dtype", declared)))

    def is_array(self, field: str) -> bool:
        return isinstance(self.arguments[field], types.Array)


def kernel(launch: Launch, **settings: Any) -> Callable[[Callable], Kernel]:
    """Make an annotated function a `Kernel` with these settings, known by its name."""

    def decorate(body: Callable) -> Kernel:
        return register(Kernel(body, launch, **settings))

    return decorate


def register(kernel: Kernel) -> Kernel:
    """Count a kernel among `all_kernels` and return it."""
    _KERNELS[kernel.name] = kernel
    return kernel


def all_kernels() -> list[Kernel]:
    """Return every kernel that has been imported."""
    return list(_KERNELS.values())


def inline(function: Callable) -> Callable:
    """Make a function callable from kernels; its code goes where the call stands."""
    return cuda.jit(function, device=True, **_FORCED)


def elements(*names: str, threads: int = THREADS) -> Launch:
    """Return a launch with a thread for each of count * product of the named numbers."""

    def launch(count: int, values: dict[str, Any]) -> tuple[int, int]:
        size = count * prod(values[name] for name in names)
        return max(1, min(MOST_BLOCKS, ceil(size / threads))), threads

    return launch


def once(*names: str, threads: int = THREADS) -> Launch:
    """Return a launch with a thread for each of the product of the named numbers."""
    wide = elements(*names, threads=threads)
    return lambda count, values: wide(1, values)
