"""Passes over examples: which are visited, in what order; those of an iterable are its own affair
(stream_epochs.py)."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fastcnn.backends.engine import TEST, TRAIN, Engine
from fastcnn.backends.step import Selection
from fastcnn.data.dataset import Dataset
from fastcnn.data.pipeline import epoch_hooks
from fastcnn.data.pipeline.batches import Batches, is_image_folder
from fastcnn.data.pipeline.stream import Stream
from fastcnn.data.pipeline.transform import Batch, Transform
from fastcnn.data.prefetch import ahead
from fastcnn.data.sampling import balanced, shuffled
from fastcnn.training import input_checks
from fastcnn.training.batch_shares import BatchShares, shares_of
from fastcnn.training.feature_cache import FeatureBatch, FeatureCache, FeatureMemory
from fastcnn.training.input_checks import Examples
from fastcnn.training.model_settings import ModelSettings
from fastcnn.training.stream_epochs import of_stream
from fastcnn.utils import settings

if TYPE_CHECKING:
    from fastcnn.data.folder.unreadable_files import Damage

__all__ = ["ArrayEpochs", "prepared", "shuffled"]


UNREADABLE = "In training, others of the class stand in; evaluation leaves out what cannot be read."


@dataclass
class ArrayEpochs:
    """The examples that one pass visits: all of them, or those of `indices` (int64 [n]).

    `transform` is what happens to their images before the step; None means the model's
    preprocessing. `classes` (int64 [n], the class of each of them) asks for balanced sampling.
    `feature_memory` says that an image is the same in every pass, so that what frozen layers make
    of it may be kept, and where. `on_host` asks for batches in arrays of the host.
    """

    examples: Examples
    indices: NDArray[np.int64] | None = None
    transform: Transform | None = None
    workers: int | None = None
    classes: NDArray[np.int64] | None = None
    feature_memory: FeatureMemory | None = None
    on_host: bool = False
    _features: FeatureCache | None = field(default=None, init=False)
    _holders: list[Engine] = field(default_factory=list, init=False)  # they hold them as they are

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
        features = self.kept_features(model)
        if features is not None:
            return self._of_features(model, features, batch_size, order, epoch, training)
        return _filled(self._of_images(model, model.engine(), batch_size, order, epoch, training))

    def kept_features(self, model: ModelSettings) -> FeatureCache | None:
        """What is kept of frozen layers, as the model is now; None where nothing can be."""
        if self.feature_memory is not None:
            counts = len(self.examples), self.count
            self._features = self.feature_memory.renewed(self._features, model, *counts)
        return self._features

    def _of_features(
        self,
        model: ModelSettings,
        cache: FeatureCache,
        batch_size: int,
        order: NDArray[np.int64] | None,
        epoch: int,
        training: bool,
    ) -> Generator[Any, None, None]:
        """The batches as features of frozen layers. Images are read for those batches alone of
        which features are missing."""
        numbers = np.arange(len(self.examples)) if order is None else order
        parts = [numbers[i : i + batch_size] for i in range(0, len(numbers), batch_size)]
        shown = self._shown(model, epoch, training)
        ready = [cache.has(shown(part)) for part in parts]
        base, head = model.split_engines(cache.depth)
        missing = [part for part, there in zip(parts, ready, strict=True) if not there]
        unread = np.concatenate([numbers[:0], *missing])
        version = settings.version()
        with closing(
            self._of_images(model, base, batch_size, unread, epoch, training)
        ) as batches_read:
            for place, part in enumerate(parts):
                if settings.version() != version:  # a callback may have thawed a layer
                    version = settings.version()
                    if model.frozen_depth() < cache.depth:
                        rest = numbers[place * batch_size :]
                        engine = model.engine()
                        yield from _filled(
                            self._of_images(model, engine, batch_size, rest, epoch, training)
                        )
                        return
                images = None if ready[place] else next(batches_read)[0]
                seen = shown(part)  # reading may have told what is damaged
                if not len(seen):
                    continue
                if images is None:
                    features = cache.take(seen)
                else:
                    features = base.predict(images, self.largest(batch_size))
                    cache.write(seen, features)
                yield FeatureBatch(features, head), *self._targets(part if training else seen)

    def _shown(
        self, model: ModelSettings, epoch: int, training: bool
    ) -> Callable[[NDArray[np.int64]], NDArray[np.int64]]:
        """What gives the numbers of the images that come for these: where one is known to be
        damaged, another one in training, and none in evaluation."""
        folder = self.examples.x
        if not is_image_folder(folder):
            return lambda numbers: numbers
        if training:
            return folder.for_epoch(model.seed, epoch).chosen
        return lambda numbers: numbers[folder.readable(numbers)]

    def _targets(self, numbers: NDArray[np.int64]) -> list[NDArray[Any] | None]:
        weight = self.examples.weight
        return [self.examples.y[numbers], None if weight is None else weight[numbers]]

    def _of_images(
        self,
        model: ModelSettings,
        engine: Engine,
        batch_size: int,
        order: NDArray[np.int64] | None,
        epoch: int,
        training: bool,
    ) -> Generator[Batch, None, None]:
        """The batches for an engine that begins with images."""
        examples, transform = self.examples, self.transform or _of_model(model)
        x = examples.x
        count = len(examples) if order is None else len(order)
        kind, largest = TRAIN if training else TEST, self.largest(batch_size)
        shares = shares_of(engine, kind, count, batch_size, largest)
        may_hold = self.count > batch_size and not self.on_host  # one batch need not be held
        if isinstance(x, np.ndarray) and may_hold:
            by_number = transform.plain or transform.drawable(x.shape[1:])
            anew = not any(holder is engine for holder in self._holders)
            if by_number and engine.hold(x, anew):
                if anew:
                    self._holders.append(engine)
                return self._selected(x, transform, batch_size, order, epoch, shares)
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
            send=None if self.on_host else engine.sender(),
            leave_out=True,
            transform=transform,
            share=shares,
        )
        iterator = iter(batches) if shares is None else shares.marked(iter(batches))
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
        shares: BatchShares | None,
    ) -> Generator[Any, None, None]:
        """The batches of a data set whose images x the engine holds: they come by their numbers,
        with what is drawn for them ahead of the step."""
        examples, weight = self.examples, self.examples.weight
        numbers = np.arange(len(examples)) if order is None else order
        keys = transform.keys(numbers, len(x))

        def select(
            first: int, slot: None
        ) -> tuple[Selection, NDArray[Any], NDArray[np.float32] | None]:
            batch = slice(first, first + batch_size)
            chosen, own_keys = numbers[batch], keys[batch]
            targets = examples.y[chosen], None if weight is None else weight[chosen]
            if shares is not None:
                own = shares(len(chosen))
                chosen, own_keys = chosen[own], own_keys[own]
            drawn = transform.drawn(x.shape[1:], own_keys, epoch) if len(chosen) else None
            if drawn is not None:
                drawn.check_reach(x.shape[1:])
                if not first:
                    transform.check_values(x[chosen])
            return Selection(x, chosen, drawn), *targets

        workers = 0
        if not transform.plain:
            workers = 1 if self.workers is None else self.workers
        starts = range(0, len(numbers), batch_size)
        selected = ahead(select, starts, [None] * (workers + 1), workers)
        return selected if shares is None else shares.marked(selected)


def _filled(batches: Generator[Batch, None, None]) -> Generator[Batch, None, None]:
    """The batches that have images."""
    with closing(batches):
        yield from (batch for batch in batches if len(batch[0]))


def _warned(batches: Generator[Batch, None, None], damage: Damage) -> Generator[Batch, None, None]:
    """The batches; when they end, one warning tells of the files that were damaged."""
    try:
        with closing(batches):
            yield from batches
    finally:
        damage.warn(UNREADABLE)


def prepared(
    model: ModelSettings,
    images: NDArray[Any] | Dataset,
    batch_size: int,
    transform: Transform | None = None,
    epoch: int = 0,
    part: tuple[int, int] | None = None,
) -> Generator[NDArray[Any], None, None]:
    """Checked images, or a part (first, end) of them, in order, in batches as the network sees
    them: behind the model's preprocessing, or behind a transform, with what it draws in an
    epoch."""
    transform = transform or _of_model(model)
    numbers = np.arange(*(part or (0, len(images))))
    if isinstance(images, np.ndarray) and transform.plain:
        # Views will do.
        own = images[numbers[0] : numbers[-1] + 1] if len(numbers) else images[:0]
        yield from (own[i : i + batch_size] for i in range(0, len(own), batch_size))
        return
    batches = Batches(
        *(images, None, None, batch_size, numbers),
        shape=tuple(model.input_shape),
        transform=transform,
        epoch=epoch,
    )
    with closing(epoch_hooks.told(images, iter(batches), None)) as batches_of_epoch:
        yield from (x for x, _, _ in batches_of_epoch)


def prepared_stream(model: ModelSettings, stream: Stream) -> Generator[NDArray[Any], None, None]:
    """The images of an iterable of batches, checked, as the network sees them."""
    return epoch_hooks.told(stream, _prepared_stream(model, stream), None)


def _prepared_stream(model: ModelSettings, stream: Stream) -> Generator[NDArray[Any], None, None]:
    transform = _of_model(model)
    for number, (batch, _, _) in enumerate(stream):
        x = input_checks.image_array(model, batch, f"{stream.name}: batch {number}: x", transform)
        yield of_stream(transform, x, 0, 0)


def _of_model(model: ModelSettings) -> Transform:
    return Transform(preprocessing=model.preprocessing)
