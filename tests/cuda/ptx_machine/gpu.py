"""The machine in place of a GPU: what the engine launches runs there, compiled for that GPU.

A pytest plugin. The simulator's tests, whole networks among them, run on compiled kernels with

    PYTHONPATH=tests/cuda python -m pytest --noconftest -p ptx_machine.gpu tests/cuda/simulator

in some minutes, for compute capability 9.0 or, say, FASTCNN_PTX=7.5. Tests of what only the
simulator has fail there. No process in which this was imported can use a GPU.
"""

from __future__ import annotations

import contextlib
import os
from functools import cache
from types import SimpleNamespace
from typing import Any

os.environ.setdefault("FASTCNN_MEASUREMENTS", "0")

import numpy as np
from numba import cuda

from fastcnn.backends.cuda import graphs, streams
from fastcnn.kernels.cuda.runtime.compile import import_kernels
from fastcnn.kernels.cuda.runtime.device import pretend
from fastcnn.kernels.cuda.runtime.kernel import Kernel, all_kernels
from ptx_machine.frame import GLOBAL_SPACING
from ptx_machine.launching import EMPTY, WORD, argument, compiled
from ptx_machine.machine import Machine
from ptx_machine.memory import Clock, Space

CAPABILITY = tuple(map(int, os.environ.get("FASTCNN_PTX", "9.0").split(".")))
MEMORY = 1 << 34


class Array(np.ndarray):
    """An array that stands for one on the device."""

    def copy_to_host(self, ary: Any = None, stream: Any = 0) -> np.ndarray:
        if ary is None:
            return np.array(self)
        ary[...] = self.reshape(ary.shape)
        return ary

    def copy_to_device(self, ary: Any, stream: Any = 0) -> None:
        self[...] = np.asarray(ary).reshape(self.shape)


class Stream:
    """A stream on which everything is done at once."""

    handle = 0

    def synchronize(self) -> None:
        pass


class Event:
    """An event on such a stream."""

    def __init__(self, timing: bool = True):
        pass

    def record(self, stream: Any = 0) -> None:
        pass

    wait = synchronize = record

    def elapsed_time(self, other: Event) -> float:
        return 1.0


class OnMachine:
    """A kernel whose launches run on the machine; for everything else what numba-cuda made."""

    def __init__(self, kernel: Kernel):
        self._kernel, self._original = kernel, kernel.compiled

    def __getattr__(self, name: str) -> Any:
        return getattr(self._original, name)

    def __getitem__(self, shape: tuple[Any, ...]) -> Any:
        blocks, threads = shape[:2]
        return lambda *arguments: self._launch(blocks, threads, arguments)

    def _launch(self, blocks: Any, threads: int, arguments: tuple[Any, ...]) -> None:
        machine = made(self._kernel, threads)
        memory = machine.frame.memory
        memory.pieces.clear()
        addresses: dict[int, int] = {}  # of whole arrays, by where they lie on the host
        given: list[object] = []
        for (name, declared), value in zip(self._kernel.arguments.items(), arguments, strict=True):
            if not self._kernel.is_array(name):
                given.append(value)
                continue
            whole = value
            while isinstance(whole.base, np.ndarray):
                whole = whole.base
            place = whole.ctypes.data
            if value.size and place not in addresses:
                data = whole.reshape(-1).view(np.uint8)
                addresses[place] = memory.add(data, name, min(whole.itemsize, WORD))
            address = addresses[place] + value.ctypes.data - place if value.size else EMPTY
            given += argument(declared, address, value.shape)
        machine.launch(blocks, given)


@cache
def made(kernel: Kernel, threads: int) -> Machine:
    memory = Space(Clock(), GLOBAL_SPACING)
    return Machine(compiled(kernel, CAPABILITY), threads, memory)


def device_array(shape: Any, dtype: Any = np.float64, **_: Any) -> Array:
    """An array whose contents are as unlikely as NaN."""
    array = np.zeros(shape, dtype)
    array.reshape(-1).view(np.uint8)[...] = 0xFF
    return array.view(Array)


def to_device(array: np.ndarray, **_: Any) -> Array:
    return np.array(array, order="C").view(Array)


def pinned_array(shape: Any, dtype: Any = np.float64, **_: Any) -> np.ndarray:
    return np.zeros(shape, dtype)


def install() -> None:
    """Let numba-cuda, and what the engine asks the driver itself, be the machine."""
    pretend(CAPABILITY)
    device = SimpleNamespace(compute_capability=CAPABILITY, id=0, name=b"PTX machine")
    context = SimpleNamespace(device=device, get_memory_info=lambda: (MEMORY, MEMORY))
    places = {
        "device_array": device_array,
        "to_device": to_device,
        "pinned_array": pinned_array,
        "stream": Stream,
        "default_stream": Stream,
        "event": Event,
        "current_context": lambda *_: context,
        "get_current_device": lambda: device,
        "is_available": lambda: True,
        "cuda_error": lambda: None,
        "synchronize": lambda: None,
        "defer_cleanup": contextlib.nullcontext,
    }
    for name, value in places.items():
        setattr(cuda, name, value)
    streams.new_stream = Stream
    graphs.Replay.run = lambda self: self._enqueue()
    import_kernels()
    for kernel in all_kernels():
        kernel.compiled = OnMachine(kernel)
    Kernel.__init__ = _registered(Kernel.__init__)
    Kernel.loaded = property(lambda self: True)


def _registered(initialize: Any) -> Any:
    """Kernels that tests make are compiled for the machine too."""

    def begin(self: Kernel, *args: Any, **settings: Any) -> None:
        initialize(self, *args, **settings)
        self.compiled = OnMachine(self)

    return begin


install()
