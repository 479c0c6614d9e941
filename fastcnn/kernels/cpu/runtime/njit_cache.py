"""Numba's functions with this package's cache in the place of Numba's own.

Numba's notices a change in a function's file, not one in a file it calls into; it fails at import
when it finds no writable place; it unpickles what it finds, whoever wrote it.
"""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
from numba.core import caching, serialize
from numba.core.compiler import CompileResult
from numba.core.runtime import rtsys

from fastcnn.kernels import code_cache, code_file, lazy_numba
from fastcnn.kernels.cpu.runtime.compile_cache import cache_directory, source_stamp

lazy_numba.import_numba()


class KernelCache(caching.FunctionCache):
    """A function's machine code on disk, in the place of Numba's own cache."""

    def __init__(self, function: Callable):
        self._py_func = function

    @property
    def cache_path(self) -> str:
        """The folder, "" where nothing is kept."""
        root = cache_directory()
        return "" if root is None else str(root / source_stamp("cpu"))

    def load_overload(self, signature: Any, target_context: Any) -> CompileResult | None:
        """Return what was compiled for a signature, or None."""
        # All that loaded code may refer to. Numba's own cache readies itself for compiling, and
        # imports all that it knows to compile: half a second.
        rtsys.initialize(target_context)
        code = self._read(signature, target_context.codegen())
        if code is None:
            return None
        try:
            # The file is this user's own, and whole: `code_file` has looked.
            return CompileResult._rebuild(target_context, *pickle.loads(code))  # noqa: S301
        except Exception as error:  # Numba's own affair, from one version to the next
            path = self._path(self._key(signature, target_context.codegen()))
            code_file.say_damaged(path, f"{type(error).__name__}: {error}")
            return None

    def save_overload(self, signature: Any, result: Any) -> None:
        """Write a function's file, where that is possible."""
        keepable = not result.library.has_dynamic_globals
        if not self.cache_path or not keepable or not all(loop.can_cache for loop in result.lifted):
            return
        key = self._key(signature, result.codegen)
        # Without a place to write, or on a full disk, it costs the time to compile, no more.
        try:
            code_cache.prepare(Path(self.cache_path))
            code_file.write(self._path(key), key, serialize.dumps(result._reduce()))
        except OSError as error:
            code_file.say_unkept(Path(self.cache_path), error)

    def enable(self) -> None:
        """Do nothing: FASTCNN_CACHE says whether there is a cache."""

    disable = flush = enable

    def _key(self, signature: Any, codegen: Any) -> str:
        """Return what the code is of, but for the sources, in the same words in every process."""
        name = f"{self._py_func.__module__}.{self._py_func.__qualname__}"
        return repr((name, *map(str, self._index_key(signature, codegen))))

    def _path(self, key: str) -> Path:
        name = self._py_func.__qualname__.replace("<", "").replace(">", "")
        end = hashlib.sha256(key.encode()).hexdigest()[:16]
        return Path(self.cache_path) / f"{name}-{end}{code_file.CPU_SUFFIX}"

    def _read(self, signature: Any, codegen: Any) -> bytes | None:
        if not self.cache_path:
            return None
        key = self._key(signature, codegen)
        file = code_file.read(self._path(key), key)
        return None if file is None else file.code


def cached_njit(**options: Any) -> Callable:
    """`numba.njit` with this cache; compiles at the first call, never at import."""

    def decorate(function: Callable) -> Callable:
        dispatcher = numba.njit(error_model="numpy", **options)(function)
        dispatcher._cache = KernelCache(function)
        return dispatcher

    return decorate
