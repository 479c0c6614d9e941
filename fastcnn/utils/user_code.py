"""Calls of a user's own functions: what they lack, raise or return wrongly is told in words."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from inspect import Parameter, getattr_static, signature
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


def check_methods(label: str, cls: type, base: type, needed: Mapping[str, str]) -> None:
    """TypeError where a class lacks methods.

    Args:
        label: The object, for the error.
        cls: Its class.
        base: fastcnn's class, whose methods of these names say no more than what they are.
        needed: By name, the method's signature and what it returns, for the error.
    """
    for name, described in needed.items():
        method = getattr(cls, name, None)
        if not callable(method) or method is getattr(base, name, None):
            raise TypeError(f"{label}: its class must define {described}.")


def check_takes(
    label: str, name: str, method: Callable[..., object], *names: str, optional: Sequence[str] = ()
) -> None:
    """TypeError where a method does not take arguments of these names' number, by position, beside
    `optional` ones that it may have by name."""
    if not callable(method):
        raise TypeError(f"{label}: {name} must be a function. Received {method!r}.")
    try:
        signature(method).bind(*names, **{n: None for n in optional if takes(method, n)})
    except TypeError:
        raise TypeError(
            f"{label}: {name} must take ({', '.join(names)}). It is {name}{signature(method)}."
        ) from None
    except ValueError:  # a function that does not tell its signature
        return


def arguments_of(cls: type) -> tuple[str, ...]:
    """Return the names of a constructor's own arguments."""
    parameters = list(signature(cls.__init__).parameters.values())[1:]  # type: ignore[misc]
    plain = (Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY)
    return tuple(parameter.name for parameter in parameters if parameter.kind in plain)


def check_kept(label: str, owner: object, settings: Sequence[str]) -> None:
    """TypeError where a constructor does not keep an argument under its name."""
    for name in settings:
        if not hasattr(owner, name):
            raise TypeError(
                f"{label}: its __init__ must keep the argument {name} as self.{name}, so that it "
                "can be saved and copied."
            )


def takes(method: Callable[..., object], argument: str) -> bool:
    """Say whether a method has an argument of a name."""
    parameter = signature(method).parameters.get(argument)
    return parameter is not None and parameter.kind is not Parameter.VAR_KEYWORD


def compiled(cls: type, name: str) -> Any:
    """Return the function that Numba compiles as a class's method, or None where it is Python's."""
    attribute = getattr_static(cls, name, None)
    function = getattr(attribute, "__func__", attribute)
    return function if hasattr(function, "py_func") and hasattr(function, "overloads") else None


@lru_cache(256)
def bounds_checked(function: Any) -> Any:
    """Return a Numba function as one that raises IndexError where an index is outside."""
    import numba  # which few programs need here

    return numba.njit(boundscheck=True)(function.py_func)


@contextmanager
def named(label: str, name: str) -> Iterator[None]:
    """Say in what is raised within whose method raised it."""
    try:
        yield
    except Exception as error:
        error.add_note(f"Raised by {name} of {label}, a user's own code.")
        raise


def returned(label: str, name: str, value: object, shape: Sequence[int]) -> NDArray[Any]:
    """Return a method's result as an array; TypeError where it holds no real numbers, ValueError
    where it has another shape."""
    expected = f"{label}: {name} must return numbers of shape {tuple(shape)}"
    try:
        array = np.asarray(value)
    except ValueError:
        array = np.asarray(None)
    if array.dtype.kind not in "fiub":
        what = "None" if value is None else f"{type(value).__name__} of {array.dtype}"
        raise TypeError(f"{expected}. Received {what}.")
    if array.shape != tuple(shape):
        raise ValueError(f"{expected}. Received shape {array.shape}.")
    return array


def check_finite(label: str, name: str, value: NDArray[Any], *operands: NDArray[Any]) -> None:
    """FloatingPointError where a result is not finite though all that a method was given is."""
    if _finite(value) or not all(map(_finite, operands)):
        return
    place = tuple(int(n) for n in np.argwhere(~np.isfinite(value))[0])
    raise FloatingPointError(
        f"{label}: {name} was given finite numbers and returned {value[place]} at {place}, the "
        "first of them of the batch. The weights are as before the step."
    )


def _finite(array: NDArray[Any]) -> bool:
    # A sum is NaN or infinite where a number is, and rarely otherwise.
    return math.isfinite(array.sum(dtype=np.float64)) or bool(np.isfinite(array).all())
