"""What is exported says what it takes: its docstring's Args name exactly its parameters."""

from __future__ import annotations

import importlib
import inspect
import re

import pytest

MODULES = (
    "fastcnn",
    "fastcnn.applications",
    "fastcnn.callbacks",
    "fastcnn.data",
    "fastcnn.functional",
    "fastcnn.initializers",
    "fastcnn.layers",
    "fastcnn.losses",
    "fastcnn.metrics",
    "fastcnn.optimizers",
    "fastcnn.regularizers",
    "fastcnn.schedules",
)
# What a layer's `**unknown` receives is refused.
REFUSED = "unknown"


def exported(module):
    """The module's public classes and functions by name."""
    contents = importlib.import_module(module)
    own = [
        name
        for name, member in vars(contents).items()
        if not name.startswith("_") and getattr(member, "__module__", "") == module
    ]
    names = getattr(contents, "__all__", own)
    members = {name: getattr(contents, name) for name in names}
    return {
        name: member
        for name, member in members.items()
        if inspect.isclass(member) or inspect.isfunction(member)
    }


EXPORTED = {
    f"{module}.{name}": member for module in MODULES for name, member in exported(module).items()
}


def is_abstract(member):
    """Whether nobody calls it with arguments of its own: a protocol, or a warning."""
    return getattr(member, "_is_protocol", False) or (
        inspect.isclass(member) and issubclass(member, Warning)
    )


def documented(docstring):
    """The names in the Args of a Google-style docstring, without the stars."""
    section = re.search(r"^Args:\n((?: {4}.*\n?|\n)*)", inspect.cleandoc(docstring), re.MULTILINE)
    return re.findall(r"^ {4}\*{0,2}(\w+):", section[1], re.MULTILINE) if section else []


def test_names_are_read_from_a_docstring():
    text = """Sum.

    Args:
        a: A number: any.
            more: of it.
        *rest: Others.

    Returns:
        total: It.
    """
    assert documented(text) == ["a", "rest"]


@pytest.mark.parametrize("name", EXPORTED)
def test_args_name_exactly_the_parameters(name):
    member = EXPORTED[name]
    assert vars(member).get("__doc__") if inspect.isclass(member) else member.__doc__, name
    signature = {} if is_abstract(member) else inspect.signature(member).parameters
    expected = [parameter for parameter in signature if parameter != REFUSED]
    assert [arg for arg in documented(member.__doc__) if arg != REFUSED] == expected
