"""Objects that take no public attribute beyond those that their constructor sets."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from fastcnn.utils import naming


class FixedAttributes:
    """An object to which no public attribute can be added once it is constructed, since a misspelt
    name would have no effect. Private names are free."""

    # No part of vars(), which some configurations are made of.
    __slots__ = ("__dict__", "__weakref__", "_closed")

    def __init__(self) -> None:
        super().__init__()
        if type(self).__init__ is FixedAttributes.__init__:
            self._closed = True

    def __init_subclass__(cls, **options: object) -> None:
        super().__init_subclass__(**options)
        if "__init__" in vars(cls):
            cls.__init__ = _closing(vars(cls)["__init__"])  # type: ignore[method-assign]

    def __setattr__(self, name: str, value: object) -> None:
        if name.startswith("_") or not self._is_closed or self._has(name):
            object.__setattr__(self, name, value)
            return
        attributes = [attribute for attribute in vars(self) if not attribute.startswith("_")]
        raise AttributeError(f"{self._label}: {naming.unknown('attribute', name, attributes)}")

    @property
    def _is_closed(self) -> bool:
        """Whether it is constructed."""
        return bool(getattr(self, "_closed", False))

    def _has(self, name: str) -> bool:
        return name in vars(self) or hasattr(type(self), name)

    @contextmanager
    def _opened(self) -> Iterator[None]:
        """Let any attribute be set meanwhile, as in the constructor."""
        before, self._closed = self._is_closed, False
        try:
            yield
        finally:
            self._closed = before

    def _check_names(self, named: Mapping[str, object]) -> None:
        """Raise TypeError where a constructor's argument has a name that it does not know."""

    def _check_constructed(self) -> None:
        """Raise TypeError where a user's own constructor left something out."""

    @property
    def _label(self) -> str:
        return str(getattr(self, "label", type(self).__name__))


def _closing(construct: Callable[..., None]) -> Callable[..., None]:
    """Return a constructor which, where it is the object's own, ends the time when anything may be
    set."""

    @functools.wraps(construct)
    def constructor(self: FixedAttributes, *args: object, **named: object) -> None:
        if type(self).__init__ is constructor:
            self._check_names(named)
        construct(self, *args, **named)
        if type(self).__init__ is constructor:
            self._check_constructed()
            self._closed = True

    return constructor
