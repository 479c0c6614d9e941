"""Functions that write LLVM's instructions into kernels."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property, update_wrapper
from typing import Any, NoReturn

from fastcnn.kernels.lazy_numba import LazyModule

extending, registry = LazyModule("numba.extending"), LazyModule("numba.core.registry")


class _Intrinsic:
    """An intrinsic that Numba meets first when a kernel that calls it is compiled."""

    def __init__(self, definition: Callable):
        self._definition = definition
        update_wrapper(self, definition)

    def __call__(self, *args: Any, **named: Any) -> NoReturn:
        raise TypeError(
            f"{self._definition.__name__} is a part of kernels: compiled code alone calls it."
        )

    @cached_property
    def _numba_type_(self) -> Any:
        """What Numba takes this object for: its own."""
        self._own = extending.intrinsic(self._definition)  # which the type does not keep alive
        typing = registry.cpu_target.typing_context
        typing.refresh()
        return typing.resolve_value_type(self._own)


def intrinsic(definition: Callable) -> Callable:
    """Make a function of types, which returns a signature and what emits the instructions, one that
    kernels call, as Numba's own decorator of this name does, without Numba's import."""
    return _Intrinsic(definition)
