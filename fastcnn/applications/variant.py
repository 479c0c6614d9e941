"""The networks of a family: the same function with another name and design."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Concatenate, ParamSpec, TypeVar

from fastcnn.models.sequential import Sequential

Arguments = ParamSpec("Arguments")
Design = TypeVar("Design")


def variant(
    family: Callable[Concatenate[str, Design, Arguments], Sequential],
    name: str,
    design: Design,
    summary: str,
) -> Callable[Arguments, Sequential]:
    """Return the function that builds one network of a family.

    It has the family's arguments but for the first two, and its docstring but for the summary:
    `help`, `inspect.signature`, type checkers and `pickle` see a function like any other.

    Args:
        family: What builds each of them of its name, its design and what a user passes.
        name: The network's, which it is assigned to in the family's module.
        design: What sets it apart from the others, such as the blocks of each stage.
        summary: Begins its docstring.
    """
    signature = inspect.signature(family)
    parameters = list(signature.parameters.values())
    own = signature.replace(parameters=parameters[2:])

    @functools.wraps(family)
    def build(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Sequential:
        try:
            own.bind(*args, **kwargs)
        except TypeError as error:
            raise TypeError(f"{name}(): {error}") from None
        return family(name, design, *args, **kwargs)

    build.__name__ = build.__qualname__ = name
    build.__doc__ = _with_summary(family.__doc__, summary)
    build.__annotations__ = {
        key: annotation
        for key, annotation in family.__annotations__.items()
        if key not in signature.parameters or key in own.parameters
    }
    build.__signature__ = own  # type: ignore[attr-defined]
    return build


def _with_summary(docstring: str | None, summary: str) -> str | None:
    """Return a docstring with another first paragraph."""
    return None if docstring is None else "\n\n".join([summary, *docstring.split("\n\n")[1:]])
