"""Passes over examples: which are visited, in what order."""

from __future__ import annotations

import itertools
from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fastcnn.backends.step import Selection
from fastcnn.data.dataset import Dataset
from fastcnn.data.pipeline import epoch_hooks
from fastcnn.data.pipeline.batches import Batches, is_image_folder
from fastcnn.data.pipeline.stream import Stream
from fastcnn.data.pipeline.transform import Batch, Transform
from fastcnn.data.prefetch import ahead
from fastcnn.data.sampling import balanced, shuffled
from fastcnn.training import input_checks, target_checks
from fastcnn.training.input_checks import Examples
from fastcnn.training.model_settings import ModelSettings

if TYPE_CHECKING:
    from fastcnn.data.folder.unreadable_files import Damage

__all__ = ["ArrayEpochs", "StreamEpochs", "prepared", "shuffled"]


UNREADABLE = "In training, others of the class stand in; evaluation leaves out what cannot be read."


@dataclass
class ArrayEpochs:
    """The examples that one pass visits: all of them, or those of `indices` (int64 [n]).

    `transform` is what happens to their images before the step; None means the model's
    preprocessing. `classes` (int64 [n], the class of each of them) asks for balanced sampling.
    """

    examples: Examples
    indices: NDArray[np.int64] | None = None
    transform: Transform | None = None
    workers: int | None = None
    classes: NDArray[np.int64] | None = None
    _held: bool = field(default=False, init=False)  # whether an engine holds them as they are now

    @property
    def count(self) -> int:
        """How many examples a pass visits."""
        return len(self.examples) if self.indices is None else len(self.indices)

    def largest(self, batch_size: int) -> int:
        """How many images the largest batch of a pass has."""
        return min(batch_size, self.count)

    def order(self, seed: int, epoch: int, shuffle: bool) -> NDArray[np.int64] | None:
        """The order of an epoch of training; None for that of the examples."""
        if self.classes is not None:
            return balanced(seed, epoch, self.classes)
        return shuffled(seed, epoch, self.count) if shuffle else None

    def batches(
        self,
        model: ModelSettings,
        batch_size: int,
        order: NDArray[np.int64] | None = None,
        epoch: int = 0,
        training: bool = False,
    ) -> Generator[Batch, None, None]:
        """The batches of one pass, in the order of the examples or in `order`, of theirs.

        Images of a folder that cannot be read are left out, or replaced by others in training, and
        told at the end.
        """
        if order is None:
            order = self.indices
        elif self.indices is not None:
            order = self.indices[order]
        examples, transform = self.examples, self.transform or _of_model(model)
        engine, x = model.engine(), examples.x
        if isinstance(x, np.ndarray) and self.count > batch_size:  # one batch need not be held
            by_number = transform.plain or transform.drawable(x.shape[1:])
            if by_number and engine.hold(x, anew=not self._held):
                self._held = True
                return self._selected(x, transform, batch_size, order, epoch)
        folder = x if is_image_folder(x) else None
        if training and folder is not None:
            x = folder.for_epoch(model.seed, epoch)
        batches = Batches(
            x,
            examples.y,
            examples.weight,
            batch_size,
            order,
            shape=tuple(model.input_shape),
            epoch=epoch,
            workers=self.workers,
            send=engine.sender(),
            leave_out=True,
            transform=transform,
        )
        iterator = iter(batches)
        if folder is not None:
            iterator = _warned(iterator, folder.damage)
        return epoch_hooks.told(examples.x, iterator, epoch if training else None)

    def _selected(
        self,
        x: NDArray[Any],
        transform: Transform,
        batch_size: int,
        order: NDArray[np.int64] | None,
        epoch: int,
    ) -> Generator[Any, None, None]:
        """The batches of a data set whose images x the engine holds: they come by their numbers,
        with what is drawn for them ahead of the step."""
        examples = self.examples
        numbers = np.arange(len(examples)) if order is None else order
        keys = transform.keys(numbers, len(x))

        def select(
            first: int, slot: None
        ) -> tuple[Selection, NDArray[Any], NDArray[np.float32] | None]:
            batch = slice(first, first + batch_size)
            chosen = numbers[batch]
            drawn = transform.drawn(x.shape[1:], keys[batch], epoch)
            if drawn is not None:
                drawn.check_reach(x.shape[1:])
                if not first:
                    transform.check_values(x[chosen])
            weight = None if examples.weight is None else examples.weight[chosen]
            return Selection(x, chosen, drawn), examples.y[chosen], weight

        workers = 0
        if not transform.plain:
            workers = 1 if self.workers is None else self.workers
        starts = range(0, len(numbers), batch_size)
        return ahead(select, starts, [None] * (workers + 1), workers)


def _warned(batches: Generator[Batch, None, None], damage: Damage) -> Generator[Batch, None, None]:
    """The batches; when they end, one warning tells of the files that were damaged."""
    try:
        with closing(batches):
            yield from batches
    finally:
        damage.warn(UNREADABLE)


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
        batches = self._batches(model, epoch)
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
        return transform.mixed(_of_stream(transform, x, seen, epoch), y, weight, epoch, number)


def _of_stream(transform: Transform, x: NDArray[Any], seen: int, epoch: int) -> NDArray[Any]:
    """The images of a stream's batch as the network sees them, perhaps in x's own memory."""
    if transform.plain:
        return np.ascontiguousarray(x, np.float32)
    out = np.empty((len(x), *transform.augmented_shape(x.shape[1:])), np.float32)
    return transform.apply(x, np.arange(seen, seen + len(x), dtype=np.int64), epoch, out)


def prepared(
    model: ModelSettings, images: NDArray[Any] | Dataset, batch_size: int
) -> Generator[NDArray[Any], None, None]:
    """Checked images, in order, in batches as the network sees them."""
    transform = _of_model(model)
    if isinstance(images, np.ndarray) and transform.plain:
        # Views will do.
        yield from (images[i : i + batch_size] for i in range(0, len(images), batch_size))
        return
    shape = tuple(model.input_shape)
    batches = Batches(images, None, None, batch_size, shape=shape, transform=transform)
    with closing(epoch_hooks.told(images, iter(batches), None)) as batches_of_epoch:
        yield from (x for x, _, _ in batches_of_epoch)


def prepared_stream(model: ModelSettings, stream: Stream) -> Generator[NDArray[Any], None, None]:
    """The images of an iterable of batches, checked, as the network sees them."""
    return epoch_hooks.told(stream, _prepared_stream(model, stream), None)


def _prepared_stream(model: ModelSettings, stream: Stream) -> Generator[NDArray[Any], None, None]:
    transform = _of_model(model)
    for number, (batch, _, _) in enumerate(stream):
        x = input_checks.image_array(model, batch, f"{stream.name}: batch {number}: x", transform)
        yield _of_stream(transform, x, 0, 0)


def _of_model(model: ModelSettings) -> Transform:
    return Transform(preprocessing=model.preprocessing)
