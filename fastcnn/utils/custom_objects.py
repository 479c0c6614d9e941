"""Classes and functions of a user's own, by the names under which saved models hold them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar, overload

Object = TypeVar("Object", bound="type | Callable[..., Any]")

_registered: dict[str, Any] = {}
_collected: ContextVar[dict[str, Any] | None] = ContextVar("collected", default=None)
_passed: ContextVar[Mapping[str, Any] | None] = ContextVar("custom_objects", default=None)


@overload
def register_serializable(cls: Object, /) -> Object: ...


@overload
def register_serializable(*, name: str | None = None) -> Callable[[Object], Object]: ...


def register_serializable(cls: Any = None, /, *, name: str | None = None) -> Any:
    """Let saved models name a class or a function of your own: a decorator.

    A model with such a layer, loss, metric, schedule or augmentation is then saved, and loaded by
    whoever has run the decorated definition. Only the name is saved, no code.

    Args:
        cls: The class or function; None where `name` is passed.
        name: What files call it; None for its own name.

    Returns:
        The class or function itself, or the decorator.

    Raises:
        TypeError: It is neither a class nor a function.
        ValueError: Another module registered something under the name.
    """
    if cls is None:
        return lambda decorated: _register(decorated, name)
    return _register(cls, name)


def _register(item: Any, name: str | None) -> Any:
    if not callable(item) or not hasattr(item, "__name__"):
        raise TypeError(
            f"register_serializable: expected a class or a function with a name. Received {item!r}."
        )
    name = name or str(item.__name__)
    before = _registered.get(name)
    if before is not None and _place(before) != _place(item):
        raise ValueError(
            f"register_serializable: '{name}' is registered already, as {_place(before)}. Give "
            f"{_place(item)} another name: @fastcnn.register_serializable(name=...)."
        )
    _registered[name] = item
    return item


def _place(item: Any) -> str:
    """Return where an object is defined; one that is defined there anew takes its place."""
    return f"{item.__module__}.{item.__qualname__}"


def name_of(item: Any) -> str:
    """Return the name under which files hold a class or a function."""
    names = [name for name, other in _registered.items() if other is item]
    name = names[0] if names else str(item.__name__)
    collected = _collected.get()
    if collected is not None and not item.__module__.startswith("fastcnn."):
        collected[name] = item
    return name


@contextmanager
def collected() -> Iterator[dict[str, Any]]:
    """Collect the user's own classes and functions of which `name_of` is asked meanwhile."""
    objects: dict[str, Any] = {}
    token = _collected.set(objects)
    try:
        yield objects
    finally:
        _collected.reset(token)


@contextmanager
def passed(objects: Mapping[str, Any] | None) -> Iterator[None]:
    """Let names stand for these classes and functions meanwhile, before registered ones."""
    checked = {} if objects is None else objects
    if not isinstance(checked, Mapping) or not all(
        isinstance(name, str) and callable(item) for name, item in checked.items()
    ):
        raise TypeError(
            "custom_objects must be a dict from names to classes or functions, such as "
            f"{{'Swish': Swish}}. Received {objects!r}."
        )
    token = _passed.set(checked)
    try:
        yield
    finally:
        _passed.reset(token)


def find(name: str) -> Any:
    """Return the class or function of a name, or None."""
    return (_passed.get() or {}).get(name, _registered.get(name))


def function_of(kind: str, name: object) -> Callable[..., Any]:
    """Return a user's own function by its name; ValueError where none is passed or registered."""
    function = find(name) if isinstance(name, str) else None
    if function is None:
        article = "an" if kind[0] in "aeiou" else "a"
        raise ValueError(f"Unknown function '{name}' of {article} {kind}. {how_to_name(str(name))}")
    return function


def how_to_name(name: str) -> str:
    """Return the sentence that ends the error of a name that stands for nothing."""
    return (
        f"If '{name}' is your own, pass it, fastcnn.load(path, custom_objects={{'{name}': {name}}})"
        ", or decorate it with @fastcnn.register_serializable and import its module first."
    )
