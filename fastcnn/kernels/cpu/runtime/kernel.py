"""Kernels behind addresses: a record of numbers in, no result.

A kernel is one compiled function `void(record *)`. Its record names every number it needs:
addresses of buffers first, then sizes. Because every kernel has the same signature, a network is a
table of (address, record), and running a network that was never seen before compiles nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from numba import types
from numba.core.ccallback import CFunc

from fastcnn.kernels.cpu.runtime.code import Code, codes, register
from fastcnn.kernels.cpu.runtime.compile_cache import KernelCache

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


class Kernel(Code):
    """A kernel's Python body, its record type and, once loaded, its machine code."""

    def __init__(
        self,
        body: Callable,
        dtype: np.dtype,
        fastmath: bool | set[str],
        requires: tuple[Code, ...] = (),
    ):
        self.name, self.module = body.__name__, body.__module__
        self.requires = requires
        self.dtype = dtype
        signature = types.void(types.CPointer(numba.from_dtype(dtype)))
        options = {"nopython": True, "error_model": "numpy", "fastmath": fastmath, "_nrt": False}
        # Numba declares neither what this class keeps nor that an address may be missing.
        self._compiled: Any = CFunc(body, (signature.args, signature.return_type), {}, options)
        self._body = body

    @property
    def fields(self) -> tuple[str, ...]:
        """The names of the record's fields."""
        return self.dtype.names or ()

    @property
    def loaded(self) -> bool:
        """Whether there is machine code in this process."""
        return self._compiled.address is not None

    @property
    def address(self) -> int:
        """The machine code's address, or 0 where it has not been loaded."""
        return int(self._compiled.address or 0)

    def in_cache(self) -> bool:
        """Say whether machine code for this CPU is on disk."""
        target = self._compiled._targetdescr.target_context
        return KernelCache(self._body).has(self._compiled._sig, target.codegen())

    def compile(self) -> None:
        """Load the machine code from disk, or compile it and write it there."""
        if not self.loaded:
            self._compiled._cache = KernelCache(self._body)
            self._compiled.compile()


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
