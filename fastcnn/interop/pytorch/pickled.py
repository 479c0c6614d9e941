"""Pickles as plain data: a stack machine that imports nothing and calls nothing."""

from __future__ import annotations

import pickletools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

KEYS = (str, int, float, bool, type(None))
"""The keys of dicts that are kept; others could lie so deep within themselves that to hash them
ends the process."""


class Source(Protocol):
    """A file or a memory map, whose `read` takes no more memory than there are bytes."""

    def read(self, size: int, /) -> bytes:
        """Return the next bytes, fewer at the end."""

    def readline(self) -> bytes:
        """Return the rest of a line."""

    def tell(self) -> int:
        """Return how many bytes were read."""


@dataclass(frozen=True)
class Global:
    """A function or class that is named, not imported."""

    name: str


@dataclass(frozen=True)
class Unknown:
    """What would have been made by calling something, as a class that a user wrote.

    Args:
        maker: What would have been called.
    """

    maker: str


Functions: TypeAlias = Mapping[str, Callable[..., Any]]


def dict_of(pairs: Iterable[tuple[Any, Any]] = ()) -> dict[Any, Any]:
    """Return a dict of the pairs whose keys are plain values."""
    return {key: value for key, value in pairs if isinstance(key, KEYS)}


def read(source: Source, functions: Functions, persistent: Callable[[Any], Any]) -> Any:
    """Return what a pickle holds.

    Args:
        source: Where it begins; behind it afterwards.
        functions: What calls of these names, such as "collections.OrderedDict", are answered with.
            All others leave an `Unknown`.
        persistent: Makes the objects that the file keeps beside the pickle, of what names them.

    Raises:
        Exception: Of any kind, where the pickle is damaged.
    """
    machine = _Machine(functions, persistent)
    for opcode, argument, _ in pickletools.genops(source):  # type: ignore[arg-type]
        if opcode.name == "STOP":
            break
        machine.step(opcode.name, argument)
    return machine.pop()


class _Machine:
    def __init__(self, functions: Functions, persistent: Callable[[Any], Any]) -> None:
        self.functions = functions
        self.persistent = persistent
        self.stack: list[Any] = []
        self.below: list[list[Any]] = []
        """The stacks below each mark."""
        self.memo: dict[int, Any] = {}

    def step(self, name: str, argument: Any) -> None:
        """Carry out an opcode."""
        if name in PUSHED:
            self.stack.append(argument)
        elif name in MADE:
            self.stack.append(MADE[name]())
        else:
            STEPS[name](self, argument)

    def pop(self) -> Any:
        return self.stack.pop()

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def mark(self) -> None:
        self.below.append(self.stack)
        self.stack = []

    def since_mark(self) -> list[Any]:
        values, self.stack = self.stack, self.below.pop()
        return values

    def last(self, count: int) -> list[Any]:
        values = self.stack[-count:]
        if len(values) < count:
            raise IndexError("too few values")
        del self.stack[-count:]
        return values

    def put(self, number: int) -> None:
        self.memo[number] = self.stack[-1]

    def call(self) -> None:
        """A function and its arguments become what it returns."""
        function, arguments = self.last(2)
        name = function.name if isinstance(function, Global) else type(function).__name__
        make = self.functions.get(name)
        self.push(Unknown(name) if make is None else make(*arguments))

    def extend(self, values: list[Any]) -> None:
        if isinstance(self.stack[-1], list):
            self.stack[-1].extend(values)

    def set_items(self, values: list[Any]) -> None:
        target = self.stack[-1]
        pairs = dict_of(zip(values[::2], values[1::2], strict=True))
        if isinstance(target, dict):
            target.update(pairs)


PUSHED = {
    *("BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT"),
    *("BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "BINSTRING", "SHORT_BINSTRING"),
    *("BINBYTES", "SHORT_BINBYTES", "BINBYTES8"),
}
"""Opcodes whose argument is a value."""

MADE: dict[str, Callable[[], Any]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_DICT": dict,
    "EMPTY_LIST": list,
    "EMPTY_TUPLE": tuple,
}
"""Opcodes that stand for a value."""

STEPS: dict[str, Callable[[_Machine, Any], Any]] = {
    "PROTO": lambda machine, _: None,
    "FRAME": lambda machine, _: None,
    "MARK": lambda machine, _: machine.mark(),
    "POP": lambda machine, _: machine.pop(),
    "TUPLE": lambda machine, _: machine.push(tuple(machine.since_mark())),
    "TUPLE1": lambda machine, _: machine.push(tuple(machine.last(1))),
    "TUPLE2": lambda machine, _: machine.push(tuple(machine.last(2))),
    "TUPLE3": lambda machine, _: machine.push(tuple(machine.last(3))),
    "APPEND": lambda machine, _: machine.extend(machine.last(1)),
    "APPENDS": lambda machine, _: machine.extend(machine.since_mark()),
    "SETITEM": lambda machine, _: machine.set_items(machine.last(2)),
    "SETITEMS": lambda machine, _: machine.set_items(machine.since_mark()),
    "BINPUT": lambda machine, number: machine.put(number),
    "LONG_BINPUT": lambda machine, number: machine.put(number),
    "MEMOIZE": lambda machine, _: machine.put(len(machine.memo)),
    "BINGET": lambda machine, number: machine.push(machine.memo[number]),
    "LONG_BINGET": lambda machine, number: machine.push(machine.memo[number]),
    "GLOBAL": lambda machine, name: machine.push(Global(name.replace(" ", "."))),
    "STACK_GLOBAL": lambda machine, _: machine.push(Global(".".join(machine.last(2)))),
    "BINPERSID": lambda machine, _: machine.push(machine.persistent(machine.pop())),
    "REDUCE": lambda machine, _: machine.call(),
    "NEWOBJ": lambda machine, _: machine.call(),
    "BUILD": lambda machine, _: machine.pop(),  # attributes, which plain data has not
}
"""What the other opcodes do."""
