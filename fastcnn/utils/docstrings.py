"""Docstrings of functions or classes with the same parameters, which are described once."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import TypeVar

Member = TypeVar("Member", bound=Callable[..., object])

ORDER = ("Args", "Returns", "Raises", "Shape", "References")
SECTION = re.compile(rf"^({'|'.join(ORDER)}):\n", re.MULTILINE)
ENTRY = re.compile(r"^(?= {4}\**(\w+):)", re.MULTILINE)


def described_by(shared: str | None) -> Callable[[Member], Member]:
    """Return a decorator that completes a docstring by a shared one.

    In the docstring only what is its own needs to stand: what it takes beyond the others, and its
    references. Whoever asks for `help` sees all.

    Args:
        shared: A docstring in Google style; None, as with python -OO, adds nothing.
    """

    def decorate(member: Member) -> Member:
        if member.__doc__ is not None and shared is not None:
            member.__doc__ = completed(member.__doc__, shared, _parameters(member))
        return member

    return decorate


def completed(docstring: str, shared: str, parameters: Iterable[str]) -> str:
    """Return a docstring with the sections that only a shared one has, but for its references.

    Args:
        docstring: In Google style. What it has itself stays.
        shared: Likewise; entries of its Args that name none of the parameters are left out.
        parameters: The names of the parameters, in their order.
    """
    head, own = _sections(docstring)
    others, shared_args = _shared(shared)
    own_args = _entries(own.get("Args", ""))
    args = {**shared_args, **own_args}
    described = [args[name] for name in parameters if name in args]
    unknown = [entry for name, entry in own_args.items() if name not in set(parameters)]
    sections = {**others, "References": "", **own, "Args": "\n".join([*described, *unknown])}
    return "\n\n".join(
        [head, *(f"{name}:\n{sections[name]}" for name in ORDER if sections.get(name))]
    )


def _parameters(member: Callable[..., object]) -> list[str]:
    """Return the names of what a function or a class takes, in their order.

    `inspect.signature` does it in a hundred times as long, and every layer is described where
    `fastcnn.layers` is imported.
    """
    function = member.__init__ if isinstance(member, type) else member  # type: ignore[misc]
    code = inspect.unwrap(function).__code__
    named, alone = code.co_argcount, code.co_kwonlyargcount
    names = list(code.co_varnames[: named + alone])
    more = list(code.co_varnames[named + alone :])
    if code.co_flags & inspect.CO_VARARGS:
        names.insert(named, more.pop(0))
    if code.co_flags & inspect.CO_VARKEYWORDS:
        names.append(more.pop(0))
    return names[1:] if isinstance(member, type) else names


@lru_cache
def _shared(docstring: str) -> tuple[Mapping[str, str], Mapping[str, str]]:
    """Return the sections of a docstring, and the entries of its Args."""
    _, sections = _sections(docstring)
    return sections, _entries(sections.get("Args", ""))


def _sections(docstring: str) -> tuple[str, dict[str, str]]:
    """Return what stands before the sections of a docstring, and their texts by their names."""
    head, *parts = SECTION.split(inspect.cleandoc(docstring))
    texts = (text.rstrip() for text in parts[1::2])
    return head.rstrip(), dict(zip(parts[::2], texts, strict=True))


def _entries(args: str) -> dict[str, str]:
    """Return the entries of an Args section by the names of the arguments."""
    _, *parts = ENTRY.split(args)
    texts = (text.rstrip() for text in parts[1::2])
    return dict(zip(parts[::2], texts, strict=True))
