"""Objects that take no public attribute beyond those that their constructor sets."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import ClassVar

from fastcnn.utils import naming, user_code


class FixedAttributes:
    """An object to which no public attribute can be added once it is constructed, since a misspelt
    name would have no effect. Private names are free."""

    # No part of vars(), which some configurations are made of.
    __slots__ = ("__dict__", "__weakref__", "_closed")

    _needed: ClassVar[Mapping[str, user_code.Needed]] = {}
    """The methods that a user's own class must define."""

    def __init__(self) -> None:
        super().__init__()
        if type(self).__init__ is FixedAttributes.__init__:
            self._check_constructed()
            self._closed = True

    def __init_subclass__(cls, **options: object) -> None:
        super().__init_subclass__(**options)
        cls._needed = {**cls._needed, **user_code.needed_methods(cls)}
        if "__init__" in vars(cls):
            construct = _closing(vars(cls)["__init__"], user_code.is_ours(cls))
            cls.__init__ = construct  # type: ignore[method-assign]

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

    def _check_names(self, named: Mapping[str, object]) -> None:
        """Raise TypeError where a constructor's argument has a name that it does not know."""

    def _check_constructed(self) -> None:
        """Raise TypeError where a user's own class or its constructor left something out."""
        if user_code.is_ours(type(self)):
            return
        base = next(cls for cls in type(self).__mro__ if user_code.is_ours(cls))
        constructs = base.__init__ is not FixedAttributes.__init__  # type: ignore[misc]
        if constructs and not hasattr(self, "_closed"):
            raise TypeError(
                f"{type(self).__name__}: its __init__ must call super().__init__, that of "
                f"{user_code.public_name(base)}, with what is to be set of its arguments."
            )
        user_code.check_methods(self._label, self, self._needed)

    @property
    def _label(self) -> str:
        return str(getattr(self, "label", type(self).__name__))


def _closing(construct: Callable[..., None], is_ours: bool) -> Callable[..., None]:
    """Return a constructor which, where it is the object's own, ends the time when anything may be
    set. One of fastcnn's notes that it was called."""

    @functools.wraps(construct)
    def constructor(self: FixedAttributes, *args: object, **named: object) -> None:
        if type(self).__init__ is constructor:
            self._check_names(named)
        if is_ours and not hasattr(self, "_closed"):
            self._closed = False
        construct(self, *args, **named)
        if type(self).__init__ is constructor:
            self._check_constructed()
            self._closed = True

    return constructor
