"""The functions that kernels are made of."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property, update_wrapper
from typing import TYPE_CHECKING, Any, NoReturn

from fastcnn.kernels.lazy_numba import LazyModule, types

if TYPE_CHECKING:
    from fastcnn.kernels.cpu.runtime import compilers
else:
    compilers = LazyModule("fastcnn.kernels.cpu.runtime.compilers")


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
        return compilers.part(self._body)

    @property
    def _numba_type_(self) -> types.Type:
        """What Numba takes this object for: its own, which the type does not keep alive."""
        return types.Dispatcher(self._dispatcher)


def kernel_function(body: Callable) -> Callable:
    """Let kernels call a function, which is compiled as a part of each; Python cannot call it."""
    return _KernelFunction(body)
