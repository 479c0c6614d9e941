"""Passes over examples: which are visited, in what order, and what a test pass measures."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastcnn.checks import Examples
from fastcnn.data.batches import Batches
from fastcnn.hooks import Hooks, Logs
from fastcnn.metrics import Tally
from fastcnn.progress import Progress


@dataclass(frozen=True)
class Part:
    """The examples that one pass visits: all of them, or those of `indices` (int64 [n])."""

    examples: Examples
    indices: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.examples) if self.indices is None else len(self.indices)

    def batches(
        self, model: Any, batch_size: int, order: NDArray[np.int64] | None = None
    ) -> Batches:
        """The batches of one pass, in this part's own order or in the given order of it."""
        if order is None:
            order = self.indices
        elif self.indices is not None:
            order = self.indices[order]
        x, y, weight = self.examples.x, self.examples.y, self.examples.weight
        shape = tuple(model.input_shape)
        return Batches(x, y, weight, batch_size, order, shape=shape)


def shuffled(seed: int, epoch: int, count: int) -> NDArray[np.int64]:
    """The order of an epoch: a permutation of 0 .. count - 1 that (seed, epoch) alone decide."""
    key = np.array([int(seed) & (2**64 - 1), epoch], np.uint64)
    # Sorting raw draws, whose stream NumPy fixes for ever, repeats under any NumPy version.
    draws = np.random.Philox(key=key).random_raw(count)
    return np.argsort(draws, kind="stable")


def test_pass(model: Any, part: Part, batch_size: int, shown: Progress, hooks: Hooks) -> Logs:
    """The loss and the metrics of a part, without training."""
    test, clock, interval = model.engine().test, time.perf_counter, shown.interval
    begin, end = hooks["on_test_batch_begin"], hooks["on_test_batch_end"]
    tally = Tally(model.metrics, len(part))
    due = clock() + interval
    for step, (x, y, weight) in enumerate(part.batches(model, batch_size)):
        for hook in begin:
            hook(step, {})
        tally.add(test(x, y, weight), y, weight)
        for hook in end:
            hook(step, tally.logs())
        if clock() >= due:
            shown.update(tally.count, tally.logs())
            due = clock() + interval
    return tally.final()
