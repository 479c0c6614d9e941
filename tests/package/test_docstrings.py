"""What is exported, and all that reads data, says what it takes and raises.

Its docstring's Args name exactly its parameters.
"""

from __future__ import annotations

import ast
import builtins
import importlib
import inspect
import re
from pathlib import Path

import pytest

import fastcnn
from fastcnn.utils.docstrings import described_by

MODULES = (
    "fastcnn",
    "fastcnn.applications",
    "fastcnn.callbacks",
    "fastcnn.data",
    "fastcnn.devices",
    "fastcnn.functional",
    "fastcnn.initializers",
    "fastcnn.layers",
    "fastcnn.losses",
    "fastcnn.metrics",
    "fastcnn.optimizers",
    "fastcnn.plots",
    "fastcnn.regularizers",
    "fastcnn.schedules",
    "fastcnn.sklearn",
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


SHARED = """All nets.

    Args:
        shape: Pixels.
        classes: Their number.
        absent: Of others.
        **options: Any.

    Returns:
        A net.

    Raises:
        ValueError: Often.

    References:
        Somebody, 1998: Nets.
    """


def test_a_docstring_is_completed_by_a_shared_one():
    @described_by(SHARED)
    def net(shape, classes, depth, **options):
        """Net.

        Args:
            classes: Units:
                many.
            depth: Blocks.

        Raises:
            ValueError: Never.
        """

    assert net.__doc__.split("\n") == [
        *("Net.", ""),
        *("Args:", "    shape: Pixels.", "    classes: Units:", "        many."),
        *("    depth: Blocks.", "    **options: Any.", ""),
        *("Returns:", "    A net.", ""),
        *("Raises:", "    ValueError: Never."),
    ]


def test_what_a_docstring_says_of_no_parameter_stays_to_be_noticed():
    @described_by(SHARED)
    def net(shape):
        """Net.

        Args:
            size: Gone.
        """

    assert documented(net.__doc__) == ["shape", "size"]


def test_without_docstrings_there_is_nothing_to_complete():
    """As with python -OO."""

    def net(shape): ...

    assert described_by(SHARED)(net).__doc__ is None
    net.__doc__ = "Net."
    assert described_by(None)(net).__doc__ == "Net."


@pytest.mark.parametrize("name", EXPORTED)
def test_args_name_exactly_the_parameters(name):
    member = EXPORTED[name]
    assert vars(member).get("__doc__") if inspect.isclass(member) else member.__doc__, name
    signature = {} if is_abstract(member) else inspect.signature(member).parameters
    expected = [parameter for parameter in signature if parameter != REFUSED]
    assert [arg for arg in documented(member.__doc__) if arg != REFUSED] == expected


# What a user calls, or derives classes of: of these each method has a docstring with Args too.
BASES = (
    fastcnn.Sequential,
    fastcnn.callbacks.Callback,
    fastcnn.initializers.Initializer,
    fastcnn.layers.Layer,
    fastcnn.losses.Loss,
    fastcnn.metrics.Metric,
    fastcnn.optimizers.Optimizer,
    fastcnn.schedules.Schedule,
)
METHODS = {
    f"{base.__name__}.{name}": method
    for base in BASES
    for name, method in inspect.getmembers(base, inspect.isroutine)
    if not name.startswith("_")
}


@pytest.mark.parametrize("name", METHODS)
def test_args_of_methods_name_exactly_the_parameters(name):
    expected = [p for p in inspect.signature(METHODS[name]).parameters if p != "self"]
    assert documented(inspect.getdoc(METHODS[name])) == expected


RETURNING = [
    name
    for name, method in METHODS.items()
    if name.startswith("Sequential.")
    and inspect.signature(method).return_annotation not in ("None", None)
]
OF_BATCHES = ("fit", "evaluate", "predict", "train_on_batch", "test_on_batch")


def sections(docstring):
    """The names of the sections of a Google-style docstring."""
    return set(re.findall(r"^([A-Z]\w+):$", inspect.cleandoc(docstring), re.MULTILINE))


@pytest.mark.parametrize("name", RETURNING)
def test_a_method_of_a_model_says_what_it_returns(name):
    assert "Returns" in sections(inspect.getdoc(METHODS[name]))


@pytest.mark.parametrize("name", OF_BATCHES)
def test_methods_that_take_images_give_shapes_and_errors(name):
    documented_in = sections(inspect.getdoc(getattr(fastcnn.Sequential, name)))
    assert documented_in == {"Args", "Returns", "Raises", "Shape"}


PACKAGE = Path(fastcnn.__file__).parent
SOURCES = sorted([*(PACKAGE / "data").rglob("*.py"), PACKAGE / "devices.py"])


def functions(tree):
    """The public functions and methods of a module that have a docstring, as `Class.name`.

    A method without one is described where the class that it inherits from has it.
    """
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            for name, method in functions(node):
                yield f"{node.name}.{name}", method
        elif isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            yield from [(node.name, node)] if ast.get_docstring(node) else []


def parameters(function):
    """The names of a function's parameters, without `self`."""
    args = function.args
    extra = [argument for argument in (args.vararg, args.kwarg) if argument]
    listed = [*args.posonlyargs, *args.args, *args.kwonlyargs, *extra]
    return {argument.arg for argument in listed} - {"self", "cls"}


def raised(function):
    """The classes of errors that a function raises itself, by name."""
    inner = {
        node
        for n in ast.walk(function)
        if isinstance(n, ast.FunctionDef) and n != function
        for node in ast.walk(n)
    }
    return {
        node.exc.func.id
        for node in ast.walk(function)
        if isinstance(node, ast.Raise)
        and node not in inner
        and isinstance(node.exc, ast.Call)
        and isinstance(node.exc.func, ast.Name)
        and isinstance(getattr(builtins, node.exc.func.id, None), type)
    }


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_all_that_reads_data_says_what_it_takes_and_raises(path):
    missing = {}
    for name, function in functions(ast.parse(path.read_text(encoding="utf-8"))):
        text = ast.get_docstring(function)
        if parameters(function) != set(documented(text)):
            missing[name] = parameters(function) ^ set(documented(text))
        section = re.search(r"^Raises:\n((?: {4}.*\n?|\n)*)", text, re.MULTILINE)
        named = set(re.findall(r"^ {4}(\w+):", section[1], re.MULTILINE)) if section else set()
        if raised(function) - named:
            missing[f"{name} raises"] = raised(function) - named
    assert not missing


# Rooms whose functions users call. A network's function is described by what the network is.
IMPERATIVE = sorted(
    path
    for room in (
        *("callbacks", "data", "hdf5", "initializers", "layers", "losses", "metrics", "models"),
        *("optimizers", "plots", "saving"),
    )
    for path in (PACKAGE / room).rglob("*.py")
) + [PACKAGE / f"{room}.py" for room in ("devices", "functional", "regularizers", "schedules")]


@pytest.mark.parametrize("path", IMPERATIVE, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_docstring_begins_with_what_a_function_does(path):
    """In the imperative."""
    wrong = {
        name: first
        for name, function in functions(ast.parse(path.read_text(encoding="utf-8")))
        if not is_property(function)
        if not re.match(r"[A-Z][a-z]+\b", first := ast.get_docstring(function).split()[0])
        or first in NO_VERBS
        or first.endswith(("es", "ts", "ds", "ns"))
    }
    assert not wrong


NO_VERBS = {"The", "What", "Whether", "A", "An", "As", "All", "Some", "How", "Why", "One", "Damage"}


def is_property(function):
    names = {ast.unparse(decorator).split(".")[-1] for decorator in function.decorator_list}
    return bool(names & {"property", "cached_property", "setter"})
