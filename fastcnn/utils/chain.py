"""A sequence in which an item is put before another, or taken out, in constant time."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import Generic, TypeVar

T = TypeVar("T", bound=Hashable)


class Chain(Generic[T]):
    """Distinct items in order, each knowing its neighbours: a doubly linked list."""

    def __init__(self) -> None:
        # None stands before the first item and after the last one.
        self._next: dict[T | None, T | None] = {None: None}
        self._previous: dict[T | None, T | None] = {None: None}

    def insert(self, item: T, before: T | None = None) -> None:
        """Put a new item before another one; at the end where that is None."""
        previous = self._previous[before]
        self._next[previous] = self._previous[before] = item
        self._next[item], self._previous[item] = before, previous

    def remove(self, item: T) -> None:
        """Take an item out. Raises KeyError where it is not in the chain."""
        following, previous = self._next.pop(item), self._previous.pop(item)
        self._next[previous], self._previous[following] = following, previous

    def __iter__(self) -> Iterator[T]:
        item = self._next[None]
        while item is not None:
            yield item
            item = self._next[item]

    def __len__(self) -> int:
        return len(self._next) - 1
