"""Kernels behind addresses: a record of numbers in, no result.

A kernel is one compiled function `void(record *)`. Its record names every number it needs:
addresses of buffers first, then sizes. Because every kernel has the same signature, a network is a
table of (address, record), and running a network that was never seen before compiles nothing.
"""

from __future__ import annotations

import ctypes
import hashlib
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from fastcnn.kernels.code_file import CodeFile
from fastcnn.kernels.cpu.runtime.code import Code, codes, register
from fastcnn.kernels.cpu.runtime.object_code import ObjectCode
from fastcnn.kernels.lazy_numba import LazyModule

if TYPE_CHECKING:
    from fastcnn.kernels.cpu.runtime import compilers
else:
    compilers = LazyModule("fastcnn.kernels.cpu.runtime.compilers")

# Every record begins with these, written by the executor before each call:
# images in this call (or in the batch), index of the first image (or of the part), chunks in use.
HEADER = ("count", "first", "chunks")


def record(*names: str) -> np.dtype:
    """Return the record type of a kernel: the header, then the given fields, all int64."""
    return np.dtype([(name, np.int64) for name in (*HEADER, *names)])


def own_fields(dtype: np.dtype) -> tuple[str, ...]:
    """Return the names of a record's fields behind the header."""
    return (dtype.names or ())[len(HEADER) :]


def as_record(dtype: np.dtype, values: dict[str, int | float]) -> np.ndarray:
    """Return one record with the given fields set and all others zero.

    Fractions travel as float32 bits in the low half of an int64. Raises KeyError for a field that
    the record does not have.
    """
    row = np.zeros(1, dtype)
    for name, value in values.items():
        if name not in (dtype.names or ()):
            fields = ", ".join(dtype.names or ())
            raise KeyError(f"The record has no field {name!r}; it has {fields}.")
        row[name] = np.float32(value).view(np.int32) if isinstance(value, float) else value
    return row


_Call = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


class Kernel(ObjectCode):
    """A kernel's Python body, its record type and, once loaded, the address of its machine code."""

    def __init__(
        self,
        body: Callable,
        dtype: np.dtype,
        fastmath: bool | set[str],
        requires: tuple[Code, ...] = (),
    ):
        options = str(fastmath if isinstance(fastmath, bool) else sorted(fastmath))
        code = hashlib.sha256(body.__code__.co_code).hexdigest()
        super().__init__(body.__name__, body.__module__, *(dtype.names or ()), options, code)
        self.requires = requires
        self.dtype = dtype
        self.address = 0
        """Where the machine code is, once it is loaded."""
        self._body, self._fastmath = body, fastmath

    @property
    def fields(self) -> tuple[str, ...]:
        """The names of the record's fields."""
        return self.dtype.names or ()

    @cached_property
    def call(self) -> Callable[[int], None]:
        """A function that calls the machine code with a record's address, without the GIL."""
        self.compile()
        return _Call(self.address)

    def _compiled(self) -> CodeFile:
        symbol, needs, code = compilers.kernel_code(self._body, self.dtype, self._fastmath)
        return CodeFile({"symbol": symbol, "needs": needs}, code)

    def _keep_addresses(self, address: Callable[[str], int], more: dict[str, Any]) -> None:
        self.address = address(more["symbol"])


def kernel(
    dtype: np.dtype, fastmath: bool | set[str] = False, requires: tuple[Code, ...] = ()
) -> Callable[[Callable], Kernel]:
    """Make a function of one record pointer a `Kernel`, known by its name."""

    def decorate(body: Callable) -> Kernel:
        return register(Kernel(body, dtype, fastmath, requires))

    return decorate


def all_kernels() -> list[Kernel]:
    """Return every kernel that has been imported."""
    return [code for code in codes().values() if isinstance(code, Kernel)]
