"""What options take: texts as numbers, or argparse's complaint in words; what MODEL may be."""

from __future__ import annotations

import argparse
import math
from typing import TypeAlias

from fastcnn.applications import NETWORKS

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"
"""What subcommands are added to."""

MODEL_HELP = (
    f"a network's name ({', '.join(NETWORKS)}), a Python file that defines `model`, or a saved "
    "model"
)


def size(text: str) -> tuple[int, int]:
    """Return height and width of "64" or "48x64"."""
    height, _, width = text.partition("x")
    sides = (height, width or height)
    if not all(side.isdecimal() and int(side) for side in sides):
        raise argparse.ArgumentTypeError(f"expected a size such as 64 or 48x64, not '{text}'")
    return int(sides[0]), int(sides[1])


def positive(text: str) -> int:
    """Return a whole number of at least 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 1, not '{text}'")
    return int(text)


def seed(text: str) -> int:
    """Return a whole number of at least 0."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 0, not '{text}'")
    return int(text)


def port(text: str) -> int:
    """Return the number of a port, 0 for any free one."""
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"expected a number from 0 to 65535, not '{text}'")
    return int(text)


def rate(text: str) -> float:
    """Return a number above 0."""
    value = number(text)
    if value <= 0:
        raise argparse.ArgumentTypeError(f"expected a number above 0, not '{text}'")
    return value


def share(text: str) -> float:
    """Return a number from 0 to below 1."""
    value = number(text)
    if not 0 <= value < 1:
        raise argparse.ArgumentTypeError(f"expected a number from 0 to below 1, not '{text}'")
    return value


def epsilon(text: str) -> float:
    """Return a number above 0, at most 1, also of a fraction such as "8/255"."""
    above, slash, below = text.partition("/")
    try:
        value = float(above) / float(below) if slash else float(text)
    except (ValueError, ZeroDivisionError):
        value = math.nan
    if not 0 < value <= 1:
        raise argparse.ArgumentTypeError(
            f"expected a number above 0, at most 1, such as 0.03 or 8/255, not '{text}'"
        )
    return value


def number(text: str) -> float:
    """Return a finite number."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"expected a number, not '{text}'")
    return value
