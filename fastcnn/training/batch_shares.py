"""Which of a batch's images this process reads and computes, where ranks share it."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from contextlib import closing
from typing import Any

from fastcnn.backends.engine import Engine
from fastcnn.backends.step import BatchShare
from fastcnn.data.pipeline.transform import Batch


class BatchShares:
    """The parts (first, end) of batches of some sizes that are this process's, as an engine's plans
    of a kind of program cut them."""

    def __init__(self, engine: Engine, kind: str, sizes: Iterable[int], capacity: int):
        # Once, by the thread that trains: plans are made for it.
        self._parts = {size: engine.share(kind, size, capacity) for size in {*sizes} - {0}}

    def __call__(self, count: int) -> slice:
        """Return the positions of this process's images in a batch of so many."""
        return slice(*self._parts[count])

    def marked(self, batches: Generator[Any, None, None]) -> Generator[Batch, None, None]:
        """Yield batches of which x has this process's images, as parts of whole ones."""
        with closing(batches):
            for x, y, weight in batches:
                yield BatchShare(x, self(len(y)).start, len(y)), y, weight  # type: ignore[misc]


def shares_of(
    engine: Engine, kind: str, images: int, batch_size: int, capacity: int
) -> BatchShares | None:
    """Return how a pass over images is shared; None where this process has all of them."""
    if engine.ranks is None:
        return None
    return BatchShares(engine, kind, (min(images, batch_size), images % batch_size), capacity)
