"""Completes the docstring of a network's function with what is said of every network."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import TypeVar

Function = TypeVar("Function", bound=Callable[..., object])

FIRST_ARGS = {
    "input_shape": "    input_shape: One image's, (height, width, channels).",
    "classes": "    classes: The number of classes.",
}
OPTIONS = (
    "    **options: Of all networks: `weights`, `include_top`, `pooling`, `rescale`, `seed`, ..."
)
RAISES = """\
    ValueError: Images of that shape are too small, or an argument is out of its range.
    TypeError: An option is unknown or an argument of a wrong type."""
SECTIONS = {"Args": "", "Returns": "    The network, not compiled.", "Raises": RAISES}
SECTION = re.compile(r"^(Args|Returns|Raises|References):\n", re.MULTILINE)


def documented(function: Function) -> Function:
    """Complete a function's docstring, in which only what is its own needs to stand.

    The arguments that every network has are added where its Args do not describe them, and
    sections that it lacks.

    Args:
        function: One that builds a network.

    Returns:
        The same function.
    """
    function.__doc__ = completed(function.__doc__)
    return function


def completed(docstring: str | None) -> str | None:
    """Return a docstring with the arguments and sections that every network has.

    Args:
        docstring: In Google style; None, as with python -OO, stays None.
    """
    if docstring is None:
        return None
    head, *parts = SECTION.split(inspect.cleandoc(docstring))
    own = {name: body.rstrip() for name, body in zip(parts[::2], parts[1::2], strict=True)}
    sections = {**SECTIONS, **own}
    args = {**FIRST_ARGS, **_entries(sections["Args"])}
    args.setdefault("options", OPTIONS)
    sections["Args"] = "\n".join(args.values())
    return "\n\n".join([head.rstrip(), *(f"{name}:\n{body}" for name, body in sections.items())])


def _entries(args: str) -> dict[str, str]:
    """Return the entries of an Args section by the names of the arguments."""
    starts = re.split(r"^(?= {4}\**(\w+):)", args, flags=re.MULTILINE)
    return {name: entry.rstrip() for name, entry in zip(starts[1::2], starts[2::2], strict=True)}
