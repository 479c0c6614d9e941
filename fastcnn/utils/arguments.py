"""Checks of arguments, with errors that say where, what was expected and what was received.

`owner` is whose argument it is: an object, named in errors by its `label` or else its class, or
the name of a function.
"""

from __future__ import annotations

import math
from numbers import Integral, Real
from typing import Any

import numpy as np

LARGEST = 2**63 - 1
"""The largest number of 64 bits, in which all are handed to compiled code."""

MOST_PIXELS = 1 << 16
"""The longest side of a window, of padding and of a step, in pixels: above that of any picture."""

MOST_CHANNELS = 2**31 - 1
"""Of filters, units and groups."""

MOST_WORKERS = 1024
"""Threads that may be asked for."""


def number(
    owner: object,
    argument: str,
    value: Any,
    *,
    least: float = -math.inf,
    most: float = math.inf,
    above: float = -math.inf,
    below: float = math.inf,
) -> float:
    """value as a float when it is a finite number with least <= value <= most and
    above < value < below. TypeError or ValueError otherwise."""
    expected = _range("a number", least, most, above, below)
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(_sentence(owner, argument, expected, value))
    number = float(value)
    if not (math.isfinite(number) and least <= number <= most and above < number < below):
        raise ValueError(_sentence(owner, argument, expected, value))
    return number


def is_whole(value: Any) -> bool:
    """Say whether a value is an integer and not a truth value."""
    return isinstance(value, Integral) and not isinstance(value, bool)


def whole(owner: object, argument: str, value: Any, *, least: int, most: int = LARGEST) -> int:
    """value as an int when it is a whole number from ``least`` to ``most``. TypeError or ValueError
    otherwise."""
    expected = _range("a whole number", least, math.inf, -math.inf, math.inf)
    if not is_whole(value) and not (isinstance(value, float) and value.is_integer()):
        raise TypeError(_sentence(owner, argument, expected, value))
    if value < least:
        raise ValueError(_sentence(owner, argument, expected, value))
    if value > most:
        expected = f"a whole number from {least} to {most:,}"
        raise ValueError(_sentence(owner, argument, expected, value))
    return int(value)


def flag(owner: object, argument: str, value: Any) -> bool:
    """value when it is True or False."""
    if not isinstance(value, bool | np.bool_):
        raise TypeError(_sentence(owner, argument, "True or False", value))
    return bool(value)


def _range(noun: str, least: float, most: float, above: float, below: float) -> str:
    low = f" of at least {least:g}" if least > -math.inf else ""
    low = f" above {above:g}" if above > -math.inf else low
    if most < math.inf and least > -math.inf:
        return f"{noun} from {least:g} to {most:g}"
    if below < math.inf:
        return f"{noun}{low} and below {below:g}"
    return f"{noun}{low}" if low else f"a finite {noun.removeprefix('a ')}"


def _sentence(owner: object, argument: str, expected: str, value: Any) -> str:
    return f"{_place(owner)}: {argument} must be {expected}. Received {value!r}."


def _place(owner: object) -> str:
    return owner if isinstance(owner, str) else getattr(owner, "label", type(owner).__name__)
