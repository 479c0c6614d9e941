"""The functions that kernels are made of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

import numba

# What a function needs whom Python calls, or ctypes, and what counts references to objects: a
# kernel's functions have neither such callers nor objects, and compile in two thirds of the time.
_WITHOUT: dict[str, Any] = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True, "_nrt": False}


def kernel_function(body: Callable) -> Callable:
    """Let kernels call a function, which is compiled as a part of each; Python cannot call it."""
    # Numba declares neither these options nor what is set here.
    function: Any = numba.njit(error_model="numpy", **_WITHOUT)(body)

    def note(result: Any) -> None:
        function.overloads[tuple(result.signature.args)] = result

    def refuse(*args: Any, **named: Any) -> NoReturn:
        raise TypeError(f"{body.__name__} is a part of kernels: compiled code alone can call it.")

    # Numba would give the machine code to calls from Python, which would run into nothing.
    function.add_overload, function._compile_for_args = note, refuse
    result: Callable = function
    return result
