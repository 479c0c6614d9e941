"""Which regions may share memory: those that are never alive together."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from fastcnn.kernels.call import Region

# (start, end, size, region): alive from start to end, both included, in steps of some clock.
Span = tuple[int, int, int, Region]


def place(spans: Iterable[Span]) -> tuple[dict[Region, int], int]:
    """Place spans, largest first, at the lowest free offset; return the offsets and the extent."""
    largest_first = sorted(spans, key=lambda span: -span[2])
    # Of those placed: start, end, first byte, byte behind the last; by their first byte.
    placed = np.zeros((4, len(largest_first)), np.int64)
    offsets: dict[Region, int] = {}
    for count, (start, end, size, region) in enumerate(largest_first):
        at = _lowest_gap(placed[:, :count], start, end, size)
        offsets[region] = at
        position = int(np.searchsorted(placed[2, :count], at))
        placed[:, position + 1 : count + 1] = placed[:, position:count]
        placed[:, position] = start, end, at, at + size
    return offsets, int(placed[3].max(initial=0))


def _lowest_gap(placed: np.ndarray, start: int, end: int, size: int) -> int:
    """Return the lowest offset at which `size` bytes are free from `start` to `end`."""
    starts, ends, lows, highs = placed
    rivals = (starts <= end) & (start <= ends)
    # Below each rival, everything from `free` on; above the last one, all.
    free = np.maximum.accumulate(np.concatenate([[0], highs[rivals]]))
    gaps = np.flatnonzero(free[:-1] + size <= lows[rivals])
    return int(free[gaps[0] if len(gaps) else -1])
