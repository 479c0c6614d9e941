"""Settings: objects whose public attributes are checked whenever they are set.

Machine code runs on addresses that were worked out from settings. So a setting either cannot
change, or its change is counted: who made something from settings compares `version` before each
use, which costs the comparison of two integers.
"""

from __future__ import annotations

import functools
import inspect
import itertools
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar, NoReturn, Self, TypeVar

from fastcnn.utils import naming, user_code
from fastcnn.utils.fixed_attributes import FixedAttributes

Result = TypeVar("Result")
Value = TypeVar("Value")

# Names of other libraries.
ALIASES = {"lr": "learning_rate"}

_counter = itertools.count(1)
_latest = 0
_own = threading.local()


def version() -> int:
    """Return a number that differs whenever any setting of any object may have changed."""
    return _latest


def changed() -> None:
    """Note that a setting has changed."""
    global _latest
    if not _is_uncounted():
        _latest = next(_counter)


@contextmanager
def uncounted() -> Iterator[None]:
    """Count no change that this thread makes meanwhile: for what is noted while a plan is made,
    which would otherwise be out of date at once and be made anew for ever."""
    before, _own.uncounted = _is_uncounted(), True
    try:
        yield
    finally:
        _own.uncounted = before


def _is_uncounted() -> bool:
    return getattr(_own, "uncounted", False)


class Settings(FixedAttributes):
    """An object with settings: the arguments of its constructor.

    Once it is constructed, setting one of them does what constructing it anew with that value does,
    checks included. Other public attributes cannot be set, and none can be added, since a misspelt
    name would have no effect; a user's own class may set those that its constructor added, and in
    the methods that `OPENED` names any. Private names are free.
    """

    OPENED: ClassVar[tuple[str, ...]] = ()

    __slots__ = ("_changes_made",)

    def __init_subclass__(cls, **options: object) -> None:
        super().__init_subclass__(**options)
        for name in cls.OPENED:
            if inspect.isfunction(method := vars(cls).get(name)):
                setattr(cls, name, _opening(method))

    def __setattr__(self, name: str, value: object) -> None:
        if name.startswith("_") or not self._is_closed:
            object.__setattr__(self, name, value)
            return
        self._set(name, value)
        changed()

    def __delattr__(self, name: str) -> None:
        if not name.startswith("_"):
            raise AttributeError(f"{self._label}: {name} cannot be deleted.")
        object.__delattr__(self, name)

    def _set(self, name: str, value: object) -> None:
        """Set a public attribute of a constructed object, or refuse it."""
        defined = getattr(type(self), name, None)
        if isinstance(defined, property) and defined.fset is not None:
            object.__setattr__(self, name, value)
            return
        if not self._has(name):
            raise AttributeError(f"{self._label}: {self._unknown(name)}")
        reason = self._why_fixed(name)
        if reason is not None:
            raise AttributeError(f"{self._label}: {name} cannot be set{reason}.")
        if name in self._arguments():
            self._remake(name, value)
        else:
            self._assign(**{name: value})

    def _why_fixed(self, name: str) -> str | None:
        """Return None where an attribute may be set; else what ends the sentence that it cannot."""
        ours = self._our_class()
        if name in self._arguments() or (ours is not type(self) and not hasattr(ours, name)):
            return None
        return ""

    def _unknown(self, name: str) -> str:
        public = [attribute for attribute in dir(type(self)) if not attribute.startswith("_")]
        settable = [
            attribute
            for attribute in public
            if getattr(getattr(type(self), attribute), "fset", None)
        ]
        public = [attribute for attribute in vars(self) if not attribute.startswith("_")]
        own = [attribute for attribute in public if self._why_fixed(attribute) is None]
        names = list(dict.fromkeys([*self._arguments(), *settable, *own]))
        if ALIASES.get(name) in names:
            return _unknown_name("attribute", name, names)
        derived = type(self) is not self._our_class()
        hint = " What a class adds must be set in its __init__ first." if derived else ""
        return _unknown_name("attribute", name, names) + hint

    @classmethod
    def _our_class(cls) -> type[Settings]:
        """Return the class of fastcnn's that a user's own class is derived from, or the class."""
        return next(base for base in cls.__mro__ if base.__module__.startswith("fastcnn."))

    @classmethod
    def _arguments(cls) -> tuple[str, ...]:
        """Return the names of the settings that may be set later."""
        return _parameters(cls._our_class().__mro__)

    def _remake(self, name: str, value: object) -> None:
        """Take over what an object has that is constructed with another value of a setting."""
        ours = self._our_class()
        other = ours(**{**self._constructor_arguments(), name: value})
        for gone in [
            attribute
            for attribute in vars(self)
            if attribute not in vars(other) and hasattr(ours, attribute)
        ]:
            del vars(self)[gone]  # that of the class counts again
        vars(self).update(vars(other))

    def _constructor_arguments(self) -> dict[str, Any]:
        """Return what an equal object is constructed with."""
        return {argument: getattr(self, argument) for argument in self._arguments()}

    def _assign(self, **values: object) -> None:
        """Set attributes that others cannot set."""
        for name, value in values.items():
            object.__setattr__(self, name, value)
        if not _is_uncounted():
            self._changes_made = self._changes + 1
            changed()

    def _check_names(self, named: Mapping[str, object]) -> None:
        if self._our_class() is not type(self):
            return
        names = _parameters(type(self).__mro__)
        for name in named:
            if name not in names:
                sentence = _unknown_name("argument", name, names)
                raise TypeError(f"{type(self).__name__}: {sentence}")

    @property
    def _changes(self) -> int:
        """How often an attribute was set that is no argument of fastcnn's constructor."""
        return int(getattr(self, "_changes_made", 0))


