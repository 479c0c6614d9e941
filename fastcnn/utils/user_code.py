"""Calls of a user's own functions: what they lack, raise or return wrongly is told in words."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from inspect import Parameter, getattr_static, signature
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Method = TypeVar("Method")


@dataclass(frozen=True)
class Needed:
    """A method that a class of the user's own must define."""

    base: type  # fastcnn's class that declares it
    function: Callable[..., Any]
    described: str
    unless: str  # a method that may stand in its place, or ""


def needed(described: str, unless: str = "") -> Callable[[Method], Method]:
    """Declare a method that derived classes define: who lacks it is told when it is constructed.

    Args:
        described: What it does, as it ends the sentence "its class must define method(...), ".
        unless: A method that may be overridden instead.

    Returns:
        The decorator.
    """

    def declared(method: Method) -> Method:
        function: Any = getattr(method, "__func__", method)
        function.__needed__ = described, unless
        return method

    return declared


def needed_methods(cls: type) -> dict[str, Needed]:
    """Return what a class by itself declares by `needed`."""
    functions = {name: getattr(item, "__func__", item) for name, item in vars(cls).items()}
    return {
        name: Needed(cls, function, *function.__needed__)
        for name, function in functions.items()
        if hasattr(function, "__needed__")
    }


def check_methods(label: str, owner: object, methods: Mapping[str, Needed]) -> None:
    """TypeError where an object's class lacks a method, or where one takes other arguments.

    Args:
        label: The object, for the error.
        owner: The object.
        methods: What it must have, by name.
    """
    cls = type(owner)
    for name, method in methods.items():
        own = getattr_static(cls, name, None)
        own = getattr(own, "__func__", own)
        if own is None or hasattr(own, "__needed__"):
            other = getattr_static(method.base, method.unless, None)
            if other is not None and getattr_static(cls, method.unless) is not other:
                continue
            raise TypeError(
                f"{label}: its class must define {name}{_names_of(method.function)}, "
                f"{method.described}. See help({public_name(method.base)})."
            )
        parameters = [p for p in signature(method.function).parameters.values() if p.name != "self"]
        if all(p.kind is p.POSITIONAL_OR_KEYWORD for p in parameters):
            taken = compiled(cls, name)
            taken = taken.py_func if taken is not None else getattr(owner, name)
            check_takes(label, name, taken, *(p.name for p in parameters))


def _names_of(function: Callable[..., Any]) -> str:
    """Return a function's arguments, as in "(self, x, *weights)"."""
    stars: dict[object, str] = {Parameter.VAR_POSITIONAL: "*", Parameter.VAR_KEYWORD: "**"}
    parameters = signature(function).parameters.values()
    return f"({', '.join(stars.get(p.kind, '') + p.name for p in parameters)})"


def is_ours(cls: type) -> bool:
    """Say whether a class is fastcnn's."""
    return cls.__module__.startswith("fastcnn.")


def public_name(cls: type) -> str:
    """Return the shortest name by which a class of fastcnn's is imported."""
    parts = cls.__module__.split(".")
    packages = (".".join(parts[:length]) for length in range(1, len(parts) + 1))
    name = cls.__name__
    return next(
        f"{package}.{name}"
        for package in packages
        if getattr(sys.modules[package], name, None) is cls
    )


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


def check_compiled(label: str, cls: type, methods: Iterable[str], other: str) -> None:
    """TypeError where Numba does not compile a class's methods; `other` is what takes Python's."""
    for name in methods:
        if compiled(cls, name) is None:
            raise TypeError(
                f"{label}: {name} must be a Numba function, decorated with @numba.njit and without "
                f"self. Derive from {other} where it is Python's."
            )


@lru_cache(256)
def bounds_checked(function: Any) -> Any:
    """Return a Numba function as one that raises IndexError where an index is outside."""
    import numba  # which few programs need here

    return numba.njit(boundscheck=True, error_model="numpy")(function.py_func)


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
