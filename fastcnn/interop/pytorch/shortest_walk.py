"""Which module of a file is which layer of a model, by shapes and by the tree of names.

Files name modules as their authors pleased, in the order in which a class was written or, sorted,
in none. But modules that follow each other in the network lie near each other in the tree of
names: "layer1.0.conv1" is followed by "layer1.0.bn1", and by nothing of "layer3". So the model is
walked in its order, and of all ways to give each layer a module of its shapes, that one is taken
whose walk through the tree is the shortest. Equal ways are told apart by the order of the file.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from fastcnn.layers.base import Shape

WALKS = 24
"""How many of the shortest walks so far are continued."""

STEPS = 3
"""To how many of the nearest modules each of them goes on."""

Parent = tuple[str, ...]
"""The names above a module's own, from the root on."""


class Slot(Protocol):
    """What a layer needs."""

    def fits(self, shapes: Mapping[str, Shape]) -> bool: ...


class Module(NamedTuple):
    """A module of a file: its name, the names above it, the shapes of its arrays by their names."""

    name: str
    parent: Parent
    shapes: dict[str, Shape]

    def key(self, own: str) -> str:
        """Return the whole name of an array of its."""
        return f"{self.name}.{own}" if self.name else own


class Walk(NamedTuple):
    """A walk from the first layer on, the better the smaller: how many layers found no module, how
    long it is, how many modules it took before others of the same shapes that come earlier.
    """

    missed: int
    length: int
    leaps: int
    taken: int  # the modules, as bits
    at: Parent
    steps: tuple[object, ...]  # the last module's number, or None, and what came before it


def pair(slots: Sequence[Slot], modules: Sequence[Module]) -> list[int | None]:
    """Return the number of each slot's module; None where none is left that fits.

    Args:
        slots: What the layers need, in the order of the model.
        modules: The file's, in its order.
    """
    lengths = _Lengths()
    walks = [Walk(0, 0, 0, 0, (), ())]
    for fitting in _fitting(slots, modules):
        best: dict[tuple[int, Parent], Walk] = {}
        for walk in (next_ for old in walks for next_ in _steps(old, fitting, modules, lengths)):
            key = (walk.taken, walk.at)
            if key not in best or walk[:3] < best[key][:3]:
                best[key] = walk
        walks = heapq.nsmallest(WALKS, best.values(), key=lambda walk: walk[:3])
    return _numbers(walks[0], len(slots))


def _steps(
    walk: Walk, fitting: Sequence[int], modules: Sequence[Module], lengths: _Lengths
) -> list[Walk]:
    """Return what a walk becomes with its next layer."""
    free = [number for number in fitting if not walk.taken >> number & 1]
    if not free:
        return [walk._replace(missed=walk.missed + 1, steps=(None, walk.steps))]
    steps = (
        (lengths.between(walk.at, modules[number].parent), leaps, number)
        for leaps, number in enumerate(free)
    )
    return [
        Walk(
            walk.missed,
            walk.length + length,
            walk.leaps + leaps,
            walk.taken | 1 << number,
            modules[number].parent,
            (number, walk.steps),
        )
        for length, leaps, number in heapq.nsmallest(STEPS, steps)
    ]


def _fitting(slots: Sequence[Slot], modules: Sequence[Module]) -> list[list[int]]:
    """Return, for each slot, the numbers of the modules that fit it."""
    alike: dict[tuple[tuple[str, Shape], ...], list[int]] = {}
    for number, module in enumerate(modules):
        alike.setdefault(tuple(sorted(module.shapes.items())), []).append(number)
    return [
        sorted(
            number
            for shapes, numbers in alike.items()
            if slot.fits(dict(shapes))
            for number in numbers
        )
        for slot in slots
    ]


def _numbers(walk: Walk, count: int) -> list[int | None]:
    numbers: list[int | None] = []
    steps: tuple = walk.steps
    while steps:
        number, steps = steps
        numbers.append(number)
    return numbers[::-1]


class _Lengths:
    """Steps from one place in the tree to another: up to where their names part, and down."""

    def __init__(self) -> None:
        self._lengths: dict[tuple[Parent, Parent], int] = {}

    def between(self, a: Parent, b: Parent) -> int:
        length = self._lengths.get((a, b))
        if length is None:
            shared = 0
            for left, right in zip(a, b, strict=False):
                if left != right:
                    break
                shared += 1
            length = len(a) + len(b) - 2 * shared
            self._lengths[a, b] = length
        return length
