"""Numba, imported when something is compiled.

    from fastcnn.kernels.lazy_numba import cgutils, register_jitable, types

A process that finds its kernels in the cache needs nothing of Numba, whose import takes longer
than all else that the process does before its first step.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

from fastcnn.kernels.compile_lock import compile_lock


class LazyModule:
    """Stands for a module that needs Numba; it is imported when one of its names is used."""

    def __init__(self, name: str):
        self._name = name

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(f"{self._name} is not asked for {name}")
        import_numba()
        value = getattr(import_module(self._name), name)
        setattr(self, name, value)
        return value


__all__ = ["LazyModule", "cgutils", "import_numba", "numba", "register_jitable", "types"]

if TYPE_CHECKING:
    import numba
    from numba.core import cgutils, types
else:
    numba = LazyModule("numba")
    cgutils, types = LazyModule("numba.core.cgutils"), LazyModule("numba.core.types")

_jitables: list[tuple[Callable, dict[str, Any]]] = []


def register_jitable(function: Callable | None = None, **options: Any) -> Any:
    """Let compiled code call a function that Python calls as well, as Numba's own decorator of this
    name does, without Numba's import."""
    if function is None:
        return lambda function: register_jitable(function, **options)
    _jitables.append((function, options))
    if import_numba.cache_info().currsize:
        _register_jitables()
    return function


@cache
def import_numba() -> None:
    """Import Numba, and let it know what `register_jitable` was told."""
    with compile_lock:
        from numba.core.registry import cpu_target

        # Numba makes it under a lock of its own when it is first asked for; were a thread's fork to
        # meet another thread there, the child would wait for ever.
        _ = cpu_target.target_context
        _register_jitables()


def _register_jitables() -> None:
    from numba import extending

    with compile_lock:
        while _jitables:
            function, options = _jitables.pop(0)
            decorate: Any = extending.register_jitable
            decorate(**options)(function) if options else decorate(function)


def make_symbols_known() -> None:
    """Have LLVM know the functions of Numba's own that machine code may call."""
    import_numba()
    from numba.core.registry import cpu_target

    cpu_target.target_context.codegen()
