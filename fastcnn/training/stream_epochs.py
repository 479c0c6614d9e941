"""Passes over an iterable of batches, which has an order and sizes of its own."""

from __future__ import annotations

import itertools
from collections.abc import Generator
from contextlib import closing
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastcnn.backends.batch_sharing import TEST, TRAIN
from fastcnn.data.pipeline import epoch_hooks
from fastcnn.data.pipeline.stream import Stream
from fastcnn.data.pipeline.transform import Batch, Transform
from fastcnn.data.prefetch import ahead
from fastcnn.training import input_checks, target_checks
from fastcnn.training.model_settings import ModelSettings
from fastcnn.training.stream_shares import shared


class StreamEpochs:
    """The batches of an iterable, as one pass after the other gives them: in its own order and
    sizes, checked one by one. `count` is what the last pass came to, None before the first."""

    def __init__(
        self,
        stream: Stream,
        transform: Transform,
        workers: int | None = None,
        class_weight: NDArray[np.float32] | None = None,
    ):
        self.count: int | None = None
        self._stream = stream
        self._transform = transform
        # One thread at most: an iterable gives one batch after the other.
        self._workers = 1 if workers is None else min(workers, 1)
        self._class_weight = class_weight

    @property
    def once(self) -> bool:
        """Whether it can be gone through only once, as a generator."""
        return self._stream.once

    def largest(self, batch_size: int) -> None:
        """Nothing is known of its batches' sizes: each is planned for by itself."""

    def order(self, seed: int, epoch: int, shuffle: bool) -> None:
        """An iterable keeps its own order."""

    def batches(
        self,
        model: ModelSettings,
        batch_size: int,
        order: NDArray[np.int64] | None = None,
        epoch: int = 0,
        training: bool = False,
    ) -> Generator[Batch, None, None]:
        """The batches of one pass; their size and order are the iterable's own affair."""
        kind = TRAIN if training else TEST
        batches = shared(model, self._batches(model, epoch), kind, self._stream.name)
        return epoch_hooks.told(self._stream, batches, epoch if training else None)

    def _batches(self, model: ModelSettings, epoch: int) -> Generator[Batch, None, None]:
        source = enumerate(self._stream)
        seen = 0

        def prepare(_: int, slot: None) -> Batch | None:
            nonlocal seen
            number, examples = next(source, (0, None))
            if examples is None:
                return None
            batch = self._batch(model, examples, number, seen, epoch)
            seen += len(batch[0])
            return batch

        slots = [None] * (self._workers + 1)
        with closing(ahead(prepare, itertools.count(), slots, self._workers)) as prepared:
            for batch in prepared:
                if batch is None:
                    break
                yield batch
        self.count = seen

    def _batch(
        self,
        model: ModelSettings,
        batch: tuple[object, object, object],
        number: int,
        seen: int,
        epoch: int,
    ) -> Batch:
        name, transform = f"{self._stream.name}: batch {number}: ", self._transform
        x = input_checks.image_array(model, batch[0], f"{name}x", transform)
        if not number:
            transform.check_values(x)
        y = target_checks.labels(model, batch[1], len(x), f"{name}y", one_hot=True)
        weight = target_checks.sample_weight(batch[2], len(x), f"{name}weights")
        if self._class_weight is not None:
            by_class = self._class_weight[target_checks.classes(model, y)]
            weight = by_class if weight is None else weight * by_class
        return transform.mixed(of_stream(transform, x, seen, epoch), y, weight, epoch, number)


def of_stream(transform: Transform, x: NDArray[Any], seen: int, epoch: int) -> NDArray[Any]:
    """The images of a stream's batch as the network sees them, perhaps in x's own memory."""
    if transform.plain:
        return np.ascontiguousarray(x, np.float32)
    out = np.empty((len(x), *transform.augmented_shape(x.shape[1:])), np.float32)
    return transform.apply(x, np.arange(seen, seen + len(x), dtype=np.int64), epoch, out)
