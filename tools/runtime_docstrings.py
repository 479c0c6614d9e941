"""An extension of griffe, by which the API reference says what `help` says.

griffe reads sources. Docstrings that `described_by` completes, functions that `variant` makes and
an `__all__` that is computed are there in a running program only.
"""

from __future__ import annotations

import inspect
from typing import Any

import griffe


class RuntimeDocstrings(griffe.Extension):
    """Takes docstrings that decorators complete, and functions that calls make, as they run."""

    def on_class(self, *, cls: griffe.Class, **kwargs: Any) -> None:
        complete(cls)

    def on_function(self, *, func: griffe.Function, **kwargs: Any) -> None:
        complete(func)

    def on_module_members(self, *, mod: griffe.Module, **kwargs: Any) -> None:
        if " for " in value_of(mod.members.get("__all__")):
            mod.exports = list(griffe.dynamic_import(mod.path).__all__)
        for name, member in list(mod.members.items()):
            if value_of(member).startswith("variant("):
                mod.set_member(name, function_of(name, griffe.dynamic_import(member.path)))


def value_of(member: griffe.Object | griffe.Alias | None) -> str:
    """Return what is assigned to a name, as it is written; "" for other members."""
    return str(member.value) if isinstance(member, griffe.Attribute) else ""


def complete(member: griffe.Class | griffe.Function) -> None:
    """Exchange a docstring that a decorator completes for the one that it has when it runs."""
    completed = any(
        str(decorator.value).startswith(("documented", "described_by"))
        for decorator in member.decorators
    )
    if completed and member.docstring is not None:
        docstring = inspect.getdoc(griffe.dynamic_import(member.path))
        if docstring is not None:
            member.docstring.value = docstring


def function_of(name: str, function: Any) -> griffe.Function:
    """Return griffe's picture of a function that no `def` has written."""
    parameters = [
        griffe.Parameter(
            parameter.name,
            kind=griffe.ParameterKind(str(parameter.kind.description)),
            annotation=parameter.annotation,
            default=None if parameter.default is parameter.empty else repr(parameter.default),
        )
        for parameter in inspect.signature(function).parameters.values()
    ]
    described = griffe.Function(name, parameters=griffe.Parameters(*parameters))
    text = inspect.getdoc(function) or ""
    described.docstring = griffe.Docstring(text, parent=described, parser="google")
    return described
