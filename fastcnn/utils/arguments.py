"""Checks of arguments, with errors that say where, what was expected and what was received.

`owner` is whose argument it is: an object, named in errors by its `label` or else its class, or
the name of a function.
"""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Sequence
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
    value: object,
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
    try:
        number = float(value)
    except OverflowError:  # of an int
        number = math.inf
    if not (math.isfinite(number) and least <= number <= most and above < number < below):
        raise ValueError(_sentence(owner, argument, expected, value))
    return number


def float32(owner: object, argument: str, value: object, **limits: float) -> float:
    """value as `number` returns it when it is within its limits as float32, too, in which machine
    code takes it: neither infinite there nor rounded to a limit that it must not reach. TypeError
    or ValueError otherwise."""
    converted = number(owner, argument, value, **limits)
    above, below = limits.get("above", -math.inf), limits.get("below", math.inf)
    rounded = rounded_to_float32(converted)
    if not above < rounded < below:
        least, most = limits.get("least", -math.inf), limits.get("most", math.inf)
        expected = f"{_range('a number', least, most, above, below)} in float32"
        raise ValueError(
            f"{_place(owner)}: {argument} must be {expected}. "
            f"Received {value!r}, in float32 {rounded:g}."
        )
    return converted


def check_float32s(owner: object, argument: str, value: object) -> None:
    """TypeError or ValueError unless value is a number that `float32` takes, or an array or a
    sequence of them."""
    many = isinstance(value, list | tuple | np.ndarray)
    for entry in np.ravel(np.asarray(value, object)).tolist() if many else [value]:
        float32(owner, argument, entry)


def as_float(value: Any) -> float:
    """What a user's function returned as a float: NaN for no number, infinite for one too large."""
    try:
        return float(value)
    except OverflowError:
        return math.inf
    except (TypeError, ValueError):
        return math.nan


def rounded_to_float32(value: float) -> float:
    """The float32 nearest to a number: infinite where float32 holds none so large."""
    with np.errstate(over="ignore"):
        return float(np.float32(value))


def is_whole(value: object) -> bool:
    """Say whether a value is an integer and not a truth value."""
    if type(value) is int:  # as nearly always; to ask Integral takes half a microsecond
        return True
    return isinstance(value, Integral) and not isinstance(value, bool)


def bounds(owner: object, argument: str, value: object) -> tuple[float, float]:
    """value as two floats when it is a pair of finite numbers, the least first. TypeError or
    ValueError otherwise."""
    if not isinstance(value, tuple | list) or len(value) != 2:
        expected = "two numbers, the least and the largest"
        raise TypeError(_sentence(owner, argument, expected, value))
    low = number(owner, f"{argument}[0]", value[0])
    return low, number(owner, f"{argument}[1]", value[1], above=low)


def whole(owner: object, argument: str, value: Any, *, least: int, most: int = LARGEST) -> int:
    """value as an int when it is a whole number from ``least`` to ``most``. TypeError or ValueError
    otherwise."""
    fits = is_whole(value) or (isinstance(value, float) and value.is_integer())
    if not fits or value < least:
        expected = _range("a whole number", least, math.inf, -math.inf, math.inf)
        kind = ValueError if fits else TypeError
        raise kind(_sentence(owner, argument, expected, value))
    if value > most:
        expected = f"a whole number from {least} to {most:,}"
        raise ValueError(_sentence(owner, argument, expected, value))
    return int(value)


def flag(owner: object, argument: str, value: object) -> bool:
    """value when it is True or False."""
    if not isinstance(value, bool | np.bool_):
        raise TypeError(_sentence(owner, argument, "True or False", value))
    return bool(value)


def choice(owner: object, argument: str, value: object, values: Sequence[object]) -> None:
    """ValueError unless a value is one of those that there are."""
    if value not in values:
        raise ValueError(
            _sentence(owner, argument, f"one of {', '.join(map(repr, values))}", value)
        )


def verbosity(owner: object, value: object) -> int:
    """value as an int when it is 0, 1 or 2, or True or False. TypeError or ValueError otherwise."""
    return whole(
        owner, "verbose", int(value) if isinstance(value, bool) else value, least=0, most=2
    )


def path(owner: object, argument: str, value: Any) -> str:
    """value as text when it is the path of a file. TypeError or ValueError otherwise."""
    try:
        text = os.fspath(value)
    except TypeError:
        text = None
    if not isinstance(text, str):
        raise TypeError(_sentence(owner, argument, "the path of a file, text or a Path", value))
    if not text:
        raise ValueError(_sentence(owner, argument, "the path of a file", value))
    if "\0" in text:
        raise ValueError(
            _sentence(owner, argument, "the path of a file, without null bytes", value)
        )
    try:
        os.fsencode(text)
    except UnicodeEncodeError:
        raise ValueError(
            f"{_place(owner)}: {argument} must be a name that this system's encoding of file names "
            f"({sys.getfilesystemencoding()}) has. Received {text!a}. With PYTHONUTF8=1, or "
            "where the locale is UTF-8, it is."
        ) from None
    return text


def _range(noun: str, least: float, most: float, above: float, below: float) -> str:
    low = f" of at least {least:g}" if least > -math.inf else ""
    low = f" above {above:g}" if above > -math.inf else low
    if most < math.inf and least > -math.inf:
        return f"{noun} from {least:g} to {most:g}"
    if below < math.inf:
        return f"{noun}{low} and below {below:g}"
    if most < math.inf:
        return f"{noun}{low} and at most {most:g}"
    return f"{noun}{low}" if low else f"a finite {noun.removeprefix('a ')}"


def _sentence(owner: object, argument: str, expected: str, value: object) -> str:
    return f"{_place(owner)}: {argument} must be {expected}. Received {value!r}."


def _place(owner: object) -> str:
    return owner if isinstance(owner, str) else getattr(owner, "label", type(owner).__name__)
