"""Arrays on the GPU and in pinned memory of the host, and the error where there is no room.

Every array of the engine is made here, so that the driver's own error reaches nobody: a MemoryError
says how much was asked for and for what, how much is free and, inside `batch`, which one would fit.
"""

from __future__ import annotations

import bisect
import contextlib
import gc
from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from math import prod
from typing import Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from fastcnn.backends.cuda.streams import Stream
from fastcnn.kernels.cuda.runtime.device import SIMULATED, cuda

Extent = Callable[[int], int]
Array = TypeVar("Array")


class DeviceArray(Protocol):
    """An array on the device, as numba.cuda makes it."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    @property
    def size(self) -> int: ...

    @property
    def nbytes(self) -> int: ...

    @property
    def dtype(self) -> np.dtype: ...

    def __len__(self) -> int: ...

    def __getitem__(self, key: slice) -> DeviceArray: ...

    def view(self, dtype: npt.DTypeLike) -> DeviceArray: ...

    def reshape(self, shape: tuple[int, ...]) -> DeviceArray: ...

    def copy_to_device(
        self, source: np.ndarray | DeviceArray, stream: Stream | None = None
    ) -> None: ...

    def copy_to_host(
        self, ary: np.ndarray | None = None, stream: Stream | None = None
    ) -> np.ndarray: ...


@dataclass
class _Batch:
    """What memory is asked for: a batch of so many images, of which one of n takes extent(n)."""

    images: int
    extent: Extent
    allocated: int = 0  # bytes, until now


_asking: ContextVar[_Batch | None] = ContextVar("asking", default=None)


@contextlib.contextmanager
def batch(images: int, extent: Extent) -> Iterator[None]:
    """Have errors inside say which batch would fit beside what is there.

    `extent(n)` are the bytes on the device of all that n images take. An outer one goes before an
    inner one: it knows of more.
    """
    token = _asking.set(_asking.get() or _Batch(images, extent))
    try:
        yield
    finally:
        _asking.reset(token)


def device_array(shape: int | Sequence[int], dtype: npt.DTypeLike, what: str) -> DeviceArray:
    """Return an array on the device, its contents left as they are; `what` it is for, in words."""
    size = _bytes(shape, dtype)
    array: DeviceArray = _tried(
        lambda: cuda.device_array(shape, dtype), lambda: _no_room(size, what)
    )
    asking = _asking.get()
    if asking is not None:
        asking.allocated += size
    return array


def pinned_array(shape: int | Sequence[int], dtype: npt.DTypeLike, what: str) -> np.ndarray:
    """Return an array of the host in memory that stays in its place, for copies to the device."""
    size = _size(_bytes(shape, dtype))
    array: np.ndarray = _tried(
        lambda: cuda.pinned_array(shape, dtype),
        lambda: f"The host has no {size} of memory to be pinned for {what}.",
    )
    return array


@contextlib.contextmanager
def lack_told(what: str) -> Iterator[None]:
    """Have a lack of memory for what is not an array, code or events say, told as one for arrays
    is: as a MemoryError."""
    try:
        yield
    except Exception as error:
        if not _lacking(error):
            raise
        raise MemoryError(
            f"The GPU has {_size(free_bytes())} free, which is not enough for {what}."
        ) from error


def free_bytes() -> float:
    """Return the bytes that are free on the device after all that was dropped has gone; infinite
    in the simulator."""
    context = cuda.current_context()
    # numba-cuda frees what was dropped later, many pieces at once. The simulator has no such thing.
    manager = getattr(context, "memory_manager", None)
    if manager is not None:
        manager.deallocations.clear()
    free: float = context.get_memory_info()[0]
    return free


def to_device(array: np.ndarray, what: str) -> DeviceArray:
    """Return a copy of an array on the device; at least one number, which nothing reads."""
    if array.size == 0:
        array = np.zeros(1, array.dtype)
    copy = device_array(array.shape, array.dtype, what)
    upload(array, copy)
    return copy


def upload(array: np.ndarray, to: DeviceArray) -> None:
    """Copy an array to the device; it is there when this returns, for all streams."""
    to.copy_to_device(array)
    if not SIMULATED:
        # The driver returns as soon as it has read the array, which may be before it has written.
        cuda.default_stream().synchronize()


def _bytes(shape: int | Sequence[int], dtype: npt.DTypeLike) -> int:
    numbers = shape if isinstance(shape, int) else prod(shape)
    return int(numbers) * np.dtype(dtype).itemsize


def _tried(make: Callable[[], Array], sentence: Callable[[], str]) -> Array:
    for _ in range(2):
        try:
            return make()
        except Exception as error:
            if not _lacking(error):
                raise
        gc.collect()  # programs that were dropped, but hold each other
    raise MemoryError(sentence())


def _lacking(error: Exception) -> bool:
    """Say whether it is the driver's own error, of a class that differs from one package to the
    next, that there is not enough memory."""
    return "OUT_OF_MEMORY" in str(error)


def _no_room(size: int, what: str) -> str:
    free = free_bytes()
    asking = _asking.get()
    if asking is None:
        return f"The GPU has {_size(free)} free, but {_size(size)} are needed for {what}."
    free += asking.allocated  # which goes, now that all of it is not to be had
    fit = bisect.bisect_right(range(1, asking.images), free, key=asking.extent)
    advice = f"a batch of {fit} would fit" if fit else "not even one image would fit"
    needed = max(asking.extent(asking.images), asking.allocated + size)
    return (
        f"The GPU has {_size(free)} free, but a batch of {asking.images} needs {_size(needed)}, "
        f"{_size(size)} of them for {what}: {advice}."
    )


def _size(size: float) -> str:
    return f"{size / 2**30:.2f} GiB" if size >= 2**30 else f"{size / 2**20:.2f} MiB"
