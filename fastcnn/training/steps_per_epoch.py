"""Passes that end after a number of batches: fit's steps_per_epoch and validation_steps."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Generator
from contextlib import closing
from typing import overload

import numpy as np
from numpy.typing import NDArray

from fastcnn.data.pipeline.transform import Batch
from fastcnn.training.epoch_iterator import ArrayEpochs
from fastcnn.training.model_settings import ModelSettings
from fastcnn.training.stream_epochs import StreamEpochs
from fastcnn.utils import arguments


class Stepped:
    """Epochs of `steps` batches each.

    With `goes_on`, as in training, a pass begins where the last one ended: with arrays and Datasets
    that follows from the epoch's number, an iterable stays open in between. Where the batches run
    out, a pass is shorter, with a warning, and the next one begins anew, as in Keras. `exhausted`
    says that a generator has no more.
    """

    count: int | None = None

    def __init__(
        self,
        epochs: ArrayEpochs | StreamEpochs,
        steps: int,
        batch_size: int,
        argument: str,
        goes_on: bool,
    ) -> None:
        self.whole = epochs
        self._steps = steps
        self._batch_size = batch_size
        self._argument = argument
        self._goes_on = goes_on or (isinstance(epochs, StreamEpochs) and epochs.once)
        self._open: Generator[Batch, None, None] | None = None
        self.exhausted = False
        if isinstance(epochs, ArrayEpochs):
            self.count = min(epochs.count, steps * batch_size)

    def largest(self, batch_size: int) -> int | None:
        """How many images the largest batch has; None where that is not known."""
        return self.whole.largest(batch_size)

    def order(self, seed: int, epoch: int, shuffle: bool) -> NDArray[np.int64] | None:
        """The order of an epoch's examples: a stretch of that of a whole pass."""
        whole, size = self.whole, self._batch_size
        if isinstance(whole, StreamEpochs):
            return None
        epochs = -(-whole.count // (self._steps * size))  # that a whole pass lasts
        order = whole.order(seed, epoch // epochs, shuffle)
        order = np.arange(whole.count) if order is None else order
        first = epoch % epochs * self._steps * size
        return order[first : first + self._steps * size]

    def batches(
        self,
        model: ModelSettings,
        batch_size: int,
        order: NDArray[np.int64] | None = None,
        epoch: int = 0,
        training: bool = False,
    ) -> Generator[Batch, None, None]:
        """The batches of one pass."""
        if order is None:
            order = self.order(0, 0, False)
        if self._goes_on and isinstance(self.whole, StreamEpochs):
            yield from self._counted(self._going_on(model, batch_size, epoch, training))
            return
        with closing(self.whole.batches(model, batch_size, order, epoch, training)) as batches:
            yield from self._counted(batches)
            if isinstance(self.whole, ArrayEpochs):
                next(batches, None)  # its order has no more: the source hears that the pass ends

    def _counted(self, batches: Generator[Batch, None, None]) -> Generator[Batch, None, None]:
        for step in range(self._steps):
            batch = next(batches, None)
            if batch is None:
                self._tell(step)
                return
            yield batch

    def _going_on(
        self, model: ModelSettings, batch_size: int, epoch: int, training: bool
    ) -> Generator[Batch, None, None]:
        """The batches of an iterable from where it stands; from its beginning where it has none
        left at once."""
        fresh = self._open is None
        if self._open is None:
            self._open = self.whole.batches(model, batch_size, None, epoch, training)
        batch = next(self._open, None)
        if batch is None and not fresh and not self._ended():
            self._open = self.whole.batches(model, batch_size, None, epoch, training)
            batch = next(self._open, None)
        while batch is not None:
            yield batch
            batch = next(self._open, None)
        self.close()
        self._ended()

    def _ended(self) -> bool:
        self.exhausted = isinstance(self.whole, StreamEpochs) and self.whole.once
        return self.exhausted

    def _tell(self, step: int) -> None:
        again = "The training ends." if self.exhausted else "The next epoch begins anew."
        warnings.warn(
            f"fit: {self._argument}={self._steps}, but the data ran out after {step} batches. "
            f"{again}",
            stacklevel=2,
        )

    def close(self) -> None:
        """End what is open between passes."""
        if self._open is not None:
            self._open.close()
            self._open = None


Epochs = ArrayEpochs | StreamEpochs | Stepped


@overload
def shortened(
    epochs: ArrayEpochs | StreamEpochs, steps: int | None, batch_size: int, validates: bool = False
) -> Epochs: ...


@overload
def shortened(
    epochs: ArrayEpochs | StreamEpochs | None,
    steps: int | None,
    batch_size: int,
    validates: bool = False,
) -> Epochs | None: ...


def shortened(
    epochs: ArrayEpochs | StreamEpochs | None,
    steps: int | None,
    batch_size: int,
    validates: bool = False,
) -> Epochs | None:
    """Return epochs of so many batches each; as they are where there is no such limit."""
    if epochs is None or steps is None:
        return epochs
    argument = "validation_steps" if validates else "steps_per_epoch"
    return Stepped(epochs, steps, batch_size, argument, goes_on=not validates)


def step_count(argument: str, value: int | None) -> int | None:
    """Return a number of steps, or None where there is no limit; checked."""
    return None if value is None else arguments.whole("fit", argument, value, least=1)


def validation_epochs(value: object) -> int | frozenset[int]:
    """Return validation_freq as a number of epochs, or as the epochs themselves."""
    if isinstance(value, Collection) and not isinstance(value, str):
        each = [arguments.whole("fit", "validation_freq", epoch, least=1) for epoch in value]
        return frozenset(each)
    return arguments.whole("fit", "validation_freq", value, least=1)
