"""Checks of a constructor's arguments, with errors that say what was expected and received."""

from __future__ import annotations

import math
from numbers import Integral, Real
from typing import Any


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


def whole(owner: object, argument: str, value: Any, *, least: int) -> int:
    """value as an int when it is a whole number of at least ``least``."""
    expected = _range("a whole number", least, math.inf, -math.inf, math.inf)
    is_whole = isinstance(value, Integral) or (isinstance(value, float) and value.is_integer())
    if isinstance(value, bool) or not is_whole:
        raise TypeError(_sentence(owner, argument, expected, value))
    if value < least:
        raise ValueError(_sentence(owner, argument, expected, value))
    return int(value)


def flag(owner: object, argument: str, value: Any) -> bool:
    """value when it is True or False."""
    if not isinstance(value, bool):
        raise TypeError(_sentence(owner, argument, "True or False", value))
    return value


def _range(noun: str, least: float, most: float, above: float, below: float) -> str:
    low = f" of at least {least:g}" if least > -math.inf else ""
    low = f" above {above:g}" if above > -math.inf else low
    if most < math.inf and least > -math.inf:
        return f"{noun} from {least:g} to {most:g}"
    if below < math.inf:
        return f"{noun}{low} and below {below:g}"
    return f"{noun}{low}" if low else f"a finite {noun.removeprefix('a ')}"


def _sentence(owner: object, argument: str, expected: str, value: Any) -> str:
    return f"{type(owner).__name__}: {argument} must be {expected}. Received {value!r}."
