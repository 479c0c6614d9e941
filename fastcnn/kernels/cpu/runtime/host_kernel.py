"""Host kernels: kernels whose code is Python, to call a library such as NumPy's BLAS or its FFT.

The executor calls one through its address like any other kernel, on any of its threads. The call
acquires the GIL, which NumPy releases while it computes. What a host kernel raises ends the
run: the executor takes no further item, and the exception comes out of the run. So does what a
signal handler raises before a call has begun, as the one for Ctrl-C.
"""

from __future__ import annotations

import ctypes
import sys
from collections import namedtuple
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import numpy as np

from fastcnn.kernels.cpu.runtime import blas_threads
from fastcnn.kernels.cpu.runtime.code import register
from fastcnn.kernels.cpu.runtime.kernel import Kernel

_Code = ctypes.CFUNCTYPE(None, ctypes.c_size_t)

# Not zero after a host kernel has raised: the executor then skips what is left of the run, and sets
# it back when the next one begins.
stop = np.zeros(1, np.int64)
_raised: list[BaseException] = []


# All of memory as one buffer, in which an address is an offset: the cheapest way to an array. It
# begins at 1, since NumPy takes a buffer at 0 for none.
_memory: Any = (ctypes.c_char * (sys.maxsize - 1)).from_address(1)


class Record(Protocol):
    """A kernel's record as its body sees it: whole numbers by the names of its fields."""

    def __getattr__(self, field: str) -> int: ...


def view(
    address: int,
    shape: tuple[int, ...],
    dtype: type = np.float32,
    strides: tuple[int, ...] | None = None,
) -> np.ndarray:
    """Return the array at an address; strides are in bytes, by default those of a packed array."""
    return np.ndarray(shape, dtype, _memory, address - 1, strides)


class HostKernel(Kernel):
    """A kernel whose body takes the record as a named tuple of whole numbers."""

    def __init__(self, body: Callable[[Record], None], dtype: np.dtype):
        super().__init__(body, dtype, fastmath=False)
        self._record: Callable[..., Record] = namedtuple("Record", self.fields)  # type: ignore
        self._code = _Code(self._call)  # tables hold its address alone, so it must stay
        self.address = ctypes.cast(self._code, ctypes.c_void_p).value or 0
        self._loaded = True  # there is nothing to compile

    def _call(self, address: int) -> None:
        if stop[0]:
            return
        try:
            words = view(address, (len(self.fields),), np.int64)
            # Numbers that are not finite are the engine's to notice, after the step.
            with np.errstate(all="ignore"):
                self._body(self._record(*words.tolist()))
        except BaseException as error:
            stop[0] = 1
            _raised.append(error)


def host_kernel(dtype: np.dtype) -> Callable[[Callable[[Record], None]], HostKernel]:
    """Make a Python function of one record a kernel, known by its name."""

    def decorate(body: Callable[[Record], None]) -> HostKernel:
        return register(HostKernel(body, dtype))

    return decorate


@contextmanager
def run(compiled: str = "") -> Iterator[None]:
    """Surround one run that calls host kernels, of which one goes at a time; afterwards raise what
    one of them raised.

    A library gets one thread a call: the executor's threads are there to be shared already.

    Args:
        compiled: The names of layers with functions of a user's own that Numba compiled, which may
            raise, too.
    """
    hook = sys.unraisablehook

    def take(unraisable: sys.UnraisableHookArgs) -> None:
        if not (_took(unraisable) or (compiled and _took_compiled(unraisable, compiled))):
            hook(unraisable)

    try:
        sys.unraisablehook = take
        with blas_threads.limited(1):
            yield
        if _raised:
            raise _raised[0]
    finally:
        if sys.unraisablehook is take:
            sys.unraisablehook = hook
        _raised.clear()


def _took(unraisable: sys.UnraisableHookArgs) -> bool:
    """End the run for what was raised in a call's first or last moment; say whether it was.

    Python looks for signals as a function begins, where no handler of exceptions is in place yet.
    """
    trace, error = unraisable.exc_traceback, unraisable.exc_value
    if trace is None or error is None or trace.tb_frame.f_code is not HostKernel._call.__code__:
        return False
    stop[0] = 1
    _raised.append(error)
    return True


def _took_compiled(unraisable: sys.UnraisableHookArgs, layers: str) -> bool:
    """End the run for what a user's compiled function raised; say whether it was that."""
    error, context = unraisable.exc_value, unraisable.object
    # Numba has its own context in the place of the function.
    if error is None or not isinstance(context, str) or "CPUContext" not in context:
        return False
    stop[0] = 1
    error.add_note(f"Raised by a function of a user's own that Numba compiled, of: {layers}.")
    _raised.append(error)
    return True


def share(record: Record, size: int) -> slice:
    """Return the part of `size` that a call has to do: all of it where it is not split."""
    if record.parts == 1:
        return slice(0, size)
    return slice(size * record.first // record.parts, size * (record.first + 1) // record.parts)


def finish(y: np.ndarray, op: Record, shape: tuple[int, ...]) -> None:
    """Scale and shift y by the record's scale and bias, seen in a shape, then apply its ReLU."""
    if op.scale:
        y *= view(op.scale, shape)
    if op.bias:
        y += view(op.bias, shape)
    if op.relu:
        np.maximum(y, np.float32(0), out=y)
