"""The functions that kernels are made of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba

# What a function needs whom Python calls, or ctypes, and what counts references to objects: a
# kernel's functions have neither such callers nor objects, and compile in two thirds of the time.
_WITHOUT: dict[str, Any] = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True, "_nrt": False}


def kernel_function(body: Callable) -> Callable:
    """Let kernels call a function, which is compiled as a part of each; Python cannot call it."""
    function: Callable = numba.njit(error_model="numpy", **_WITHOUT)(body)
    return function
