"""The functions that kernels are made of."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property, update_wrapper
from typing import Any, NoReturn

import numba
from numba import types
from numba.core.registry import cpu_target

from fastcnn.kernels.cpu.runtime.compilers import PartCompiler

# What a function needs whom Python calls, or ctypes, and what counts references to objects: a
# kernel's functions have neither such callers nor objects, and compile in two thirds of the time.
_WITHOUT: dict[str, Any] = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True, "_nrt": False}

# Numba makes it under a lock of its own when it is first asked for; were a thread's fork to meet
# another thread there, the child would wait for ever.
_ = cpu_target.target_context


class _KernelFunction:
    """A function that Numba meets first when a kernel that calls it is compiled.

    Numba's own object for a function takes 0.3 ms to make, and a process that finds its kernels in
    the cache has no use for it.
    """

    def __init__(self, body: Callable):
        self._body = body
        update_wrapper(self, body)

    def __call__(self, *args: Any, **named: Any) -> NoReturn:
        # Numba would give the machine code to calls from Python, which would run into nothing.
        raise TypeError(
            f"{self._body.__name__} is a part of kernels: compiled code alone calls it."
        )

    @cached_property
    def _dispatcher(self) -> Any:
        # Numba declares neither these options nor what is set here.
        options: dict[str, Any] = {"error_model": "numpy", "pipeline_class": PartCompiler}
        function: Any = numba.njit(**options, **_WITHOUT)(self._body)

        def note(result: Any) -> None:
            # Numba knows a compiled function by its entry point; a part has a name in its place.
            named = result._replace(entry_point=object())
            context = result.target_context
            context.insert_user_function(named.entry_point, named.fndesc, [named.library])
            function.overloads[tuple(result.signature.args)] = named

        function.add_overload = note
        return function

    @property
    def _numba_type_(self) -> types.Type:
        """What Numba takes this object for: its own, which the type does not keep alive."""
        return types.Dispatcher(self._dispatcher)


def kernel_function(body: Callable) -> Callable:
    """Let kernels call a function, which is compiled as a part of each; Python cannot call it."""
    return _KernelFunction(body)
