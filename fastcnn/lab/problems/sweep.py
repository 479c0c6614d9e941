"""Sweeps: the same convolution over a range of one or two of its sizes.

Where does one strategy become faster than another? A sweep measures every strategy at each point
of a grid of problems with stride 1 and padding that keeps the size; `plots/crossover.py` draws the
map.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import product

from fastcnn.graph.problem import Problem, same_padding
from fastcnn.lab.problems.descriptor import describe
from fastcnn.lab.problems.sets import check_memory
from fastcnn.lab.results import NamedProblem
from fastcnn.utils import naming

TITLES = {
    "channels": "channels",
    "filters": "filters",
    "size": "height = width",
    "kernel": "kernel, height = width",
    "batch": "images in a batch",
}
SETTINGS = {"channels": 64, "size": 28, "kernel": 3, "batch": 8}
"""What a sweep keeps fixed unless told otherwise; there are as many filters as channels."""
MOST_VALUES = 64


@dataclass(frozen=True)
class Axis:
    """A parameter and the values that it takes."""

    parameter: str
    values: tuple[int, ...]

    def of(self, problem: NamedProblem) -> int:
        """The parameter's value in a problem."""
        sizes = problem.problem
        values = {
            "channels": sizes.channels,
            "filters": sizes.filters,
            "size": sizes.height,
            "kernel": sizes.kernel[0],
            "batch": problem.batch,
        }
        return values[self.parameter]


@dataclass(frozen=True)
class Sweep:
    """One or two axes, and what the others are fixed at."""

    axes: tuple[Axis, ...]
    fixed: dict[str, int] = field(default_factory=dict)

    def problems(self) -> list[NamedProblem]:
        """Every point of the grid, the first axis the slowest.

        ValueError where a problem is too large.
        """
        names = [axis.parameter for axis in self.axes]
        points = product(*(axis.values for axis in self.axes))
        return [self._problem(dict(zip(names, point, strict=True))) for point in points]

    def _problem(self, point: dict[str, int]) -> NamedProblem:
        values = {**SETTINGS, **self.fixed, **point}
        size, kernel = values["size"], values["kernel"]
        pad = same_padding(size, kernel, 1, 1)
        problem = Problem(
            size,
            size,
            values["channels"],
            values.get("filters", values["channels"]),
            (kernel, kernel),
            padding=(pad, pad),
        )
        name = " ".join(f"{parameter}={value}" for parameter, value in point.items())
        text = describe(problem, values["batch"])
        named = NamedProblem(name, problem, values["batch"], text, "sweep")
        check_memory(named)
        return named

    def title(self, axis: Axis) -> str:
        """An axis as pictures name it: "channels = filters" where both go together."""
        others = {*self.fixed, *(other.parameter for other in self.axes)}
        joined = axis.parameter == "channels" and "filters" not in others
        return TITLES[axis.parameter] + (" = filters" if joined else "")

    @property
    def settings(self) -> str:
        """What all its problems have in common: "3x3 kernels, batches of 8"."""
        swept = {axis.parameter for axis in self.axes}
        values = {**SETTINGS, **self.fixed}
        kept = {name: value for name, value in values.items() if name not in swept}
        words = []
        if "kernel" in kept:
            words.append(f"{kept['kernel']}x{kept['kernel']} kernels")
        if "channels" in kept:
            words.append(f"{kept['channels']} channels")
        if "filters" in kept:
            words.append(f"{kept['filters']} filters")
        elif "channels" in kept and "filters" not in swept:
            words[-1] += " and filters"
        if "size" in kept:
            words.append(f"{kept['size']}x{kept['size']} pixels")
        if "batch" in kept:
            words.append(f"batches of {kept['batch']}")
        return ", ".join(words)


def parsed(texts: Sequence[str], fixed: dict[str, int]) -> Sweep:
    """Return the sweep that texts like "channels=8..256" describe.

    A range doubles from its low end, a kernel's grows by 2; "8,16,24" lists values. ValueError
    in words for anything else.
    """
    axes = tuple(_axis(text) for text in texts)
    names = [axis.parameter for axis in axes]
    if not 1 <= len(axes) <= 2 or len(set(names)) < len(names):
        raise ValueError(
            f"expected one or two different parameters. Received {', '.join(texts) or 'none'}."
        )
    return Sweep(axes, {name: value for name, value in fixed.items() if name not in names})


def _axis(text: str) -> Axis:
    name, equals, values = text.partition("=")
    if not equals:
        raise ValueError(
            f"expected NAME=LOW..HIGH or NAME=VALUE,VALUE,..., such as channels=8..256. "
            f"Received '{text}'."
        )
    if name not in TITLES:
        raise ValueError(naming.unknown("parameter", name, TITLES))
    numbers = _range(text, name, values) if ".." in values else _list(text, values)
    if len(numbers) > MOST_VALUES:
        raise ValueError(f"'{text}' has {len(numbers)} values; {MOST_VALUES} are the most.")
    return Axis(name, numbers)


def _range(text: str, name: str, values: str) -> tuple[int, ...]:
    low, high = (_whole(text, end) for end in values.split("..", 1))
    if low > high:
        raise ValueError(f"'{text}' must go from low to high.")
    numbers = [low]
    while (following := numbers[-1] + 2 if name == "kernel" else 2 * numbers[-1]) <= high:
        numbers.append(following)
    return tuple(numbers)


def _list(text: str, values: str) -> tuple[int, ...]:
    numbers = [_whole(text, value) for value in values.split(",")]
    if len(set(numbers)) < len(numbers):
        raise ValueError(f"'{text}' names a value twice.")
    return tuple(sorted(numbers))


def _whole(text: str, value: str) -> int:
    if not re.fullmatch(r"[0-9]{1,7}", value.strip()) or int(value) < 1:
        raise ValueError(
            f"'{text}': expected whole numbers of at least 1. Received '{value.strip()}'."
        )
    return int(value)
