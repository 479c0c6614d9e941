"""A program on the GPU: its calls as launches one after the other, and the memory they work on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from math import prod
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from fastcnn.backends.cuda import memory
from fastcnn.backends.cuda.memory import DeviceArray
from fastcnn.backends.cuda.streams import Stream
from fastcnn.backends.memory_planner import Span, place
from fastcnn.kernels.call import GLOBAL, LOCAL, PARTIAL, Address, Call, Region
from fastcnn.kernels.cuda.nn.host_function import HostFunction
from fastcnn.kernels.cuda.runtime.compile import load
from fastcnn.kernels.cuda.runtime.device import cuda
from fastcnn.kernels.cuda.runtime.kernel import Kernel

ALIGNMENT = 256  # bytes; what the driver aligns its own allocations to
MOST_CHUNKS = 128  # parts of the batch that sum by themselves, about one a multiprocessor
MOST_SIZES = 8  # of batches whose launches are kept
MOST_BLOCKS = 65535  # along a grid's second and third dimension: CUDA's limit
OWN = (LOCAL, GLOBAL, PARTIAL)


class Launches:
    """Calls bound to device memory, for up to `capacity` images.

    `arrays` are the device arrays that stand for regions of other kinds than the planner's own, by
    their names. Regions that are never alive together share memory; images lie side by side.
    """

    def __init__(self, calls: Sequence[Call], capacity: int, arrays: Mapping[str, DeviceArray]):
        self.capacity = capacity
        self._calls = list(calls)
        self._arrays = dict(arrays)
        self._offsets, size = place(_spans(self._calls, capacity))
        with memory.batch(capacity, lambda images: extent(self._calls, images)):
            self._arena = memory.device_array(
                max(size, ALIGNMENT), np.uint8, "what is between the layers"
            )
        with memory.lack_told("the code of its kernels"):
            load(kernel_of(call) for call in self._calls if not _on_host(call))
        self._empty: dict[np.dtype, DeviceArray] = {}
        self._bound: dict[int, list[Callable[[Stream], None]]] = {}  # by the number of images

    @property
    def workspace(self) -> int:
        """Bytes of device memory for what comes between inputs and outputs."""
        return int(self._arena.nbytes)

    def prepare(self, images: int) -> None:
        """Make everything ready that `launch` needs for a number of images.

        Raises ValueError where a launch would be too large.
        """
        if images not in self._bound:
            bound = [self._bind(call, images) for call in self._calls]
            if len(self._bound) >= MOST_SIZES:
                self._bound.pop(next(iter(self._bound)))
            self._bound[images] = bound

    def launch(self, images: int, stream: Stream) -> None:
        """Put all launches for a number of images on a stream."""
        self.prepare(images)
        for launch in self._bound[images]:
            launch(stream)

    @property
    def recordable(self) -> bool:
        """Whether a graph can hold them: none of them waits for the host."""
        return not any(_on_host(call) for call in self._calls)

    def view(
        self, region: Region, shape: tuple[int, ...], dtype: npt.DTypeLike = np.float32
    ) -> DeviceArray:
        """Return a region of the planner's own as a device array [capacity, *shape]."""
        times = self.capacity if region.per_image else 1
        offset = self._offsets[region]
        flat = self._arena[offset : offset + 4 * times * prod(shape)].view(dtype)
        return flat.reshape((times, *shape))

    def _bind(self, call: Call, images: int) -> Callable[[Stream], None]:
        """Return what puts a call with its arguments on a stream."""
        if isinstance(call.kernel, HostFunction):
            byte = np.dtype(np.uint8)
            arrays = {name: self._array(place, byte) for name, place in call.places.items()}
            return partial(call.kernel.run, arrays, images)
        kernel = kernel_of(call)
        unknown = {*call.places, *call.values} - {*kernel.fields, "parts"}
        if unknown:
            raise KeyError(f"The kernel {kernel.name} has no arguments {sorted(unknown)}.")
        operands = {"count": images, "chunks": chunks_of(images), **call.values}
        arguments = []
        for name in kernel.arguments:
            dtype = kernel.dtype(name)
            if kernel.is_array(name):
                arguments.append(self._array(call.places.get(name), dtype))
            else:
                arguments.append(dtype.type(operands.get(name, 0)))
        blocks, threads = kernel.launch(images, operands)
        axis = _too_long(blocks)
        if axis:
            # Some grids are long because of a layer's groups, which no batch makes fewer.
            alone = not _too_long(kernel.launch(1, operands | {"count": 1, "chunks": 1})[0])
            advice = "Try smaller batches." if alone else "The layer is too large for a GPU."
            raise ValueError(
                f"{call.label or kernel.name}: a grid of {blocks} blocks is beyond CUDA's limit of "
                f"{MOST_BLOCKS} along {axis}. {advice}"
            )
        return partial(_launch, kernel.compiled, blocks, threads, arguments)

    def _array(self, where: Address | None, dtype: np.dtype) -> DeviceArray:
        """Return the device array that begins at a place; one of length 0 for none."""
        if where is None:
            if dtype not in self._empty:
                self._empty[dtype] = cuda.device_array(1, dtype)[:0]
            return self._empty[dtype]
        region, start = where.region, where.offset
        if region.kind not in OWN:
            whole = self._arrays[region.kind]
            first = (region.offset + start) // whole.dtype.itemsize
            rest = whole[first:] if first else whole
            return rest.view(dtype) if dtype == np.uint8 else rest
        first = self._offsets[region]
        end = first + _bytes(region, self.capacity, aligned=False)
        return self._arena[first + start : end].view(dtype)


def kernel_of(call: Call) -> Kernel:
    """Return a call's kernel, which is the GPU's."""
    return cast(Kernel, call.kernel)


def _launch(compiled: Any, blocks: Any, threads: int, arguments: list[Any], stream: Stream) -> None:
    compiled[blocks, threads, stream](*arguments)


def _on_host(call: Call) -> bool:
    return isinstance(call.kernel, HostFunction)


def _too_long(blocks: int | tuple[int, ...]) -> str:
    """Return the axis along which a grid has too many blocks; "" for none."""
    if isinstance(blocks, tuple):
        for axis, length in zip("yz", blocks[1:], strict=False):
            if length > MOST_BLOCKS:
                return axis
    return ""


def extent(calls: Sequence[Call], images: int) -> int:
    """Return the bytes of device memory that calls need between inputs and outputs."""
    return place(_spans(calls, images))[1]


def _spans(calls: Sequence[Call], images: int) -> list[Span]:
    """Return from which call to which each region of the planner's own is alive."""
    alive: dict[Region, list[int]] = {}
    for number, call in enumerate(calls):
        for region in (*call.reads, *call.written):
            if region.kind in OWN:
                alive.setdefault(region, []).append(number)
    last = len(calls)
    return [
        (uses[0], last if region.kept else uses[-1], _bytes(region, images), region)
        for region, uses in alive.items()
    ]


def chunks_of(images: int) -> int:
    """Return into how many parts sums over a batch are cut."""
    return min(images, MOST_CHUNKS)


def _bytes(region: Region, images: int, aligned: bool = True) -> int:
    """Return the bytes that a region takes for so many images."""
    times = 1
    if region.kind == PARTIAL:
        times = chunks_of(images)
    elif region.kind == LOCAL and region.per_image:
        times = images
    size = region.bytes * times
    return -(-size // ALIGNMENT) * ALIGNMENT if aligned else size
