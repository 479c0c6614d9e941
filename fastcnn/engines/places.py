"""Which regions may share memory: those that are never alive together."""

from __future__ import annotations

from collections.abc import Iterable

from fastcnn.kernels.call import Region

# (start, end, size, region): alive from start to end, both included, in steps of some clock.
Span = tuple[int, int, int, Region]


def place(spans: Iterable[Span]) -> tuple[dict[Region, int], int]:
    """Place spans, largest first, at the lowest free offset; return the offsets and the extent."""
    placed: list[tuple[int, int, int, int]] = []
    offsets: dict[Region, int] = {}
    for start, end, size, region in sorted(spans, key=lambda span: -span[2]):
        at = 0
        rivals = [one for one in placed if one[0] <= end and start <= one[1]]
        for _, _, low, high in sorted(rivals, key=lambda one: one[2]):
            if at + size <= low:
                break
            at = max(at, high)
        placed.append((start, end, at, at + size))
        offsets[region] = at
    return offsets, max((one[3] for one in placed), default=0)
