"""Compiled kernels launched on the machine, on NumPy arrays."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

import numpy as np
import ptx
from numba import types
from numba.cuda import dispatcher
from numba.cuda.cudadrv import devices

from fastcnn.kernels.call import GLOBAL, LOCAL, PARTIAL, Calls, Region
from fastcnn.kernels.cuda.runtime.device import pretend
from fastcnn.kernels.cuda.runtime.kernel import Kernel
from ptx_machine.frame import GLOBAL_SPACING
from ptx_machine.machine import Machine
from ptx_machine.memory import Clock, Space
from ptx_machine.parsing import Program, parse

NEWEST = (9, 0)
WORD = 4  # bytes that are accessed as one
EMPTY = 1 << 12  # the address of arrays of length 0, where nothing may be accessed


@cache
def compiled(kernel: Kernel, capability: tuple[int, int]) -> Program:
    """Return the program that a launch on a GPU of a compute capability would assemble."""
    with pretended(capability):
        program = parse(_library(kernel).get_lto_ptx())
    program.name = kernel.name
    return program


@cache
def _library(kernel: Kernel) -> Any:
    """The kernel's code before it is linked, which takes most of the time."""
    return ptx.compiled(kernel)


@contextmanager
def pretended(capability: tuple[int, int]) -> Iterator[None]:
    """Compile as if there were a GPU of a compute capability."""
    before = dispatcher.get_current_device, devices.get_context
    pretend(capability)
    try:
        yield
    finally:
        dispatcher.get_current_device, devices.get_context = before


class Device:
    """A pretended GPU of a compute capability, with its memory."""

    def __init__(self, capability: tuple[int, int] = NEWEST):
        self.capability = capability
        self.memory = Space(Clock(), GLOBAL_SPACING)
        self._machines: dict[tuple[str, int], Machine] = {}

    def put(self, array: np.ndarray, name: str, skipped: int = 0) -> int:
        """Put an array into memory, which kernels then change; return its address, so many bytes
        behind a multiple of 256."""
        if not array.flags.c_contiguous:
            raise ValueError(f"{name}: expected an array in C order")
        data = array.reshape(-1).view(np.uint8)
        return self.memory.add(data, name, min(array.itemsize, WORD), skipped)

    def launch(self, kernel: Kernel, values: dict[str, Any], arrays: dict[str, Any]) -> None:
        """Launch a kernel with `count` and its other numbers, and its arrays: name -> (address,
        shape)."""
        shape, threads = kernel.launch(values["count"], values)
        key = kernel.name, threads
        if key not in self._machines:
            program = compiled(kernel, self.capability)
            self._machines[key] = Machine(program, threads, self.memory)
        given: list[object] = []
        for name, declared in kernel.arguments.items():
            if kernel.is_array(name):
                missing = EMPTY, (0,) * declared.ndim
                given += argument(declared, *arrays.get(name, missing))
            else:
                given.append(values.get(name, 0))
        self._machines[key].launch(shape, given)


def argument(declared: types.Array, address: int, shape: Sequence[int]) -> list[int]:
    """An array as numba-cuda hands it over: two pointers that nobody uses, the number and size of
    its elements, its address, its shape and its strides in bytes."""
    size = np.dtype(str(declared.dtype)).itemsize
    strides = [size * int(np.prod(shape[axis + 1 :])) for axis in range(len(shape))]
    return [0, 0, int(np.prod(shape)), size, address, *shape, *strides]


def launch(
    one: Kernel,
    count: int = 1,
    chunks: int = 1,
    capability: tuple[int, int] = NEWEST,
    skipped: int = 0,
    **given: Any,
) -> dict[str, np.ndarray]:
    """Launch a kernel for `count` images; return its arrays, as given or changed.

    Arrays and numbers by the kernel's own names; what is left out is an empty array, or 0. Arrays
    begin so many bytes behind a multiple of 256.
    """
    values: dict[str, Any] = {"count": count, "chunks": chunks, **given}
    unknown = set(values) - {*one.arguments, "count", "chunks"}
    assert not unknown, f"{one.name} has no {unknown}"
    device = Device(capability)
    arrays, placed = {}, {}
    for name, declared in one.arguments.items():
        if one.is_array(name) and values.get(name) is not None:
            arrays[name] = array = np.array(values.pop(name), order="C")
            assert array.dtype == one.dtype(name), f"{one.name}: {name} is {array.dtype}"
            shape = (array.size,) if declared.ndim == 1 else array.shape
            placed[name] = device.put(array, name, skipped), shape
    device.launch(one, values, placed)
    return arrays


def local(shape: tuple[int, ...]) -> Region:
    """A region with an array of a shape for each image."""
    return Region(4 * int(np.prod(shape)))


def single(shape: tuple[int, ...]) -> Region:
    """A region with one array of a shape."""
    return Region(4 * int(np.prod(shape)), GLOBAL, per_image=False)


def run(
    calls: Calls,
    images: int,
    given: dict[Region, np.ndarray],
    capability: tuple[int, int] = NEWEST,
    skipped: int = 0,
) -> dict[Region, np.ndarray]:
    """Run the calls for a number of images; `given` are the contents of regions before.

    Returns the regions' contents, flat. Each region is an array of its own, of just as many bytes
    as it needs, with NaN in it where nothing is given.
    """
    device = Device(capability)
    arrays: dict[Region, np.ndarray] = {}
    addresses: dict[Region, int] = {}
    for call in calls.emitted:
        for region in (*call.reads, *call.written):
            if region not in arrays:
                contents = np.full(_bytes(region, images) // 4, np.nan, np.float32)
                arrays[region] = np.array(given.get(region, contents), order="C").reshape(-1)
                name = region.label or f"region {len(arrays)}"
                addresses[region] = device.put(arrays[region], name, skipped)
        placed = {}
        for name, place in call.places.items():
            start = addresses[place.region] + place.offset
            length = arrays[place.region].nbytes - place.offset
            placed[name] = start, (length // call.kernel.dtype(name).itemsize,)
        device.launch(call.kernel, {"count": images, "chunks": images, **call.values}, placed)
    return arrays


def _bytes(region: Region, images: int) -> int:
    each = region.kind == PARTIAL or (region.kind == LOCAL and region.per_image)
    return region.bytes * (images if each else 1)
