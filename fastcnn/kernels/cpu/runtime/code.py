"""Machine code that a process loads from disk or compiles: what kernels, tiles and the executor
have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TypeVar

_CODES: dict[str, Code] = {}
C = TypeVar("C", bound="Code")


class Code(ABC):
    """One piece of machine code, known by its name.

    `module` is the name of the module that makes it, `requires` other code that it calls.
    """

    name: str
    module: str
    requires: tuple[Code, ...] = ()

    @property
    @abstractmethod
    def loaded(self) -> bool:
        """Whether there is machine code in this process."""

    @abstractmethod
    def load(self) -> bool:
        """Load the machine code for this CPU from disk, if it is there; say whether there is
        machine code in this process now."""

    @abstractmethod
    def compile(self) -> None:
        """Load the machine code from disk, or compile it and write it there; once."""


def register(code: C) -> C:
    """Count a piece of code among `codes` and return it."""
    _CODES[code.name] = code
    return code


def codes() -> dict[str, Code]:
    """Return all code of the modules that have been imported, by name."""
    return _CODES
