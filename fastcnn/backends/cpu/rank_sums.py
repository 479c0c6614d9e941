"""Sums of what each rank has of its own images, which the MPI library makes, in buckets."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fastcnn.backends.cpu.meetings import Item
from fastcnn.backends.cpu.shared_step import Step, in_between
from fastcnn.distributed.ranks import Ranks, adjoined

BUCKET = 1 << 20
"""Bytes that are summed together."""


class RankSums:
    """What ranks do to sum regions of a flat array: as soon as those of a bucket are ready."""

    def __init__(self, items: Sequence[Item], ranks: Ranks):
        self._ranks = ranks
        self._buckets: list[list[Item]] = []
        size = BUCKET
        for item in items:
            if size >= BUCKET or item.ready > min(other.phase for other in self._buckets[-1]):
                self._buckets.append([])
                size = 0
            self._buckets[-1].append(item)
            size += item.region.bytes

    def steps(self, array: np.ndarray, factor: float) -> list[Step]:
        """Return the steps on the array, float32, of which this rank's part counts so often."""
        steps = []
        for bucket in self._buckets:
            places = sorted((item.region.offset, item.region.bytes) for item in bucket)
            views = [array[at // 4 : (at + size) // 4] for at, size in adjoined(places)]
            summed = BucketSum(self._ranks, views, factor)
            begin, phase = max(i.ready for i in bucket), min(i.phase for i in bucket)
            steps += in_between(begin, phase, summed.begin, summed.complete)
        return steps


class BucketSum:
    """The sum over all ranks of some pieces of an array: of one in place, of several by a copy."""

    def __init__(self, ranks: Ranks, views: Sequence[np.ndarray], factor: float):
        self._views = views
        self._factor = factor
        self._packed = views[0] if len(views) == 1 else np.zeros(sum(map(len, views)), np.float32)
        self._sum = ranks.sum(self._packed)

    def begin(self) -> None:
        """Send this rank's summand."""
        if not self._factor:
            self._packed[:] = 0
        elif len(self._views) > 1:
            np.concatenate(self._views, out=self._packed)
        if self._factor not in (0, 1):
            self._packed *= np.float32(self._factor)
        self._sum.begin()

    def complete(self) -> None:
        """Wait for the sum."""
        self._sum.complete()
        if len(self._views) > 1:
            ends = np.cumsum([len(view) for view in self._views])[:-1]
            for view, part in zip(self._views, np.split(self._packed, ends), strict=True):
                view[:] = part