class ConfiguredSettings(Settings):
    """Settings that a dictionary of plain data describes, from which an equal object is made.

    A class keeps its constructor's arguments under their own names, or defines `get_config`.
    """

    __slots__ = ()

    def _check_constructed(self) -> None:
        super()._check_constructed()
        if type(self).get_config is ConfiguredSettings.get_config:
            user_code.check_kept(self._label, self, _parameters(type(self).__mro__))

    def get_config(self) -> dict[str, object]:
        """Return the constructor's arguments."""
        return {name: getattr(self, name) for name in _parameters(type(self).__mro__)}

    @classmethod
    def from_config(cls, config: dict[str, object]) -> Self:
        """Make an object from its configuration.

        Args:
            config: What `get_config` returned.
        """
        return cls(**config)

    def __repr__(self) -> str:
        options = ", ".join(f"{name}={value!r}" for name, value in self.get_config().items())
        return f"{type(self).__name__}({options})"


def _unknown_name(kind: str, name: str, names: Sequence[str]) -> str:
    """Return the sentence for a name that is not known: with what another library's name is called
    here, else with the nearest and all of them."""
    alias = ALIASES.get(name)
    if alias in names:
        return f"Unknown {kind} '{name}'. Did you mean '{alias}'?"
    return naming.unknown(kind, name, names)


def _opening(method: Callable[..., Result]) -> Callable[..., Result]:
    """Return a method that may set any attribute of its object."""

    @functools.wraps(method)
    def opened(self: Settings, *args: object, **named: object) -> Result:
        # A step calls a dozen of them, most from within another.
        if not self._is_closed:
            return method(self, *args, **named)
        self._closed = False
        try:
            return method(self, *args, **named)
        finally:
            self._closed = True

    return opened


@functools.cache
def _parameters(classes: tuple[type, ...]) -> tuple[str, ...]:
    """Return the names of a constructor's arguments, with those that it hands on to the next
    class."""
    names: dict[str, None] = {}
    for cls in classes:
        construct = vars(cls).get("__init__")
        if construct is None:
            continue
        parameters = list(inspect.signature(construct).parameters.values())[1:]
        plain = [p.name for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
        names |= dict.fromkeys(plain)
        if all(p.kind != p.VAR_KEYWORD for p in parameters):
            break
    return tuple(names)


class FixedList(list[Value]):
    """A list that cannot change; what is done to it is refused with a sentence."""

    def __init__(self, values: Iterable[Value], refusal: str) -> None:
        super().__init__(values)
        self._refusal = refusal

    def _refuse(self, *args: object, **named: object) -> NoReturn:
        raise TypeError(self._refusal)

    append = extend = insert = pop = remove = clear = sort = reverse = _refuse
    __setitem__ = __delitem__ = __iadd__ = __imul__ = _refuse

    def __reduce__(self) -> tuple[type[FixedList[Value]], tuple[list[Value], str]]:
        return type(self), (list(self), self._refusal)


class FixedDict(dict[str, Value]):
    """A dictionary that cannot change; what is done to it is refused with a sentence."""

    def __init__(self, values: Mapping[str, Value], refusal: str) -> None:
        super().__init__(values)
        self._refusal = refusal

    def _refuse(self, *args: object, **named: object) -> NoReturn:
        raise TypeError(self._refusal)

    clear = pop = popitem = setdefault = update = _refuse
    __setitem__ = __delitem__ = __ior__ = _refuse

    def __reduce__(self) -> tuple[type[FixedDict[Value]], tuple[dict[str, Value], str]]:
        return FixedDict, (dict(self), self._refusal)
