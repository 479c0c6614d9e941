"""Where compiled kernels are kept between processes, and the decorators that use it.

Numba's own cache notices a change in a function's file, not one in a file it calls into, and it
fails at import when it finds no writable place. Here all of a device's kernels and of
`fastcnn/engines` are one stamp, and a directory that cannot be written only costs the compile time.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
from numba.core import caching

from fastcnn import machine
from fastcnn.kernels import store
from fastcnn.kernels.cpu import simd


def cache_directory() -> Path | None:
    """Return the directory of compiled kernels, or None where nothing is kept."""
    root = machine.cache_directory()
    return None if root is None else root / "kernels"


@functools.cache
def source_stamp(device: str = "cpu") -> str:
    """Return a digest of a device's kernels' sources and of what else machine code depends on."""
    rooms = ("kernels", f"kernels/{device}", "engines")
    return store.digest(rooms, numba.__version__, str(simd.LANES), str(simd.REGISTERS))


class _Locator(caching._CacheLocator):
    """Tells Numba to keep a function under `cache_directory()/<stamp>`."""

    def __init__(self, function: Callable, path: Path):
        self._name = f"{function.__module__}.{function.__qualname__}"
        self._path = path

    @classmethod
    def from_function(cls, function: Callable, source: str) -> _Locator | None:
        root = cache_directory()
        if root is None:
            return None
        path = root / source_stamp()
        locator = cls(function, path)
        try:
            store.prepare(path)
            locator.ensure_cache_path()
        except OSError:
            return None
        return locator

    def get_cache_path(self) -> str:
        return str(self._path)

    def get_source_stamp(self) -> str:
        return source_stamp()

    def get_disambiguator(self) -> str:
        return hashlib.sha256(self._name.encode()).hexdigest()[:8]


class _Implementation(caching.CompileResultCacheImpl):
    _locator_classes = (_Locator,)


class _KernelCache(caching.FunctionCache):
    """Numba's function cache at our place; a full disk costs the entry, not the program."""

    _impl_class = _Implementation

    def save_overload(self, signature: Any, result: Any) -> None:
        try:
            super().save_overload(signature, result)
        except OSError:
            self.disable()


def kernel_cache(function: Callable) -> caching._Cache:
    """Return the cache for a function: ours, or an empty one where no directory can be written."""
    try:
        return _KernelCache(function)
    except RuntimeError:
        return caching.NullCache()


def cached_njit(**options: Any) -> Callable:
    """`numba.njit` with this cache; compiles at the first call, never at import."""

    def decorate(function: Callable) -> Callable:
        dispatcher = numba.njit(error_model="numpy", **options)(function)
        dispatcher._cache = kernel_cache(function)
        return dispatcher

    return decorate
